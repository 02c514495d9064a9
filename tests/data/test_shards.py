"""Writing shards: the form of records and manifest, stable bytes, nothing half-written."""

import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from shard_testing import (
    CLASSES,
    SPEC,
    clip_features,
    examples,
    features_of_clip,
    write_small_shards,
)

from cham_keras.data.shards.manifest import UnreadableClip, read_manifest, write_manifest
from cham_keras.data.shards.shards import write_shards


@pytest.mark.parametrize(("dtype", "stored"), [("float16", "<f2"), ("float32", "<f4")])
def test_a_record_holds_the_keys_of_the_map_and_one_value_a_frame(tmp_path, dtype, stored):
    write_small_shards(tmp_path / "shards", [3, 1, 5], feature_dtype=dtype)
    found = examples(tmp_path / "shards")
    assert len(found) == 3
    for clip, (example, num_frames) in enumerate(zip(found, [3, 1, 5], strict=True)):
        feature = example.features.feature
        assert sorted(feature) == [
            "clip/frame_rate_hz",
            "clip/group",
            "clip/id",
            "clip/label",
            "clip/num_frames",
            "frames/features",
        ]
        assert feature["clip/id"].bytes_list.value == [f"train/{clip}.mp4".encode()]
        assert feature["clip/label"].int64_list.value == [clip]
        assert feature["clip/group"].bytes_list.value == [f"group-train-{clip}".encode()]
        assert feature["clip/num_frames"].int64_list.value == [num_frames]
        assert feature["clip/frame_rate_hz"].float_list.value == [12.5]
        frames = feature["frames/features"].bytes_list.value
        numbers = np.stack([np.frombuffer(frame, stored).reshape(2, 3, 4) for frame in frames])
        np.testing.assert_array_equal(numbers, features_of_clip(clip, num_frames))


def test_the_manifest_has_the_keys_of_the_map_and_counts_what_was_written(tmp_path):
    folder = tmp_path / "shards"
    clips = [
        *(clip_features(clip, 2 + clip) for clip in range(5)),
        UnreadableClip("train/bad.mp4", "it is damaged"),
        clip_features(1, 4, "test"),
    ]
    write_shards(
        folder,
        clips,
        classes=CLASSES,
        backbone=SPEC,
        clips_per_shard=2,
        frame_stride=2,
        max_frames=9,
        clips_root="videos",
        command="cham extract videos",
    )
    stored = json.loads((folder / "manifest.json").read_text())
    assert set(stored) == {
        *("schema_version", "classes", "feature_shape", "feature_dtype", "backbone"),
        *("frame_stride", "max_frames", "splits", "clips_root", "unreadable"),
        *("versions", "command", "storage_error"),
    }
    assert set(stored["backbone"]) == {
        *("name", "weights", "weights_sha256", "image_size", "preprocessing"),
        *("interpolation", "scaling"),
    }
    assert stored["feature_shape"] == [2, 3, 4]
    assert stored["unreadable"] == [{"path": "train/bad.mp4", "reason": "it is damaged"}]
    assert list(stored["splits"]) == ["train", "test"]
    train = stored["splits"]["train"]
    assert (train["clips"], train["frames"]) == (5, 2 + 3 + 4 + 5 + 6)
    assert train["clips_per_class"] == {"hop": 2, "run": 2, "skip": 1}
    assert stored["splits"]["test"]["clips_per_class"] == {"hop": 0, "run": 1, "skip": 0}
    names = [f"train-0000{k}-of-00003.tfrecord" for k in range(3)]
    assert [shard["file"] for shard in train["shards"]] == names
    assert [shard["clips"] for shard in train["shards"]] == [2, 2, 1]
    for shard in train["shards"]:
        assert (folder / shard["file"]).stat().st_size == shard["bytes"]
        assert re.fullmatch("[0-9a-f]{64}", shard["sha256"])
    named = {shard["file"] for split in stored["splits"].values() for shard in split["shards"]}
    assert {path.name for path in folder.iterdir()} == named | {"manifest.json"}


