"""Batches of frames: the clips, frames and order of shards, and how frames are varied."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from frame_testing import IMAGE_SIZE, make_clips, small_network

from cham_keras.data import clip_dataset, extract, load_backbone
from cham_keras.data.clip_list import Clip, ClipList
from cham_keras.data.frames.video import write_video
from cham_keras.data.reading.frame_augmentation import FrameAugmentation
from cham_keras.data.reading.frame_clips import clip_errors_named
from cham_keras.data.reading.frame_counts import count_frames
from cham_keras.data.reading.frame_dataset import frame_dataset, readable_clips


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return make_clips(tmp_path_factory.mktemp("clips"))


def frames_of(clips, split="train", batches=None, **arguments):
    """All of a data set, batch after batch, as NumPy."""
    defaults = {"num_frames": 4, "batch_size": 4, "image_size": IMAGE_SIZE}
    dataset = frame_dataset(clips, split, **(defaults | arguments))
    return list(itertools.islice(dataset.as_numpy_iterator(), batches))


@pytest.mark.parametrize("short_clips", ["repeat", "pad"])
@pytest.mark.parametrize("num_frames", [4, 8])
def test_clips_frames_and_order_are_those_of_shards(clips, tmp_path, num_frames, short_clips):
    small_network(tmp_path / "cnn.keras")
    backbone = load_backbone(str(tmp_path / "cnn.keras"))
    extract(clips, tmp_path / "shards", backbone, feature_dtype="float32")
    which = {"num_frames": num_frames, "batch_size": 4, "short_clips": short_clips, "seed": 3}
    which |= {"sampling": "random", "shuffle": True, "repeat": True}
    from_shards = clip_dataset(tmp_path / "shards", "train", **which)
    from_frames = frames_of(clips, batches=5, **which)
    for (features, targets), (frames, other_targets) in zip(
        itertools.islice(from_shards.as_numpy_iterator(), 5), from_frames, strict=True
    ):
        np.testing.assert_array_equal(other_targets, targets)
        np.testing.assert_array_equal(frames["lengths"], features["lengths"])
        flat = frames["frames"].reshape(-1, IMAGE_SIZE, IMAGE_SIZE, 3)
        computed = backbone.features_of_resized(flat).reshape(features["features"].shape)
        valid = targets >= 0
        np.testing.assert_allclose(computed[valid], features["features"][valid], atol=1e-5)
        assert not frames["frames"][~valid].any()


@pytest.mark.parametrize("repeat", [True, False])
def test_a_data_set_begun_in_the_middle_gives_what_an_unbroken_one_gives(clips, repeat):
    which = {"sampling": "random", "shuffle": True, "seed": 1, "repeat": repeat}
    which |= {"augmentation": FrameAugmentation(), "start_epoch": 2}
    unbroken = frames_of(clips, batches=5 if repeat else None, **which)
    later = frames_of(clips, batches=4 if repeat else None, start_batch=1, **which)
    assert len(unbroken) > 1
    for (inputs, targets), (same, same_targets) in zip(unbroken[1:], later, strict=True):
        np.testing.assert_array_equal(inputs["frames"], same["frames"])
        np.testing.assert_array_equal(targets, same_targets)


def test_each_pass_is_another_epoch_and_each_seed_another_order(clips):
    which = {"num_frames": 4, "batch_size": 6, "image_size": IMAGE_SIZE}
    which |= {"sampling": "random", "shuffle": True}
    dataset = frame_dataset(clips, "train", **which)
    first, second = [next(dataset.as_numpy_iterator())[0]["frames"] for _ in range(2)]
    assert (first != second).any()
    (other,) = frames_of(clips, seed=1, **which)
    assert (first != other[0]["frames"]).any()


def test_augmentation_is_the_same_for_all_frames_of_a_clip_and_differs_between_clips(tmp_path):
    # Each clip stands still and all show one picture, so that only augmentation tells apart.
    rows, columns = np.mgrid[0:64, 0:96]
    still = np.stack([columns * 2, rows * 3, rows + columns], -1).astype("uint8")
    listed = []
    for clip in range(8):
        write_video(tmp_path / f"{clip}.mp4", [still] * 5, frame_rate_hz=10)
        listed.append(Clip(f"{clip}.mp4", "ab"[clip % 2], "train", str(clip)))
    clips = ClipList(tmp_path, ("a", "b"), tuple(listed))
    for augmentation in (FrameAugmentation("corners"), FrameAugmentation("random")):
        ((inputs, _),) = frames_of(clips, batch_size=8, augmentation=augmentation)
        frames = inputs["frames"].astype(int)
        # A still film differs by what the encoder loses.
        assert np.abs(frames - frames[:, :1]).max() <= 6
        pairs = itertools.combinations(frames[:, 0], 2)
        differing = [np.abs(one - other).max() > 12 for one, other in pairs]
        assert np.mean(differing) > 0.8
    ((plain, _),) = frames_of(clips, batch_size=8)
    assert np.abs(plain["frames"].astype(int) - plain["frames"][:1].astype(int)).max() <= 6


@pytest.mark.parametrize("crop", ["corners", "random"])
def test_a_crop_is_a_function_of_seed_epoch_and_clip(crop):
    augmentation = FrameAugmentation(crop)
    numbers = list(itertools.product(range(3), range(3), range(20)))
    drawn = [augmentation.crop_of(*each) for each in numbers]
    assert drawn == [augmentation.crop_of(*each) for each in numbers]
    assert len(set(drawn)) > 60
    assert 0.35 < np.mean([each.mirrored for each in drawn]) < 0.65
    areas = [each.height * each.width for each in drawn]
    assert min(areas) >= 0.4 and max(areas) > 0.75
    assert {each.height != each.width for each in drawn} == {True, False} or crop == "random"


def test_nothing_is_cropped_or_mirrored_where_that_is_not_wanted():
    drawn = [FrameAugmentation(mirror=False).crop_of(0, 0, clip) for clip in range(50)]
    assert not any(each.mirrored for each in drawn)
    drawn = [FrameAugmentation("none").crop_of(0, 0, clip) for clip in range(50)]
    assert all(each.is_whole for each in drawn)
    assert {each.mirrored for each in drawn} == {True, False}


def damaged(folder: Path) -> ClipList:
    """A list of which one clip is a text."""
    clips = make_clips(folder, {"train": 2, "test": 1})
    (folder / "left" / "train0.mp4").write_text("no film")
    return clips


def test_a_clip_that_cannot_be_read_is_left_out_and_named_or_refused(tmp_path):
    clips = damaged(tmp_path)
    readable, unreadable = readable_clips(clips, "train")
    assert len(readable) == 3
    assert [each.path for each in unreadable] == ["left/train0.mp4"]
    with pytest.raises(ValueError, match=r"1 of 4 clips of the split train.*left/train0.mp4"):
        readable_clips(clips, "train", strict=True)
    (tmp_path / "left" / "test0.mp4").unlink()
    (tmp_path / "right" / "test0.mp4").unlink()
    with pytest.raises(ValueError, match="2 of 2 clips of the split test cannot be read"):
        frame_dataset(clips, "test", 4, 2, IMAGE_SIZE)
    with pytest.raises(ValueError, match=r"'validation', which has none"):
        frame_dataset(clips, "validation", 4, 2, IMAGE_SIZE)


def test_a_clip_that_breaks_after_it_was_counted_is_named(tmp_path):
    clips = make_clips(tmp_path, {"train": 2})
    batches = frame_dataset(clips, "train", 4, 4, IMAGE_SIZE, repeat=True)
    (tmp_path / "right" / "train1.mp4").write_text("no film")
    sentence = r"^The clip right/train1.mp4 cannot be read: .*list\.$"
    with pytest.raises(ValueError, match=sentence), clip_errors_named():
        list(batches.take(2))


def test_counts_are_kept_in_the_index_as_long_as_the_file_stays(tmp_path, monkeypatch):
    clips = make_clips(tmp_path / "clips", {"train": 2})
    index = tmp_path / "frames.json"
    counts = count_frames(clips, clips.clips, index=index)
    assert counts == {
        "left/train0.mp4": 6, "left/train1.mp4": 7, "right/train0.mp4": 6, "right/train1.mp4": 7
    }  # fmt: skip
    values = json.loads(index.read_text())
    values["clips"]["left/train0.mp4"]["num_frames"] = 60
    index.write_text(json.dumps(values))
    assert count_frames(clips, clips.clips, index=index)["left/train0.mp4"] == 60
    (tmp_path / "clips" / "left" / "train0.mp4").touch()  # another time of change
    assert count_frames(clips, clips.clips, index=index)["left/train0.mp4"] == 6
    assert count_frames(clips, clips.clips, 2, index=index)["left/train1.mp4"] == 4
    index.write_text("{}")
    with pytest.raises(ValueError, match=r"frames.json must be an index of frame counts"):
        count_frames(clips, clips.clips, index=index)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"num_frames": 0}, "`num_frames` must be at least 1. Received: 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: 0"),
        ({"sampling": "all_frames"}, "`sampling` must be random or uniform"),
        ({"short_clips": "cut"}, "`short_clips` must be one of repeat, pad"),
        ({"start_epoch": -1}, "`start_epoch` must be at least 0"),
        ({"start_batch": 9}, "`start_batch` must be below 2"),
        ({"image_size": 0}, "`image_size` must be at least 1"),
    ],
)
def test_an_argument_that_breaks_its_rule_is_refused(clips, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        frames_of(clips, **arguments)
