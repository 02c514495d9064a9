"""Feature files in HDF5 become shards: both layouts, whole arrays, and every message."""

import re
import shutil

import h5py
import numpy as np
import pytest
from feature_file_making import (
    CHANNELS,
    CLIPS,
    MAP_SHAPE,
    features_in_shards,
    write_concatenated_files,
    write_csv,
    write_file_with_a_dataset_per_clip,
)

from cham_keras.data import (
    clips_in_split,
    load_backbone_from_spec,
    read_manifest,
    verify_shards,
)
from cham_keras.data.feature_files import import_hdf5
from cham_keras.data.feature_files.hdf5_reader import read_rows
from cham_keras.data.feature_files.stored_clips import Rows

FEATURE_SHAPE = (*MAP_SHAPE, CHANNELS)


def import_folder(folder, out, **options):
    options = {"map_shape": MAP_SHAPE, "feature_dtype": "float32", "reader": "h5py"} | options
    return import_hdf5(folder, out, **options)


def same(found, expected):
    return set(found) == set(expected) and all(
        np.array_equal(found[name], expected[name]) for name in expected
    )


@pytest.fixture
def folder(tmp_path):
    """A folder in the layout of the FC-Attention authors."""
    write_concatenated_files(tmp_path / "files")
    return tmp_path / "files"


@pytest.fixture
def one_file(tmp_path):
    """A file with a data set for each clip; its CSV; the clips' maps."""
    maps = write_file_with_a_dataset_per_clip(tmp_path / "features.h5")
    splits = ["train", "val", "test"] * 2
    clips_csv = write_csv(tmp_path / "clips.csv", maps, split=splits)
    return tmp_path / "features.h5", clips_csv, maps


# The layout of the FC-Attention authors.


def test_rows_in_fortran_order_become_the_maps_they_were_made_of(tmp_path):
    maps = write_concatenated_files(tmp_path / "files")
    import_folder(tmp_path / "files", tmp_path / "shards")
    assert same(features_in_shards(tmp_path / "shards", FEATURE_SHAPE), maps)


def test_maps_are_those_that_the_authors_reshape_to(tmp_path):
    """Their reader: `batch.reshape([steps, batch, 49, 1024], order="F")`, drawn as (7, 7)."""
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(3, 49 * 4)).astype("float32")
    write_concatenated_files(tmp_path / "files", {"train": [("a", 0, 1), ("b", 1, 2)]})
    with h5py.File(tmp_path / "files" / "train_features.h5", "w") as file:
        file["features"] = rows
    manifest = import_folder(tmp_path / "files", tmp_path / "shards", map_shape=None)
    assert manifest.feature_shape == (7, 7, 4)
    found = features_in_shards(tmp_path / "shards", (7, 7, 4))
    expected = rows[:, None].reshape([3, 1, 49, 4], order="F")[:, 0].reshape(3, 7, 7, 4)
    assert same(found, {"a": expected[:1], "b": expected[1:]})


def test_rows_in_c_order_are_reshaped_plainly(tmp_path):
    maps = write_concatenated_files(tmp_path / "files", order="C")
    import_folder(tmp_path / "files", tmp_path / "shards", order="C")
    assert same(features_in_shards(tmp_path / "shards", FEATURE_SHAPE), maps)


def test_imported_shards_have_no_problems_and_say_what_is_known(folder, tmp_path):
    written = import_folder(
        folder, tmp_path / "shards", backbone_name="GoogLeNet", frame_rate_hz=25
    )
    assert verify_shards(tmp_path / "shards") == []
    manifest = read_manifest(tmp_path / "shards")
    assert manifest == written
    assert manifest.backbone.name == "imported"
    assert "GoogLeNet" in manifest.backbone.preprocessing
    assert manifest.clips_root == str(folder)
    for prefix, split in (("train", "train"), ("valid", "validation"), ("test", "test")):
        clips = clips_in_split(tmp_path / "shards", split)
        found = {
            (clip.id, manifest.classes[clip.label], clip.group, clip.num_frames, clip.frame_rate_hz)
            for clip in clips
        }
        assert found == {
            (name, f"{label:02d}", name, num_frames, 25.0)
            for name, label, num_frames in CLIPS[prefix]
        }


def test_numbers_as_class_names_keep_their_order(folder, tmp_path):
    # As plain texts 10 would come before 2.
    assert import_folder(folder, tmp_path / "shards").classes == ("02", "10")


