"""Extraction as a Beam pipeline gives what extraction on one machine gives.

What needs Apache Beam runs where it is installed (`pip install -e '.[beam]'`); the folder
in which the workers meet and the plan of the shards are tested everywhere.
"""

import dataclasses
import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest

from cham_keras.cli.main import run_command
from cham_keras.data.backbones.backbones import Backbone, load_backbone
from cham_keras.data.clip_list import Clip, ClipList, write_clip_list
from cham_keras.data.extraction.beam import extract_with_beam
from cham_keras.data.extraction.beam.extraction import beam_partial_folder
from cham_keras.data.extraction.beam.shard_plan import PlannedShard, plan_shards, splits_of
from cham_keras.data.extraction.beam.work_folder import WorkFolder
from cham_keras.data.extraction.extraction import extract
from cham_keras.data.frames.video import write_video
from cham_keras.data.shards.manifest import Manifest, read_manifest
from cham_keras.data.shards.tfrecord_file import TFRecordFile

HAS_BEAM = importlib.util.find_spec("apache_beam") is not None
needs_beam = pytest.mark.skipif(not HAS_BEAM, reason="needs Apache Beam: pip install -e '.[beam]'")
# In this process.
IN_MEMORY = ("direct_running_mode=in_memory", "direct_num_workers=1")

FRAMES_OF_CLIPS = {"train": (5, 9, 1, 6, 4, 7), "validation": (3, 4), "test": (8, 2)}


@pytest.fixture(scope="module")
def clip_list(tmp_path_factory) -> ClipList:
    """Ten short videos of moving noise in two classes and three splits."""
    root = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    clips = []
    for split, numbers in FRAMES_OF_CLIPS.items():
        for clip, num_frames in enumerate(numbers):
            label = ("hop", "run")[clip % 2]
            path = f"{label}/{split}-{clip}.mp4"
            picture = np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype("uint8")
            frames = [np.roll(picture, 5 * frame, axis=1) for frame in range(num_frames)]
            write_video(root / path, frames, frame_rate_hz=20)
            clips.append(Clip(path, label, split, group=path))
    (root / "run" / "none.mp4").write_text("no video")
    return ClipList(root, ("hop", "run"), tuple(clips))


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("filter_bank", image_size=32)


NONE = Clip("run/none.mp4", "run", "train", "none")


def with_clips(clip_list: ClipList, *more: Clip) -> ClipList:
    return ClipList(clip_list.root, clip_list.classes, (*clip_list.clips, *more))


def both_ways(clip_list, backbone, folder: Path, **settings) -> tuple[Manifest, Manifest]:
    """Extracts on this machine and with Beam; returns the manifests."""
    local = extract(clip_list, folder / "local", backbone, command="a", **settings)
    beam = extract_with_beam(
        clip_list,
        folder / "beam",
        backbone.spec,
        "DirectRunner",
        IN_MEMORY,
        command="b",
        **settings,
    )
    return local, beam


def assert_same_shards(one: Path, other: Path) -> None:
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    for name in names:
        if name != "manifest.json":
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
    of_one, of_other = (
        dataclasses.replace(read_manifest(f), command="", versions={}) for f in (one, other)
    )
    assert of_one == of_other


# Everywhere: the folder and the plan.


def entry(position: int, split: str = "train", num_bytes: int = 10, **more) -> dict:
    return {
        "position": position,
        "clip": f"{position}.mp4",
        "split": split,
        "label": position % 2,
        "frames": position + 1,
        "bytes": num_bytes,
        "file": f"clips/{position}.tfrecord",
        **more,
    }


def test_shards_are_planned_in_the_order_of_the_extraction_whatever_order_workers_finish_in():
    entries = [entry(n, num_bytes=10 + n) for n in range(20)]
    entries += [entry(n, "test", 7) for n in range(20, 25)]
    planned = plan_shards(entries, 40, 3)
    assert [clip for shard in planned["train"] for clip in shard.clip_files] == [
        f"clips/{n}.tfrecord" for n in range(20)
    ]
    for seed in range(5):
        random.Random(seed).shuffle(entries)
        assert plan_shards(entries, 40, 3) == planned


def test_unreadable_clips_take_no_place_in_a_shard():
    entries = [entry(0), {"position": 1, "unreadable": "1.mp4", "reason": "gone"}, entry(2)]
    (shard,) = plan_shards(entries, 20, None)["train"]
    assert shard == PlannedShard(
        "train-00000-of-00001.tfrecord", ("clips/0.tfrecord", "clips/2.tfrecord"), 20
    )


