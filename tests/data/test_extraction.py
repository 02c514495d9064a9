"""Extraction: from video files to shards, with everything that can go wrong on the way."""

import re
import threading

import numpy as np
import pytest
from shard_testing import examples

from cham_keras.data.backbones.backbones import Backbone, load_backbone
from cham_keras.data.clip_list import Clip, ClipList
from cham_keras.data.extraction.extraction import extract, extraction_order
from cham_keras.data.frames.video import read_frames, write_video
from cham_keras.data.reading.shard_reader import clips_in_split
from cham_keras.data.shards.manifest import read_manifest

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
    return ClipList(root, ("hop", "run"), tuple(clips))


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """A backbone whose batches hold frames of several clips."""
    loaded = load_backbone("filter_bank", image_size=32)
    return Backbone(loaded.model, lambda frames: frames, loaded.spec, batch_size=4)


def with_clips(clip_list: ClipList, *more: Clip) -> ClipList:
    return ClipList(clip_list.root, clip_list.classes, (*clip_list.clips, *more))


def only(clip_list: ClipList, *splits: str) -> ClipList:
    clips = tuple(clip for clip in clip_list.clips if clip.split in splits)
    return ClipList(clip_list.root, clip_list.classes, clips)


@pytest.fixture
def damaged(clip_list) -> Clip:
    """A training clip that breaks off after some good frames."""
    path = clip_list.root / "run" / "damaged.avi"
    if not path.exists():
        # Noise, so that the frames are most of the file and its header is left whole.
        frames = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3)).astype("uint8")
        write_video(path, frames, frame_rate_hz=20)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return Clip("run/damaged.avi", "run", "train", "damaged")


@pytest.mark.parametrize(("frame_stride", "max_frames"), [(1, None), (2, None), (2, 3)])
def test_shards_hold_the_backbones_features_of_each_clips_frames(
    clip_list, backbone, tmp_path, frame_stride, max_frames
):
    manifest = extract(
        clip_list,
        tmp_path / "shards",
        backbone,
        frame_stride=frame_stride,
        max_frames=max_frames,
        clips_per_shard=4,
        command="cham extract",
    )
    assert manifest == read_manifest(tmp_path / "shards")
    assert (manifest.frame_stride, manifest.max_frames) == (frame_stride, max_frames)
    assert manifest.clips_root == str(clip_list.root)
    order = iter(extraction_order(clip_list))
    for split in ("train", "validation", "test"):
        found = examples(tmp_path / "shards", split)
        assert len(found) == manifest.split(split).clips == len(FRAMES_OF_CLIPS[split])
        for example in found:
            clip = next(order)
            feature = example.features.feature
            assert feature["clip/id"].bytes_list.value == [clip.path.encode()]
            assert feature["clip/label"].int64_list.value == [clip_list.label_of(clip)]
            assert feature["clip/group"].bytes_list.value == [clip.group.encode()]
            assert feature["clip/frame_rate_hz"].float_list.value == [20 / frame_stride]
            path = clip_list.path_of(clip)
            frames = list(read_frames(path, frame_stride, max_frames, backbone.resizing))
            stored = feature["frames/features"].bytes_list.value
            numbers = [np.frombuffer(frame, "<f2").reshape(2, 2, 24) for frame in stored]
            expected = backbone.features_of_resized(np.stack(frames))
            np.testing.assert_allclose(np.stack(numbers), expected, rtol=1e-3, atol=1e-4)


def test_extracting_twice_gives_the_same_bytes(clip_list, backbone, tmp_path):
    for name in ("first", "second"):
        extract(clip_list, tmp_path / name, backbone)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_training_clips_are_mixed_over_the_classes_whatever_their_order_in_the_list():
    def clips(number):
        return [
            Clip(f"{label}/{clip}.mp4", label, "train", f"{label}{clip}")
            for label in ("hop", "run")
            for clip in range(number)
        ]

    order = extraction_order(ClipList("videos", ("hop", "run"), clips(40)))
    for start in range(0, 80, 16):
        assert {clip.label for clip in order[start : start + 16]} == {"hop", "run"}
    assert order == extraction_order(ClipList("videos", ("hop", "run"), clips(40)[::-1]))
    fewer = extraction_order(ClipList("videos", ("hop", "run"), clips(30)))
    assert fewer == [clip for clip in order if clip in fewer]