def test_class_names_are_taken_from_the_line_of_the_label(folder, tmp_path):
    names = [f"class {letter}" for letter in "kjihgfedcba"]
    (tmp_path / "names.txt").write_text("\n".join(names) + "\n")
    manifest = import_folder(folder, tmp_path / "shards", class_names=tmp_path / "names.txt")
    assert manifest.classes == tuple(sorted(names))
    clips = clips_in_split(tmp_path / "shards", "test")
    found = {clip.id: manifest.classes[clip.label] for clip in clips}
    assert found == {"wave/e&f.avi": names[10], "run/g.avi": names[2]}


def test_training_clips_are_mixed_and_the_others_keep_their_order(tmp_path):
    listed = [(f"run/{i}", 0, 1) for i in range(8)] + [(f"wave/{i}", 1, 1) for i in range(8)]
    tested = [(f"test/{i}", i % 2, 1) for i in range(8)]
    write_concatenated_files(tmp_path / "files", {"train": listed, "test": tested})
    import_folder(tmp_path / "files", tmp_path / "shards")
    first_half = [clip.label for clip in clips_in_split(tmp_path / "shards", "train")][:8]
    assert 2 <= sum(first_half) <= 6
    names = [clip.id for clip in clips_in_split(tmp_path / "shards", "test")]
    assert names == [name for name, _, _ in tested]


def multi_label(folder):
    (folder / "test_labels.txt").write_text("0,1,1\n1,0,0\n")


def no_number(folder):
    (folder / "test_framenum.txt").write_text("2\nfive\n")


def no_frames(folder):
    (folder / "test_framenum.txt").write_text("7\n0\n")


def lines_missing(folder):
    (folder / "test_filename.txt").write_text("wave/e.avi\n")


def empty_line(folder):
    (folder / "test_labels.txt").write_text("10\n\n2\n")


def frames_missing(folder):
    (folder / "test_framenum.txt").write_text("2\n4\n")


def text_file_missing(folder):
    (folder / "test_labels.txt").unlink()


def same_clip_in_two_splits(folder):
    (folder / "test_filename.txt").write_text("wave/b.avi\nrun/g.avi\n")


def unknown_split(folder):
    shutil.copy(folder / "test_features.h5", folder / "extra_features.h5")


def no_training_files(folder):
    for path in folder.glob("train_*"):
        path.unlink()


def no_files(folder):
    for path in folder.iterdir():
        path.unlink()


def other_dataset(folder):
    with h5py.File(folder / "test_features.h5", "a") as file:
        file.move("features", "feats")


def whole_numbers(folder):
    replace_features(folder, np.zeros((7, 30), "int32"))


def other_row_length(folder):
    replace_features(folder, np.zeros((7, 36), "float32"))


def not_a_number(folder):
    replace_features(folder, np.full((7, 30), np.nan, "float32"))


def no_hdf5(folder):
    (folder / "test_features.h5").write_text("no HDF5 file at all")


def broken_off(folder):
    path = folder / "test_features.h5"
    path.write_bytes(path.read_bytes()[:-300])