def test_a_planned_shard_that_nobody_wrote_is_an_error():
    entries = [entry(0), entry(1)]
    planned = plan_shards(entries, 10, None)
    written = {"train-00000-of-00002.tfrecord": "ab"}
    with pytest.raises(ValueError, match="Missing: train-00001-of-00002.tfrecord"):
        splits_of(entries, planned, written, ("hop", "run"))
    written["train-00001-of-00002.tfrecord"] = "cd"
    split = splits_of(entries, planned, written, ("hop", "run"))["train"]
    assert (split.clips, split.frames, split.clips_per_class) == (2, 3, {"hop": 1, "run": 1})
    assert [shard.sha256 for shard in split.shards] == ["ab", "cd"]


def test_clips_of_several_attempts_become_one_shard(tmp_path):
    folder = WorkFolder(tmp_path / "work")
    records = [b"first", b"second" * 300_000, b"third"]
    attempts = [
        [folder.write_clip({"position": n}, record) for n, record in enumerate(records)]
        for _ in range(2)
    ]
    # Each attempt has files of its own; the last one is what others find.
    assert not {e["file"] for e in attempts[0]} & {e["file"] for e in attempts[1]}
    assert [folder.finished_clip(n) for n in range(3)] == attempts[1]
    mixed = [attempts[n % 2][n] for n in range(3)]
    files = tuple(e["file"] for e in mixed)
    shard = PlannedShard("a.tfrecord", files, sum(e["bytes"] for e in mixed))
    expected = TFRecordFile(tmp_path / "expected.tfrecord")
    for record in records:
        expected.write(record)
    expected.close()
    for _ in range(2):  # a shard may be written again, too
        assert folder.write_shard(shard) == expected.sha256
        assert (folder.shards / "a.tfrecord").read_bytes() == expected.path.read_bytes()
    assert not list((folder.path / "attempts").iterdir())


def test_a_shard_of_another_size_than_planned_is_an_error(tmp_path):
    folder = WorkFolder(tmp_path)
    written = folder.write_clip({"position": 0}, b"record")
    (tmp_path / written["file"]).write_bytes(b"cut")
    shard = PlannedShard("a.tfrecord", (written["file"],), written["bytes"])
    with pytest.raises(OSError, match=r"must have 22 bytes. Received: 3; files in"):
        folder.write_shard(shard)
    assert not list(folder.shards.iterdir())
    # Such a clip is not taken for finished, either.
    assert folder.finished_clip(0) is None


def test_a_clip_whose_entry_cannot_be_written_leaves_no_record(tmp_path, monkeypatch):
    folder = WorkFolder(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(WorkFolder, "_write_json", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write_clip({"position": 0}, b"record")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_without_beam_a_sentence_says_what_to_install(clip_list, backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'cham-keras\[beam\]'"):
        extract_with_beam(clip_list, tmp_path / "out", backbone.spec)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--direct_num_workers=2", "=2", "", "two words=1"])
def test_an_option_that_is_no_name_and_value_is_refused(clip_list, backbone, tmp_path, option):
    with pytest.raises(ValueError, match="must be given as name=value"):
        extract_with_beam(clip_list, tmp_path / "out", backbone.spec, beam_options=[option])


def test_a_url_cannot_be_the_output_folder(clip_list, backbone):
    with pytest.raises(ValueError, match="must be a local path. Received: gs://bucket/shards"):
        extract_with_beam(clip_list, "gs://bucket/shards", backbone.spec)


def test_the_runner_is_no_option(clip_list, backbone, tmp_path):
    with pytest.raises(ValueError, match="has its own argument"):
        extract_with_beam(clip_list, tmp_path / "out", backbone.spec, beam_options=["runner=A"])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"frame_stride": 0}, "`frame_stride` must be at least 1"),
        ({"max_frames": 0}, "`max_frames` must be at least 1"),
        ({"clips_per_shard": 0}, "`clips_per_shard` must be at least 1"),
        ({"feature_dtype": "float64"}, "`feature_dtype` must be one of"),
    ],
)
def test_settings_are_checked_before_anything_runs(
    clip_list, backbone, tmp_path, settings, sentence
):
    with pytest.raises(ValueError, match=sentence):
        extract_with_beam(clip_list, tmp_path / "out", backbone.spec, **settings)
    assert not list(tmp_path.iterdir())


# With Beam.


