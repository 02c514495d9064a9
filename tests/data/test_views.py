"""A view reads as shards of its own would, and never meets other shards than its own."""

import dataclasses
import itertools
import json
import shutil
import uuid

import numpy as np
import pytest
import tensorflow as tf
from shard_testing import CLASSES, SPEC, clip_features
from view_testing import FRAMES_OF_CLIPS, SPLITS_OF_CLIPS, listed, write_real_shards, write_source

from cham_keras.data import (
    UnreadableClip,
    clips_in_split,
    read_manifest,
    resplit,
    verification_of_shards,
    verify_shards,
)
from cham_keras.data.clip_list import SPLITS
from cham_keras.data.reading.clip_dataset import clip_dataset, clip_windows
from cham_keras.data.shards.manifest import write_manifest
from cham_keras.data.shards.shards import write_shards
from cham_keras.paths import RemotePath


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "shards")


@pytest.fixture
def view(source, tmp_path):
    resplit(source, listed(), tmp_path / "view")
    return tmp_path / "view"


def arrays(dataset) -> list[np.ndarray]:
    return [array.numpy() for batch in dataset for array in tf.nest.flatten(batch)]


def assert_equal_batches(found, expected) -> None:
    found, expected = arrays(found), arrays(expected)
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("split", "reading", "dtype"),
    [*itertools.product(SPLITS, ["auto", "sequential"], ["float16"]), ("train", "auto", "int8")],
)
def test_a_view_gives_the_batches_of_real_shards(tmp_path, split, reading, dtype):
    source = write_source(tmp_path / "shards", feature_dtype=dtype)
    resplit(source, listed(), tmp_path / "view")
    real = write_real_shards(tmp_path / "real", split, feature_dtype=dtype)
    ways = [
        {"sampling": "random", "shuffle": True, "seed": 3, "start_epoch": 2},
        {"sampling": "uniform", "short_clips": "pad"},
        {"sampling": "all_frames"},
    ]
    for way in ways:
        one, other = (
            clip_dataset(folder, where, 4, 2, reading=reading, **way)
            for folder, where in ((tmp_path / "view", split), (real, "train"))
        )
        assert_equal_batches(one, other)
        if "shuffle" in way:
            assert_equal_batches(one, other)  # the next epoch
    one, other = (
        clip_windows(folder, where, 3, 2, reading=reading)
        for folder, where in ((tmp_path / "view", split), (real, "train"))
    )
    assert_equal_batches(one, other)
    assert clips_in_split(tmp_path / "view", split) == clips_in_split(real, "train")


@pytest.mark.parametrize("reading", ["auto", "sequential"])
def test_repeated_epochs_of_a_view_are_those_of_real_shards(view, tmp_path, reading):
    real = write_real_shards(tmp_path / "real", "train")
    way = {"sampling": "random", "shuffle": True, "repeat": True, "start_batch": 7}
    one, other = (
        clip_dataset(folder, "train", 4, 4, reading=reading, **way).take(4)
        for folder in (view, real)
    )
    assert_equal_batches(one, other)


def test_a_view_in_memory_and_on_a_local_copy_reads_the_same(view, tmp_path):
    for cache in (True, tmp_path / "cache" / "copy"):
        assert_equal_batches(
            clip_dataset(view, "validation", 4, 2, cache=cache),
            clip_dataset(view, "validation", 4, 2),
        )
    # The splits of a view share the copies.
    clip_dataset(view, "test", 4, 2, cache=tmp_path / "cache" / "copy")
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_the_manifest_counts_what_belongs_to_the_view(view, source):
    manifest = read_manifest(view)
    for split, info in manifest.splits.items():
        of_split = [clip for clip, name in enumerate(SPLITS_OF_CLIPS) if name == split]
        assert info.clips == len(of_split)
        assert info.frames == sum(FRAMES_OF_CLIPS[clip] for clip in of_split)
        labels = [clip % 3 for clip in of_split]
        assert list(info.clips_per_class.values()) == [labels.count(label) for label in range(3)]
        assert [shard.file for shard in info.shards] == [
            f"../shards/train-0000{i}-of-00003.tfrecord" for i in range(3)
        ]
    assert [path.name for path in view.iterdir()] == ["manifest.json"]
    stated = json.loads((view / "manifest.json").read_text())
    assert stated["splits"]["test"]["shards"][0]["records"] == [1]
    assert stated["view_of"] == str(source)