def test_unreadable_clips_are_listed_printed_and_counted(
    clip_list, backbone, damaged, tmp_path, capsys
):
    missing = Clip("hop/missing.mp4", "hop", "train", "missing")
    manifest = extract(with_clips(clip_list, damaged, missing), tmp_path / "shards", backbone)
    assert sorted(clip.path for clip in manifest.unreadable) == [missing.path, damaged.path]
    reasons = {clip.path: clip.reason for clip in manifest.unreadable}
    assert "no video file" in reasons[missing.path]
    assert re.search(r"damaged in frame [1-9] |breaks off at frame [1-9] ", reasons[damaged.path])
    printed = capsys.readouterr().err
    assert "Unreadable: hop/missing.mp4" in printed
    assert "Unreadable: run/damaged.avi" in printed
    # The whole ones are as if the others had not been in the list.
    extract(clip_list, tmp_path / "whole", backbone)
    for path in (tmp_path / "whole").glob("*.tfrecord"):
        assert path.read_bytes() == (tmp_path / "shards" / path.name).read_bytes()


def test_with_strict_the_first_unreadable_clip_ends_everything(
    clip_list, backbone, damaged, tmp_path
):
    with pytest.raises(ValueError, match=r"--strict. Received: run/damaged.avi: "):
        extract(with_clips(clip_list, damaged), tmp_path / "shards", backbone, strict=True)
    assert not (tmp_path / "shards").exists()


def test_a_split_that_loses_all_its_clips_is_an_error(clip_list, backbone, tmp_path):
    missing = Clip("hop/missing.mp4", "hop", "test", "missing")
    listed = with_clips(only(clip_list, "train"), missing)
    with pytest.raises(ValueError, match=r"All 1 of test .*The first: hop/missing.mp4: There is"):
        extract(listed, tmp_path / "shards", backbone)
    assert not (tmp_path / "shards").exists()


def test_a_class_that_loses_all_its_training_clips_is_an_error(clip_list, backbone, tmp_path):
    lost = Clip("walk/missing.mp4", "walk", "train", "missing")
    clips = (*clip_list.clips, lost)
    listed = ClipList(clip_list.root, ("hop", "run", "walk"), clips)
    with pytest.raises(ValueError, match=r"for training. All 1 of walk are unreadable. The first"):
        extract(listed, tmp_path / "shards", backbone)


@pytest.mark.parametrize("name", ["frame_stride", "max_frames"])
def test_a_number_below_one_is_refused(clip_list, backbone, tmp_path, name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1. Received: 0"):
        extract(clip_list, tmp_path / "shards", backbone, **{name: 0})


def test_an_interrupted_extraction_leaves_no_shards_and_no_threads(
    clip_list, backbone, tmp_path, monkeypatch
):
    def interrupted(frames):
        raise KeyboardInterrupt

    monkeypatch.setattr(backbone, "features_of_resized", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract(clip_list, tmp_path / "shards", backbone)
    assert not (tmp_path / "shards").exists()
    assert not any(thread.name == "decoder" for thread in threading.enumerate())


def test_an_error_of_the_package_itself_is_not_taken_for_an_unreadable_clip(
    clip_list, backbone, tmp_path, monkeypatch
):
    def broken(*arguments, **keywords):
        raise TypeError("a fault in the program")

    monkeypatch.setattr("cham_keras.data.extraction.extraction.open_clip", broken)
    with pytest.raises(TypeError, match="a fault in the program"):
        extract(clip_list, tmp_path / "shards", backbone)


def test_clips_of_a_split_can_be_listed(clip_list, backbone, tmp_path):
    extract(clip_list, tmp_path / "shards", backbone)
    found = clips_in_split(tmp_path / "shards", "validation")
    listed = clip_list.clips_of_split("validation")
    assert [record.id for record in found] == [clip.path for clip in listed]
    assert [record.label for record in found] == [0, 1]
    assert [record.group for record in found] == [clip.group for clip in listed]
    assert [record.num_frames for record in found] == list(FRAMES_OF_CLIPS["validation"])
    assert [record.frame_rate_hz for record in found] == [20, 20]


def test_real_clips_of_many_sizes_and_a_corrupt_one(shared_data, backbone, tmp_path):
    names = ["mmaction2/part_0.mp4", "decord/video_90.mov", "decord/unordered.mov"]
    clips = [Clip(name, "fine", "train", name) for name in names]
    clips.append(Clip("decord/corrupted.mp4", "corrupt", "test", "corrupt"))
    clips.append(Clip("decord/video_0.mov", "corrupt", "train", "whole"))
    clips.append(Clip("decord/video_180.mov", "corrupt", "test", "whole too"))
    listed = ClipList(shared_data / "clips", ("corrupt", "fine"), clips)
    manifest = extract(listed, tmp_path / "shards", backbone, max_frames=40)
    assert [clip.path for clip in manifest.unreadable] == ["decord/corrupted.mp4"]
    assert manifest.split("train").clips == 4
    assert {
        record.id: record.num_frames for record in clips_in_split(tmp_path / "shards", "train")
    }["mmaction2/part_0.mp4"] == 32
