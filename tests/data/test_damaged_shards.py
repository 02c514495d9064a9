"""Shards that are damaged, missing or of another extraction, and how that is said."""

import json

import numpy as np
import pytest
import tensorflow as tf
from shard_testing import (
    CLASSES,
    SPEC,
    clip_features,
    features_of_clip,
    write_small_shards,
)

from cham_keras.data.reading.clip_dataset import clip_dataset, clip_windows
from cham_keras.data.reading.shard_reader import clips_in_split, shard_errors_named
from cham_keras.data.shards.shards import write_shards
from cham_keras.data.shards.verify import verify_shards

FRAMES_OF_CLIPS = [3, 8, 1, 5, 12, 6, 4]
READERS = {
    "clip_dataset": lambda folder, reading: list(
        clip_dataset(folder, "train", 3, 2, shuffle=True, reading=reading)
    ),
    "clip_windows": lambda folder, reading: list(
        clip_windows(folder, "train", 3, 2, reading=reading)
    ),
}
SECOND_SHARD = "train-00001-of-00004.tfrecord"


@pytest.fixture
def shards(tmp_path):
    """Seven clips in four shards."""
    write_small_shards(tmp_path / "shards", FRAMES_OF_CLIPS)
    return tmp_path / "shards"


@pytest.fixture(params=READERS)
def reader(request):
    """Reads all clips in one of two ways."""

    def read(folder, reading="auto"):
        with shard_errors_named():
            READERS[request.param](folder, reading)

    return read


@pytest.fixture(params=["auto", "sequential"])
def read_all(request, reader):
    return lambda folder: reader(folder, request.param)


def change_manifest(folder, change) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def flip(path, place) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


def test_a_corrupted_record_is_named_with_its_shard(shards, reader):
    path = shards / SECOND_SHARD
    flip(path, -200)  # in the second of its two records
    with pytest.raises(ValueError, match=rf"^Shard {path}, record 1, cannot be read: .*verify"):
        reader(shards, "sequential")


def test_random_access_does_not_see_a_flipped_bit_within_a_frame(shards, reader):
    flip(shards / SECOND_SHARD, -200)
    reader(shards)
    assert verify_shards(shards)


def test_damage_outside_of_frames_is_named(shards, reader):
    path = shards / SECOND_SHARD
    content = path.read_bytes()
    (second_record,) = [
        place
        for place in range(len(content) - 12)
        if place + 16 + int.from_bytes(content[place : place + 8], "little") == len(content)
    ]
    first_frame = content.index(features_of_clip(3, 5)[0].astype("<f2").tobytes())
    places = {
        "length of the record": second_record + 2,
        "first key": second_record + 20,
        "key of the frames": content.rindex(b"frames/features"),
        "length of the list": first_frame - 4,
        "length of the first frame": first_frame - 1,
        "length of the third frame": first_frame + 2 * 50 - 1,
        "length of the last frame": first_frame + 4 * 50 - 1,
    }
    for what, place in places.items():
        flip(path, place)
        try:
            with pytest.raises(ValueError, match=f"^Shard {path}, record 1, .*verify"):
                reader(shards)
        except BaseException as error:
            error.add_note(f"damaged: {what}")
            raise
        flip(path, place)
    reader(shards)


def test_a_shard_that_is_cut_off_while_it_is_read_is_named(shards):
    dataset = clip_dataset(shards, "train", 3, 2)
    path = shards / SECOND_SHARD
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"^Shard {path}, record 1, cannot"), shard_errors_named():
        list(dataset)
    path.unlink()
    sentence = f"^Shard {path}, record 0, cannot be read: .*No such"
    with pytest.raises(ValueError, match=sentence), shard_errors_named():
        list(dataset)


def test_a_corrupted_record_is_named_when_clips_are_listed(shards):
    path = shards / SECOND_SHARD
    flip(path, 40)
    with pytest.raises(ValueError, match=f"^Shard {path}, record 0, cannot be read"):
        clips_in_split(shards, "train")


def test_a_shard_of_another_size_is_refused_before_it_is_read(shards):
    path = shards / SECOND_SHARD
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=f"Shard {path} must have the .* bytes"):
        clip_dataset(shards, "train", 3, 2)


def test_a_missing_shard_is_named(shards):
    (shards / SECOND_SHARD).unlink()
    with pytest.raises(FileNotFoundError, match=str(shards / SECOND_SHARD)):
        clip_dataset(shards, "train", 3, 2)


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("feature_shape", [2, 3, 5], r"48 bytes: features of shape \(2, 3, 5\).* must have 60"),
        ("feature_dtype", "float32", r"48 bytes: .*dtype float32.* must have 96"),
        ("classes", ["hop"], r"holds label 1: labels must be from 0 to 0"),
    ],
)
def test_a_record_that_does_not_agree_with_the_manifest_is_named(
    shards, read_all, key, value, rule
):
    change_manifest(shards, lambda manifest: manifest.update({key: value}))
    with pytest.raises(ValueError, match=rf"^Shard .*tfrecord, record [01], .*{rule}"):
        read_all(shards)


def test_a_shard_of_another_extraction_is_named(shards, tmp_path, read_all):
    """The same size in the manifest, other features inside."""
    clips = [clip_features(0, 3), clip_features(1, 8)]
    for clip in clips:
        object.__setattr__(clip, "features", np.zeros((len(clip.features), 2, 3, 5)))
    spec = {"feature_shape": (2, 3, 5)}
    other = type(SPEC)(**({name: getattr(SPEC, name) for name in vars(SPEC)} | spec))
    write_shards(tmp_path / "other", clips, classes=CLASSES, backbone=other)
    path = shards / SECOND_SHARD
    (tmp_path / "other" / "train-00000-of-00001.tfrecord").rename(path)

    def change(manifest):
        manifest["splits"]["train"]["shards"][1]["bytes"] = path.stat().st_size

    change_manifest(shards, change)
    with pytest.raises(ValueError, match=f"^Shard {path}, record 0, holds frames of 60 bytes"):
        read_all(shards)


def test_a_record_without_features_is_named(shards, read_all):
    path = shards / SECOND_SHARD
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(2):
            writer.write(tf.train.Example().SerializeToString() + b"\n\0")

    def change(manifest):
        manifest["splits"]["train"]["shards"][1]["bytes"] = path.stat().st_size

    change_manifest(shards, change)
    with pytest.raises(ValueError, match=f"^Shard {path}, record [01], holds"):
        read_all(shards)