def test_clips_that_the_list_leaves_out_are_not_read(source, tmp_path):
    splits = ["train", None, None, "test", "train", *[None] * 7]
    resplit(source, listed(splits), tmp_path / "view")
    assert [c.id for c in clips_in_split(tmp_path / "view", "train")] == [
        "train/0.mp4",
        "train/4.mp4",
    ]
    assert len(read_manifest(tmp_path / "view").split("test").shards) == 1
    assert verify_shards(tmp_path / "view") == []


def test_a_view_of_a_view_shares_the_same_shards(view, source, tmp_path):
    splits = ["test" if split == "train" else None for split in SPLITS_OF_CLIPS]
    splits[3] = "train"
    manifest = resplit(view, listed(splits), tmp_path / "views" / "second")
    assert manifest.view_of == str(source)
    found = [clip.id for clip in clips_in_split(tmp_path / "views" / "second", "test")]
    assert found == [clip.id for clip in clips_in_split(view, "train")]
    assert verify_shards(tmp_path / "views" / "second") == []
    with pytest.raises(ValueError, match="5 of 12 are missing"):
        resplit(tmp_path / "views" / "second", listed(), tmp_path / "third")


# Moving


def moved(folder, to):
    to.parent.mkdir(parents=True, exist_ok=True)
    return folder.rename(to)


def test_a_view_moves_with_its_shards_and_without_them(view, source, tmp_path):
    ids = [clip.id for clip in clips_in_split(view, "train")]
    alone = moved(view, tmp_path / "elsewhere" / "deep" / "view")
    assert [clip.id for clip in clips_in_split(alone, "train")] == ids
    moved(alone, view)
    moved(source, tmp_path / "new" / "shards")
    together = moved(view, tmp_path / "new" / "view")
    assert [clip.id for clip in clips_in_split(together, "train")] == ids
    assert verify_shards(together) == []


def test_shards_that_moved_are_asked_for_by_place(view, source, tmp_path):
    moved(source, tmp_path / "new" / "shards")
    sentence = f"{view} is a view: .*no manifest.json in {source}.*`cham resplit` again"
    with pytest.raises(FileNotFoundError, match=sentence):
        clips_in_split(view, "train")
    (first, *_) = verify_shards(view)
    assert "is a view" in first.what and first.file == "manifest.json"
    resplit(tmp_path / "new" / "shards", listed(), view, overwrite=True)
    assert verify_shards(view) == []


@pytest.mark.parametrize("beside", [True, False])
def test_other_shards_of_the_same_names_and_sizes_are_refused(view, source, tmp_path, beside):
    # The same clips in another order: a view that read on would train on what it tests.
    shutil.rmtree(source)
    at = source if beside else tmp_path / "other"
    order = [1, 0, *range(2, 12)]
    clips = [clip_features(clip, FRAMES_OF_CLIPS[clip]) for clip in order]
    write_shards(at, clips, classes=CLASSES, backbone=SPEC, clips_per_shard=4)
    if not beside:
        manifest = read_manifest(view)
        text = (view / "manifest.json").read_text().replace("../shards", "../other")
        (view / "manifest.json").write_text(text)
        assert read_manifest(view) != manifest
    for read in (clips_in_split, lambda *args: clip_dataset(*args, 3, 2, reading="sequential")):
        with pytest.raises(ValueError, match="not the one that the view was made of"):
            read(view, "train")
    assert any("is a view" in problem.what for problem in verify_shards(view))


def test_a_missing_shard_is_named(view, source):
    name = "train-00001-of-00003.tfrecord"
    (source / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"There is no shard .*{name}"):
        clips_in_split(view, "test")
    assert f"../shards/{name}: is missing." in [str(problem) for problem in verify_shards(view)]


# Verification