def replace_features(folder, features):
    with h5py.File(folder / "test_features.h5", "w") as file:
        file["features"] = features


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (multi_label, "test_labels.txt must hold one label. Received: 0,1,1. .* Hollywood2"),
        (no_number, "Line 2 of .*test_framenum.txt must be a number of frames.* Received: five"),
        (no_frames, "at least 1. Received: 0"),
        (lines_missing, "2 numbers of frames, 1 names and 2 labels"),
        (empty_line, "test_labels.txt must have no empty line. Line 2 is empty"),
        (frames_missing, "as many rows as its _framenum.txt has frames, 6. Received: 7 rows"),
        (text_file_missing, "There is no file .*test_labels.txt"),
        (same_clip_in_two_splits, "must stand in the files once. Received: wave/b.avi"),
        (unknown_split, "train, validation, val, test, valid as split. Received: extra_features"),
        (no_training_files, "At least one clip must be for training"),
        (no_files, "There is no train_features.h5 .* --clips"),
        (other_dataset, "must hold a data set `features` .* Received: none"),
        (whole_numbers, "must hold floating-point numbers. Received: dtype int32"),
        (other_row_length, "36 in test_features.h5, 30 in train_features.h5"),
        (not_a_number, "Features must be finite|finite"),
        (no_hdf5, "test_features.h5 must be a whole HDF5 file"),
        (broken_off, "test_features.h5 must be a whole HDF5 file"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damaged_folder_is_refused_and_leaves_nothing(folder, tmp_path, damage, message):
    damage(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        import_folder(folder, tmp_path / "shards")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files"]


def test_row_must_be_a_multiple_of_the_positions(folder, tmp_path):
    with pytest.raises(ValueError, match="7 x 7 .* multiple of 49. Received: 30. .*--map-shape"):
        import_folder(folder, tmp_path / "shards", map_shape=None)


def test_each_label_needs_a_class_name(folder, tmp_path):
    (tmp_path / "names.txt").write_text("hop\nrun\n")
    with pytest.raises(ValueError, match="from 0 to 10. Received: 2 lines"):
        import_folder(folder, tmp_path / "shards", class_names=tmp_path / "names.txt")


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder .*nowhere"):
        import_folder(tmp_path / "nowhere", tmp_path / "shards")


# One data set for each clip.


@pytest.mark.parametrize("rank", [3, 4])
def test_data_sets_become_clips(tmp_path, rank):
    path = tmp_path / "features.h5"
    maps = write_file_with_a_dataset_per_clip(path, rank)
    splits, groups = ["train", "val", "test"] * 2, ["x", "y", "", "x", "", "z"]
    clips_csv = write_csv(tmp_path / "clips.csv", maps, split=splits, group=groups)
    manifest = import_folder(
        path, tmp_path / "shards", clips_csv=clips_csv, map_shape=MAP_SHAPE if rank == 3 else None
    )
    assert same(features_in_shards(tmp_path / "shards", FEATURE_SHAPE), maps)
    assert verify_shards(tmp_path / "shards") == []
    assert manifest.classes == ("hop", "run")
    clips = clips_in_split(tmp_path / "shards", "test")
    assert [(clip.id, clip.group) for clip in clips] == [("hop/c", "hop/c"), ("run/c", "z")]


def test_csv_without_splits_is_split_by_the_seed(tmp_path):
    maps = write_file_with_a_dataset_per_clip(tmp_path / "features.h5")
    clips_csv = write_csv(tmp_path / "clips.csv", maps)
    options = {"clips_csv": clips_csv, "map_shape": None, "validation_fraction": 0.0}
    manifest = import_folder(
        tmp_path / "features.h5", tmp_path / "shards", test_fraction=0.34, **options
    )
    assert {name: split.clips for name, split in manifest.splits.items()} == {"train": 4, "test": 2}


def test_data_sets_that_the_csv_does_not_name_are_counted(one_file, tmp_path, caplog):
    path, _, maps = one_file
    names = [name for name in maps if name != "hop/b"]
    clips_csv = write_csv(tmp_path / "some.csv", names, split=["train"] * 5)
    import_folder(path, tmp_path / "shards", clips_csv=clips_csv, map_shape=None)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "1 data set(s)" in caplog.text
    assert "left out: hop/b." in caplog.text


def test_manifest_of_one_file_has_no_warning_where_all_is_named(one_file, tmp_path, caplog):
    path, clips_csv, _ = one_file
    import_folder(path, tmp_path / "shards", clips_csv=clips_csv, map_shape=None)
    assert not caplog.records


def rewrite(path, **datasets):
    with h5py.File(path, "a") as file:
        for name, data in datasets.items():
            del file[name.replace("_", "/")]
            file[name.replace("_", "/")] = data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((2, 1, 2, 3, 5), "float32"), r"run/c .*must be of shape .* \(2, 1, 2, 3, 5\)"),
        (np.zeros((2, 30), "float32"), r"must be of shape .* Received: \(2, 30\)"),
        (np.zeros((0, 2, 3, 5), "float32"), r"must be of shape .* Received: \(0, 2, 3, 5\)"),
        (np.zeros((2, 3, 2, 5), "float32"), r"\(2, 3, 5\) in hop/a and \(3, 2, 5\) in run/c"),
        (np.zeros((2, 2, 3, 5), "uint8"), "floating-point numbers. Received: dtype uint8"),
    ],
    ids=["rank 5", "rank 2", "no frames", "another map", "whole numbers"],
)
def test_data_set_of_another_form_is_refused(one_file, tmp_path, data, message):
    path, clips_csv, _ = one_file
    rewrite(path, run_c=data)
    with pytest.raises(ValueError, match=message):
        import_folder(path, tmp_path / "shards", clips_csv=clips_csv, map_shape=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\nhop/a,hop\nrun/x,run\n", "Missing: run/x. Data sets there: hop/a"),
        ("path,label\nhop,hop\nrun/a,run\n", "Missing: hop"),
        ("path,label,start\nhop/a,hop,1\n", "may have split, group. Received: path, label, start"),
        ("path,split\nhop/a,train\n", "must have the columns path, label"),
        ("path,label\nhop/a\n", "Line 2 .* as many cells"),
        ("path,label\nhop/a,\n", "Line 2 .* a path and a label"),
        ("path,label\n", "at least one clip"),
        ("path,label,split\nhop/a,hop,training\nrun/a,run,test\n", "clip hop/a: `split` must be"),
        ("path,label,split\nhop/a,hop,train\nhop/a,hop,train\nrun/a,run,train\n", "once.*hop/a"),
        ("path,label\nhop/a,hop\nhop/b,hop\n", "at least two classes"),
    ],
)
def test_csv_that_breaks_a_rule_is_refused(one_file, tmp_path, text, message):
    path, clips_csv, _ = one_file
    clips_csv.write_text(text)
    with pytest.raises(ValueError, match=message):
        import_folder(path, tmp_path / "shards", clips_csv=clips_csv, map_shape=None)