def test_a_manifest_comes_back_as_it_was_written(tmp_path):
    manifest = write_small_shards(tmp_path / "shards", [3, 1, 5])
    assert read_manifest(tmp_path / "shards") == manifest
    assert read_manifest(tmp_path / "shards" / "manifest.json") == manifest
    spec = dataclasses.replace(SPEC, weights="a.h5", weights_sha256="0" * 64)
    other = dataclasses.replace(manifest, backbone=spec, max_frames=7)
    write_manifest(other, tmp_path / "other.json")
    assert read_manifest(tmp_path / "other.json") == other


def test_the_same_clips_give_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        write_small_shards(tmp_path / name, [3, 1, 5])
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def with_value(value: float) -> np.ndarray:
    features = features_of_clip(0, 2)
    features[1, 0, 0, 0] = value
    return features


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"features": np.zeros((2, 3, 3, 4))}, r"shape \(frames, 2, 3, 4\).*\(2, 3, 3, 4\).*0.mp4"),
        ({"features": np.zeros((0, 2, 3, 4))}, r"at least one frame. Received: \(0, 2, 3, 4\)"),
        ({"features": with_value(np.nan)}, r"finite as float16. Received: nan in train/0.mp4"),
        (
            {"features": with_value(1e6)},
            r"finite as float16. Received: 1e\+06 in train/0.mp4.* as float32",
        ),
        ({"label": 3}, r"`label` must be from 0 to 2. Received: 3 for train/0.mp4"),
        ({"split": "dev"}, r"`split` must be one of train, validation, test. Received: 'dev'"),
    ],
)
def test_a_clip_that_breaks_a_rule_is_named_and_leaves_nothing(tmp_path, changes, sentence):
    clip = dataclasses.replace(clip_features(0, 2), **changes)
    with pytest.raises(ValueError, match=sentence):
        write_shards(tmp_path / "shards", [clip], classes=CLASSES, backbone=SPEC)
    assert list(tmp_path.iterdir()) == []


def test_a_clip_too_long_for_a_record_is_refused_before_it_is_copied(tmp_path):
    spec = dataclasses.replace(SPEC, feature_shape=(7, 7, 2048))
    # One frame in memory that stands for 11,000 of them.
    features = np.broadcast_to(np.float32(1), (11000, 7, 7, 2048))
    clip = dataclasses.replace(clip_features(0, 2), features=features)
    sentence = "fit into 2032 MiB.*2105 MiB for the 11000 frames of train/0.mp4.*--frame-stride"
    with pytest.raises(ValueError, match=sentence):
        write_shards(tmp_path / "shards", [clip], classes=CLASSES, backbone=spec)