def test_a_view_has_no_problems_and_counts_each_file_once(view, source):
    found, of_source = verification_of_shards(view), verification_of_shards(source)
    assert found == of_source
    assert (found.shards, found.clips) == (3, 12)


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([0, 1], "the records of train are not of the clips that the view was made of"),
        ([0, 1], "clip train/1.mp4 stands in ../shards/train-00000-of-00003.tfrecord already"),
        ([0, 1], "group group-train-1 stands in train and in test"),
        ([0], "split train states 6 clips, and its shards 5"),
        ([0, 4], "must have record numbers from 0 to 3, ascending. Received: 0, 4"),
        ([2, 0], "must have record numbers from 0 to 3, ascending. Received: 2, 0"),
        ([], "must have record numbers from 0 to 3, ascending. Received: none"),
    ],
)
def test_wrong_record_numbers_are_found(view, records, sentence):
    path = view / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["splits"]["train"]["shards"][0]["records"] = records
    path.write_text(json.dumps(manifest))
    problems = [str(problem) for problem in verify_shards(view)]
    assert any(sentence in problem for problem in problems), problems
    if "record numbers" in sentence:
        with pytest.raises(ValueError, match="must have record numbers"):
            clip_dataset(view, "train", 3, 2)


# Refusals


@pytest.mark.parametrize(
    ("clip_list", "sentence"),
    [
        (
            listed([*SPLITS_OF_CLIPS, "test", "test", "test", "test"]),
            r"4 of 16 are missing, 0 of them .*: train/12.mp4, train/13.mp4, train/14.mp4 and 1",
        ),
        (listed(classes=(*CLASSES, "swim")), "must have the 3 classes of the shards.*swim"),
    ],
)
def test_a_list_that_does_not_fit_the_shards_is_refused(source, tmp_path, clip_list, sentence):
    with pytest.raises(ValueError, match=sentence):
        resplit(source, clip_list, tmp_path / "view")
    assert not (tmp_path / "view").exists()


def test_a_clip_with_another_class_is_refused(source, tmp_path):
    clips = listed()
    changed = [dataclasses.replace(clip, label="skip") for clip in clips.clips]
    clips = dataclasses.replace(clips, clips=tuple(changed))
    with pytest.raises(ValueError, match=r"8 clip\(s\) have another: train/0.mp4 \(skip, in the"):
        resplit(source, clips, tmp_path / "view")


def shards_with_an_unreadable_clip(folder):
    clips = [clip_features(clip, FRAMES_OF_CLIPS[clip]) for clip in range(11)]
    clips.append(UnreadableClip("train/11.mp4", "it breaks off"))
    write_shards(folder, clips, classes=CLASSES, backbone=SPEC, clips_per_shard=4)
    return folder


def test_clips_that_are_missing_are_left_out_only_when_asked_for(tmp_path):
    source = shards_with_an_unreadable_clip(tmp_path / "shards")
    with pytest.raises(ValueError, match=r"1 of 12 are missing, 1 of them since .*11.mp4"):
        resplit(source, listed(), tmp_path / "view")
    manifest = resplit(source, listed(), tmp_path / "view", missing="leave_out_unreadable")
    assert [(c.path, c.reason) for c in manifest.unreadable] == [("train/11.mp4", "it breaks off")]
    assert verify_shards(tmp_path / "view") == []
    longer = listed([*SPLITS_OF_CLIPS, "test"])
    with pytest.raises(ValueError, match=r"2 of 13 are missing, 1 of them since .*: train/12.mp4"):
        resplit(source, longer, tmp_path / "two", missing="leave_out_unreadable")
    manifest = resplit(source, longer, tmp_path / "two", missing="leave_out")
    assert [clip.path for clip in manifest.unreadable] == ["train/11.mp4", "train/12.mp4"]
    with pytest.raises(ValueError, match="`missing` must be one of refuse"):
        resplit(source, longer, tmp_path / "three", missing="ignore")


def test_a_split_that_would_be_empty_is_refused(tmp_path):
    source = shards_with_an_unreadable_clip(tmp_path / "shards")
    splits = ["train"] * 11 + ["test"]
    with pytest.raises(ValueError, match="Each split must keep at least one clip. All 1 of test"):
        resplit(source, listed(splits), tmp_path / "view", missing="leave_out")


def shards_of_one_source(folder):
    """Clips 0 to 3 are of one group."""
    clips = [
        dataclasses.replace(
            clip_features(clip, frames), group="film" if clip < 4 else f"film {clip}"
        )
        for clip, frames in enumerate(FRAMES_OF_CLIPS)
    ]
    write_shards(folder, clips, classes=CLASSES, backbone=SPEC, clips_per_shard=4)
    return folder