def test_positions_need_a_map_shape_that_fits(tmp_path):
    path = tmp_path / "features.h5"
    maps = write_file_with_a_dataset_per_clip(path, rank=3)
    clips_csv = write_csv(tmp_path / "clips.csv", maps, split=["train"] * 6)
    for map_shape, received in ((None, "none"), ((7, 7), "7 7")):
        with pytest.raises(ValueError, match=f"of the 6 positions .*Received: {received}. Pass"):
            import_folder(path, tmp_path / "out", clips_csv=clips_csv, map_shape=map_shape)


def test_map_shape_may_not_contradict_the_data_sets(one_file, tmp_path):
    path, clips_csv, _ = one_file
    with pytest.raises(ValueError, match="must be 2 3, .* or left out. Received: 3 2"):
        import_folder(path, tmp_path / "out", clips_csv=clips_csv, map_shape=(3, 2))


# Arguments.


def test_one_file_alone_asks_for_a_csv(one_file, tmp_path):
    with pytest.raises(ValueError, match="needs a CSV .* --clips"):
        import_folder(one_file[0], tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "F"}, "`order` must be left out"),
        ({"class_names": "names.txt"}, "`class_names` must be left out"),
        ({"frame_rate_hz": 0.0}, "`frame_rate_hz` must be above 0"),
        ({"map_shape": (0, 7)}, "`map_shape` must be two numbers"),
        ({"reader": "pytables"}, "`reader` must be one of auto, h5py, tensorflow-io"),
    ],
)
def test_argument_that_breaks_its_rule_is_named(one_file, tmp_path, options, message):
    path, clips_csv, _ = one_file
    with pytest.raises(ValueError, match=message):
        import_folder(
            path, tmp_path / "out", **{"clips_csv": clips_csv, "map_shape": None} | options
        )


def test_folder_that_holds_files_is_kept_unless_overwritten(folder, tmp_path):
    out = tmp_path / "shards"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        import_folder(folder, out)
    assert (out / "mine.txt").exists()
    import_folder(folder, out, overwrite=True)
    assert verify_shards(out) == []


# What comes after.


def test_videos_cannot_become_imported_features(folder, tmp_path):
    manifest = import_folder(folder, tmp_path / "shards", backbone_name="GoogLeNet")
    with pytest.raises(ValueError, match="A video cannot be turned .*GoogLeNet.*`cham extract`"):
        load_backbone_from_spec(manifest.backbone)


# Reading.


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_h5py_reads_every_form_of_floating_point_numbers(tmp_path, dtype, compression):
    features = np.random.default_rng(0).normal(size=(9, 2, 3)).astype(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=features, compression=compression)
    rows = [Rows(tmp_path / "a.h5", "a", start, stop) for start, stop in ((5, 9), (0, 1))]
    read = list(read_rows(rows, "h5py"))
    assert [array.dtype for array in read] == [np.float32, np.float32]
    assert np.array_equal(read[0], features[5:9].astype("float32"))
    assert np.array_equal(read[1], features[:1].astype("float32"))


def test_reading_touches_only_the_rows_of_the_clip_at_hand(tmp_path):
    """100 GB by its shape, none of it written: whoever reads more than the rows cannot end."""
    with h5py.File(tmp_path / "big.h5", "w") as file:
        dataset = file.create_dataset("features", (500_000, 50_176), "float32", chunks=(1, 50_176))
        dataset[499_998:] = 3.0
    rows = [Rows(tmp_path / "big.h5", "features", 499_997, 500_000)]
    (read,) = read_rows(rows, "h5py")
    assert read.shape == (3, 50_176)
    assert read[:, 7].tolist() == [0.0, 3.0, 3.0]


def test_damaged_rows_are_named(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        chunks = (1, 4)
        file.create_dataset("a", data=np.zeros((3, 4), "f4"), chunks=chunks, fletcher32=True)
        offset = file["a"].id.get_chunk_info(1).byte_offset
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"damage")
    read = read_rows([Rows(path, "a", 0, 1), Rows(path, "a", 1, 3)], "h5py")
    assert np.array_equal(next(read), np.zeros((1, 4)))
    with pytest.raises(ValueError, match=re.escape(f"{path}, data set a, rows 1 to 2 cannot be")):
        next(read)