def test_a_number_beyond_float16_can_be_stored_as_float32(tmp_path):
    clip = dataclasses.replace(clip_features(0, 2), features=with_value(1e6))
    write_shards(
        tmp_path / "shards", [clip], classes=CLASSES, backbone=SPEC, feature_dtype="float32"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"feature_dtype": "int4"},
            "`feature_dtype` must be one of float16, float32, int8.*'int4'",
        ),
        ({"clips_per_shard": 0}, "`clips_per_shard` must be at least 1. Received: 0"),
        ({"shard_bytes": 0}, "`shard_bytes` must be at least 1. Received: 0"),
    ],
)
def test_an_argument_that_breaks_a_rule_is_refused(tmp_path, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        write_small_shards(tmp_path / "shards", [3], **arguments)


def random_clips(num_clips=4, num_frames=3) -> list:
    rng = np.random.default_rng(0)
    shape = (num_frames, 2, 3, 4)
    return [
        dataclasses.replace(
            clip_features(clip, num_frames), features=rng.normal(0, 10**clip, shape)
        )
        for clip in range(num_clips)
    ]


def test_int8_is_within_half_a_step_of_each_channels_scale(tmp_path):
    clips = random_clips()
    manifest = write_shards(tmp_path, clips, classes=CLASSES, backbone=SPEC, feature_dtype="int8")
    worst = 0.0
    for clip, example in zip(clips, examples(tmp_path), strict=True):
        feature = example.features.feature
        numbers = np.stack(
            [np.frombuffer(f, "i1") for f in feature["frames/features"].bytes_list.value]
        )
        scales = np.stack(
            [np.frombuffer(f, "<f4") for f in feature["frames/scales"].bytes_list.value]
        )
        held = numbers.reshape(3, 2, 3, 4) * scales.reshape(3, 1, 1, 4)
        error = np.abs(held - clip.features)
        largest = np.abs(clip.features).max(axis=(1, 2), keepdims=True)
        assert np.all(error <= largest / 254 * (1 + 1e-5))
        assert np.all(np.abs(numbers).reshape(3, 6, 4).max(axis=1) == 127)
        worst = max(worst, error.max())
    assert manifest.storage_error.largest == pytest.approx(worst, rel=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
def test_the_manifest_says_how_far_the_stored_numbers_are_off(tmp_path, dtype):
    clips = random_clips()
    manifest = write_shards(tmp_path, clips, classes=CLASSES, backbone=SPEC, feature_dtype=dtype)
    features = np.stack([clip.features for clip in clips]).astype("float32").astype("float64")
    if dtype == "int8":
        scales = np.abs(features).max(axis=(2, 3), keepdims=True) / 127
        held = np.rint(features / scales) * scales
    else:
        held = features.astype(dtype).astype("float64")
    error = held - features
    relative = np.sqrt(np.sum(error**2) / np.sum(features**2))
    assert manifest.storage_error.relative_rms == pytest.approx(relative, rel=1e-3)
    assert (relative == 0) == (dtype == "float32")


def test_a_channel_of_zeros_stays_zero_in_int8(tmp_path):
    clip = dataclasses.replace(clip_features(0, 2), features=np.zeros((2, 2, 3, 4)))
    write_shards(tmp_path, [clip], classes=CLASSES, backbone=SPEC, feature_dtype="int8")
    feature = examples(tmp_path)[0].features.feature
    assert set(b"".join(feature["frames/features"].bytes_list.value)) == {0}


def test_a_shard_is_closed_as_soon_as_it_has_its_size(tmp_path):
    one = write_small_shards(tmp_path / "one", [3] * 6, clips_per_shard=None)
    size = one.split("train").shards[0].bytes // 6
    manifest = write_small_shards(
        tmp_path / "many", [3] * 6, clips_per_shard=None, shard_bytes=size + 1
    )
    assert [shard.clips for shard in manifest.split("train").shards] == [2, 2, 2]


def test_shards_have_the_bytes_of_tensorflows_own_writer(tmp_path):
    write_small_shards(tmp_path / "shards", [3, 1], clips_per_shard=None)
    (shard,) = (tmp_path / "shards").glob("*.tfrecord")
    with tf.io.TFRecordWriter(str(tmp_path / "other")) as writer:
        for record in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator():
            writer.write(record)
    assert shard.read_bytes() == (tmp_path / "other").read_bytes()


def test_no_clips_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="at least one clip"):
        write_small_shards(tmp_path / "shards", [])


def test_a_folder_that_holds_files_is_left_alone_unless_told(tmp_path):
    folder = tmp_path / "shards"
    write_small_shards(folder, [3])
    with pytest.raises(FileExistsError, match="--overwrite"):
        write_small_shards(folder, [1, 2])
    assert read_manifest(folder).split("train").clips == 1
    write_small_shards(folder, [1, 2], overwrite=True)
    assert read_manifest(folder).split("train").clips == 2


def test_an_interrupted_writing_leaves_nothing(tmp_path):
    def clips():
        yield clip_features(0, 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path / "shards", clips(), classes=CLASSES, backbone=SPEC)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_split_is_refused_with_those_that_there_are(tmp_path):
    manifest = write_small_shards(tmp_path / "shards", [3])
    with pytest.raises(ValueError, match="one of train, which the shards hold. Received: 'test'"):
        manifest.split("test")


def changed_manifest(folder, **changes) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"schema_version": 1, "new": 1}, "`schema_version` must be 2 or 3. Received: 1"),
        ({"feature_dtype": "int4"}, "`feature_dtype` .*'float16', 'float32' or 'int8'.*'int4'"),
        ({"surplus": 1}, "`surplus`"),
        ({"feature_shape": [7, 7]}, "feature_shape"),
    ],
)
def test_a_manifest_that_breaks_a_rule_is_refused_by_file_and_key(tmp_path, changes, sentence):
    write_small_shards(tmp_path, [3])
    changed_manifest(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"manifest.json: .*{sentence}"):
        read_manifest(tmp_path)


def test_a_missing_manifest_says_who_writes_one(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=f"no manifest.json at {path}.*cham extract"):
            read_manifest(path)