@needs_beam
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"clips_per_shard": 2, "feature_dtype": "int8"},
        {"shard_bytes": 3000, "feature_dtype": "float32", "seed": 3},
        {"shard_bytes": 1, "frame_stride": 2, "max_frames": 3},
    ],
    ids=str,
)
def test_shards_and_manifest_are_those_of_one_machine(clip_list, backbone, tmp_path, settings):
    local, beam = both_ways(with_clips(clip_list, NONE), backbone, tmp_path, **settings)
    assert_same_shards(tmp_path / "local", tmp_path / "beam")
    assert beam == read_manifest(tmp_path / "beam")
    assert (beam.command, local.command) == ("b", "a")
    assert [clip.path for clip in beam.unreadable] == ["run/none.mp4"]
    assert beam.versions.keys() == local.versions.keys() | {"apache-beam"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beam", "local"]


@needs_beam
def test_unreadable_clips_are_printed(clip_list, backbone, tmp_path, capsys):
    with_none = with_clips(clip_list, NONE)
    extract_with_beam(with_none, tmp_path / "out", backbone.spec, beam_options=IN_MEMORY)
    assert "Unreadable: run/none.mp4: " in capsys.readouterr().err


@needs_beam
def test_a_relative_root_stays_relative_in_what_is_reported(
    clip_list, backbone, tmp_path, monkeypatch
):
    monkeypatch.chdir(clip_list.root.parent)
    clips = (*clip_list.clips, NONE)
    relative = ClipList(Path(clip_list.root.name), clip_list.classes, clips)
    local, beam = both_ways(relative, backbone, tmp_path)
    assert beam.unreadable == local.unreadable
    assert beam.clips_root == local.clips_root == clip_list.root.name


@needs_beam
def test_with_strict_an_unreadable_clip_is_an_error_in_the_same_words(
    clip_list, backbone, tmp_path
):
    with_none = with_clips(clip_list, NONE)
    sentences = []
    with pytest.raises(ValueError, match="with --strict") as error:
        extract(with_none, tmp_path / "local", backbone, strict=True)
    sentences.append(str(error.value))
    with pytest.raises(ValueError, match="with --strict") as error:
        extract_with_beam(
            with_none, tmp_path / "beam", backbone.spec, beam_options=IN_MEMORY, strict=True
        )
    sentences.append(str(error.value))
    assert sentences[0] == sentences[1]
    assert not (tmp_path / "beam").exists()


@needs_beam
def test_no_shard_is_written_after_a_failure(clip_list, backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(WorkFolder, "must_stop", lambda self: False)  # all other clips get done
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="with --strict"):
        extract_with_beam(
            with_clips(clip_list, NONE), out, backbone.spec, beam_options=IN_MEMORY, strict=True
        )
    folder = WorkFolder(beam_partial_folder(out))
    assert sum(folder.finished_clip(position) is not None for position in range(11)) == 10
    assert not folder.shards.exists()


@needs_beam
def test_a_class_or_split_that_loses_all_its_clips_is_an_error_in_the_same_words(
    clip_list, backbone, tmp_path
):
    lost_class = [c for c in clip_list.clips if (c.split, c.label) != ("train", "run")]
    lost_split = [c for c in clip_list.clips if c.split != "test"]
    in_test = dataclasses.replace(NONE, split="test")
    for number, clips in enumerate(([*lost_class, NONE], [*lost_split, in_test])):
        lacking = ClipList(clip_list.root, clip_list.classes, tuple(clips))
        with pytest.raises(ValueError, match="must keep at least one clip") as local:
            extract(lacking, tmp_path / f"local{number}", backbone)
        with pytest.raises(ValueError, match="must keep at least one clip") as beam:
            extract_with_beam(
                lacking, tmp_path / f"beam{number}", backbone.spec, beam_options=IN_MEMORY
            )
        # What to do next differs.
        local_sentence, beam_sentence = (str(e.value).split(" Mend that")[0] for e in (local, beam))
        assert beam_sentence == local_sentence
        assert not (tmp_path / f"beam{number}").exists()


@needs_beam
def test_an_interrupted_extraction_goes_on_without_its_finished_clips(
    clip_list, backbone, tmp_path, monkeypatch
):
    out = tmp_path / "beam"
    written = WorkFolder.write_clip
    positions = []

    def breaks_at_the_fifth(self, entry, record):
        if len(positions) == 5:
            raise OSError(28, "No space left on device")
        positions.append(entry["position"])
        return written(self, entry, record)

    arguments = {"beam_options": IN_MEMORY, "clips_per_shard": 4}
    with monkeypatch.context() as broken:
        broken.setattr(WorkFolder, "write_clip", breaks_at_the_fifth)
        with pytest.raises(OSError, match=r"No space left on device. Finished clips are kept"):
            extract_with_beam(clip_list, out, backbone.spec, **arguments)
    assert not out.exists()
    assert len(positions) == 5
    first = set(positions)
    positions.clear()

    def noted(self, entry, record):
        positions.append(entry["position"])
        return written(self, entry, record)

    monkeypatch.setattr(WorkFolder, "write_clip", noted)
    extract_with_beam(clip_list, out, backbone.spec, **arguments)
    assert first | set(positions) == set(range(10))
    assert not first & set(positions)
    extract(clip_list, tmp_path / "local", backbone, clips_per_shard=4)
    assert_same_shards(tmp_path / "local", out)
    assert not beam_partial_folder(out).exists()


@needs_beam
def test_what_another_command_began_is_neither_continued_nor_lost_in_silence(
    clip_list, backbone, tmp_path
):
    out = tmp_path / "beam"
    begun = {"beam_options": IN_MEMORY, "strict": True}
    with_none = with_clips(clip_list, NONE)
    with pytest.raises(ValueError, match="--strict"):
        extract_with_beam(with_none, out, backbone.spec, **begun)
    with pytest.raises(ValueError, match=r"another command began: clips, dtype differ\(s\)"):
        extract_with_beam(
            clip_list, out, backbone.spec, beam_options=IN_MEMORY, feature_dtype="int8"
        )
    extract_with_beam(
        clip_list,
        out,
        backbone.spec,
        beam_options=IN_MEMORY,
        feature_dtype="int8",
        overwrite=True,
    )
    extract(clip_list, tmp_path / "local", backbone, feature_dtype="int8")
    assert_same_shards(tmp_path / "local", out)


@needs_beam
def test_an_output_that_holds_files_is_replaced_only_when_told(clip_list, backbone, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    arguments = (clip_list, tmp_path / "out", backbone.spec, "DirectRunner", IN_MEMORY)
    with pytest.raises(FileExistsError, match="pass --overwrite"):
        extract_with_beam(*arguments)
    extract_with_beam(*arguments, overwrite=True)
    assert not (tmp_path / "out" / "notes.txt").exists()
    assert read_manifest(tmp_path / "out").split("train").clips == 6


@needs_beam
def test_a_runner_that_beam_does_not_know_is_an_error(clip_list, backbone, tmp_path):
    with pytest.raises(ValueError, match="HomeRunner"):
        extract_with_beam(clip_list, tmp_path / "out", backbone.spec, "HomeRunner")


@needs_beam
def test_a_value_that_beam_does_not_know_is_an_error(clip_list, backbone, tmp_path):
    options = ["direct_num_workers=many"]
    with pytest.raises(ValueError, match="argument --direct_num_workers: invalid int value"):
        extract_with_beam(clip_list, tmp_path / "out", backbone.spec, beam_options=options)


@needs_beam
def test_a_backbone_that_workers_cannot_make_is_an_error(clip_list, backbone, tmp_path):
    spec = dataclasses.replace(backbone.spec, preprocessing="as last year")
    with pytest.raises(ValueError, match="A worker met an error: `preprocessing` of backbone"):
        extract_with_beam(clip_list, tmp_path / "out", spec, beam_options=IN_MEMORY)


@needs_beam
def test_ranges_hold_each_clip_once():
    from cham_keras.data.extraction.beam.pipeline import ranges_of_clips

    for num_clips in (1, 31, 33, 100, 1000):
        ranges = ranges_of_clips(num_clips)
        assert [p for start, end in ranges for p in range(start, end)] == list(range(num_clips))
        assert len(ranges) >= min(num_clips, 32)


@needs_beam
def test_two_processes_give_the_shards_of_one(clip_list, backbone, tmp_path, monkeypatch):
    # Beam starts workers with this environment; they must find the package as this process does.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    options = ("direct_running_mode=multi_processing", "direct_num_workers=2")
    with_none = with_clips(clip_list, NONE)
    extract_with_beam(with_none, tmp_path / "beam", backbone.spec, beam_options=options)
    extract(with_none, tmp_path / "local", backbone)
    assert_same_shards(tmp_path / "local", tmp_path / "beam")


@needs_beam
def test_the_command_line_takes_a_runner_and_options(clip_list, tmp_path, capsys):
    write_clip_list(with_clips(clip_list, NONE), tmp_path / "clips.json")
    command = ["extract", str(tmp_path), "--backbone", "filter_bank", "--image-size", "32"]
    command += ["--frame-stride", "2"]
    of_beam = ["--runner", "DirectRunner"]
    for option in IN_MEMORY:
        of_beam += ["--beam-option", option]
    assert run_command([*command, "--out", str(tmp_path / "beam"), *of_beam]) == 0
    assert "1 clip(s) could not be read" in " ".join(capsys.readouterr().out.split())
    assert run_command([*command, "--out", str(tmp_path / "local")]) == 0
    assert_same_shards(tmp_path / "local", tmp_path / "beam")


def test_options_of_beam_without_a_runner_are_an_error(clip_list, tmp_path, capsys):
    write_clip_list(clip_list, tmp_path / "clips.json")
    command = ["extract", str(tmp_path), "--out", str(tmp_path / "out")]
    command += ["--backbone", "filter_bank"]
    assert run_command([*command, "--beam-option", "direct_num_workers=2"]) == 2
    assert "`--beam-option` goes with --runner" in " ".join(capsys.readouterr().err.split())
