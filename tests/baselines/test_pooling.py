"""Pooled features: equal to NumPy on shards, once read and then kept."""

import numpy as np
import pytest
import tensorflow as tf
from shard_making import BACKBONE, CLASSES, FEATURE_SHAPE, make_shards
from shard_testing import examples

from cham_keras.baselines import pooled_clips as module
from cham_keras.baselines.pooled_clips import pooled_clips
from cham_keras.baselines.pooling import STATISTICS, STATISTICS_OF_POOLING, pooled_statistics
from cham_keras.data import ClipFeatures, clips_in_split, write_shards


def clips_of_lengths(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [
        ClipFeatures(
            id=f"{number}.mp4",
            split="train",
            label=number % len(CLASSES),
            group=f"group {number}",
            frame_rate_hz=25.0,
            features=rng.normal(size=(length, *FEATURE_SHAPE)).astype("float32"),
        )
        for number, length in enumerate(lengths)
    ]


def written(folder, clips):
    write_shards(folder, clips, classes=CLASSES, backbone=BACKBONE, feature_dtype="float32")
    return folder


def by_hand(features):
    features = features.astype(np.float64)
    axes, third = (0, 1, 2), max(1, len(features) // 3)
    moved = np.zeros(features.shape[1:])  # of each position, its mean over time
    if len(features) > 1:
        moved = np.abs(np.diff(features, axis=0)).mean(axis=0)
    return {
        "mean": np.mean(features, axis=axes),
        "max": np.max(features, axis=axes),
        "std": np.sqrt(np.mean((features - features.mean(axis=axes)) ** 2, axis=axes)),
        "change": moved.mean(axis=(0, 1)),
        "peak_change": moved.max(axis=(0, 1)),
        "drift": features[-third:].mean(axis=axes) - features[:third].mean(axis=axes),
    }


def test_pooled_shards_equal_numpy_also_for_clips_longer_than_a_window(tmp_path):
    # 32 frames make a window: one clip of a frame, some around a window, one of three windows.
    clips = clips_of_lengths([1, 2, 5, 31, 32, 33, 64, 95])
    pooled = pooled_clips(written(tmp_path / "shards", clips), "train")
    assert [clip.id for clip in pooled.clips] == [clip.id for clip in clips]
    assert pooled.labels.tolist() == [clip.label for clip in clips]
    assert pooled.groups.tolist() == [clip.group for clip in clips]
    for row, clip in enumerate(clips):
        expected = by_hand(clip.features)
        for name in STATISTICS:
            found = pooled.statistics[name][row]
            np.testing.assert_allclose(found, expected[name], rtol=1e-5, atol=1e-6)


def test_a_pooling_is_its_statistics_one_behind_the_other(tmp_path):
    pooled = pooled_clips(written(tmp_path / "shards", clips_of_lengths([4, 6])), "train")
    for pooling, names in STATISTICS_OF_POOLING.items():
        expected = np.hstack([pooled.statistics[name] for name in names])
        np.testing.assert_array_equal(pooled.pooled(pooling), expected)


def test_kept_features_are_the_same_and_the_shards_are_not_read_again(tmp_path, monkeypatch):
    shards = make_shards(tmp_path / "shards")
    first = pooled_clips(shards, "test", tmp_path / "out")

    def refuse(*_):
        raise RuntimeError("read again")

    monkeypatch.setattr(module, "clip_windows", refuse)
    again = pooled_clips(shards, "test", tmp_path / "out")
    assert again.clips == first.clips == tuple(clips_in_split(shards, "test"))
    for name in STATISTICS:
        np.testing.assert_array_equal(again.statistics[name], first.statistics[name])


def test_features_kept_of_other_shards_are_made_anew(tmp_path):
    pooled_clips(make_shards(tmp_path / "old", seed=1), "test", tmp_path / "out")
    new = make_shards(tmp_path / "new", seed=2)
    kept = pooled_clips(new, "test", tmp_path / "out")
    fresh = pooled_clips(new, "test")
    np.testing.assert_array_equal(kept.statistics["mean"], fresh.statistics["mean"])


def test_a_broken_file_of_kept_features_is_named(tmp_path):
    shards = make_shards(tmp_path / "shards")
    pooled_clips(shards, "test", tmp_path / "out")
    file = tmp_path / "out" / "pooled-test.npz"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"pooled-test\.npz must be .* Delete it"):
        pooled_clips(shards, "test", tmp_path / "out")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_is_refused_with_the_clips_name(tmp_path, value):
    shards = written(tmp_path / "shards", clips_of_lengths([4, 5, 6]))
    (path,) = shards.glob("*.tfrecord")
    records = examples(shards)
    # No shard is written like that; other programs' shards might hold it.
    frames = records[1].features.feature["frames/features"].bytes_list.value
    frames[4] = frames[4][:-4] + np.float32(value).tobytes()  # the last number of the clip
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record.SerializeToString(deterministic=True))
    with pytest.raises(ValueError, match=r"must be finite numbers\. The clip 1\.mp4"):
        pooled_clips(shards, "train", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_features_without_a_frame_are_refused():
    with pytest.raises(ValueError, match=r"at least one frame\. Received: shape \(0, 2, 2, 3\)"):
        pooled_statistics(np.zeros((0, 2, 2, 3)))