def test_a_group_of_the_shards_on_both_sides_is_refused_unless_the_list_names_its_parts(tmp_path):
    source = shards_of_one_source(tmp_path / "shards")
    nothing_known = [f"train/{clip}.mp4" for clip in range(12)]
    with pytest.raises(ValueError, match=r"1 group\(s\) of the shards .*: film. State the groups"):
        resplit(source, listed(groups=nothing_known), tmp_path / "view")
    parts = [f"film ({split})" for split in SPLITS_OF_CLIPS[:4]] + nothing_known[4:]
    manifest = resplit(source, listed(groups=parts), tmp_path / "view")
    assert manifest.divided_groups == ("film",)
    assert verify_shards(tmp_path / "view") == []
    path = tmp_path / "view" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"divided_groups": []}))
    assert any("group film stands in" in problem.what for problem in verify_shards(path.parent))


def test_the_shards_are_never_replaced_by_their_view(source, tmp_path):
    before = sorted(path.name for path in source.iterdir())
    link = tmp_path / "link"
    link.symlink_to(source)
    for out in (source, tmp_path, link):
        with pytest.raises(ValueError, match="must have a folder of its own"):
            resplit(source, listed(), out, overwrite=True)
    assert sorted(path.name for path in source.iterdir()) == before


def test_a_folder_with_files_is_kept(source, view):
    with pytest.raises(FileExistsError, match="must be new or empty"):
        resplit(source, listed(["train"] * 12), view)
    assert set(read_manifest(view).splits) == set(SPLITS)


def test_a_killed_resplit_leaves_the_old_view_or_none(source, view, tmp_path, monkeypatch):
    def killed(*arguments):
        write_manifest(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr("cham_keras.data.split_views.write_manifest", killed)
    with pytest.raises(KeyboardInterrupt):
        resplit(source, listed(), tmp_path / "new")
    with pytest.raises(KeyboardInterrupt):
        resplit(source, listed(["train"] * 12), view, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shards", "view"]
    assert set(read_manifest(view).splits) == set(SPLITS)


# Remote storage


@pytest.fixture
def remote(source) -> RemotePath:
    folder = RemotePath(f"ram://{uuid.uuid4().hex}/all/shards")
    for path in source.iterdir():
        (folder / path.name).upload(path)
    return folder


def test_remote_views_read_as_local_ones(remote, view, tmp_path):
    beside, local = remote.parent / "views" / "one", tmp_path / "of-remote"
    for out, way in ((beside, "../../shards"), (local, str(remote))):
        manifest = resplit(remote, listed(), out)
        assert manifest.split("test").shards[0].file == f"{way}/train-00000-of-00003.tfrecord"
        assert verify_shards(out) == []
        for split, cache in itertools.product(SPLITS, (False, True)):
            assert_equal_batches(
                clip_dataset(out, split, 4, 2, cache=cache), clip_dataset(view, split, 4, 2)
            )
        assert clips_in_split(out, "test") == clips_in_split(view, "test")


def test_remote_views_are_refused_where_they_would_do_harm(remote, source):
    with pytest.raises(ValueError, match="must have a folder of its own"):
        resplit(remote, listed(), remote, overwrite=True)
    with pytest.raises(ValueError, match="must share shards that are remote too"):
        resplit(source, listed(), remote.parent / "view")
    resplit(remote, listed(), remote.parent / "view")
    with pytest.raises(FileExistsError, match="holds manifest.json"):
        resplit(remote, listed(["train"] * 12), remote.parent / "view")
    (remote / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match=f"no manifest.json in {remote}"):
        clips_in_split(remote.parent / "view", "test")


def test_shards_of_version_2_are_read_and_written_shards_have_its_keys(source, tmp_path):
    path = source / "manifest.json"
    stated = json.loads(path.read_text())
    assert "view_of" not in stated and "records" not in stated["splits"]["train"]["shards"][0]
    manifest = read_manifest(source)
    path.write_text(json.dumps(stated | {"schema_version": 2}))
    assert read_manifest(source) == manifest
    resplit(source, listed(), tmp_path / "view")
    assert verify_shards(tmp_path / "view") == []
