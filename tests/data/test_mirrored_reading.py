"""Clips mirrored by chance: whole clips, half of them, by seed and epoch, in both readings."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from shard_testing import CLASSES, SPEC, clip_features, write_small_shards

from cham_keras.data import write_shards
from cham_keras.data.reading.clip_dataset import clip_dataset
from cham_keras.data.reading.frame_choice import FrameChoice
from cham_keras.runs import DataSettings, RunSettings
from cham_keras.training import clip_datasets

FRAMES_OF_CLIPS = [3, 8, 1, 5, 12, 6, 4, 9]
both_readings = pytest.mark.parametrize("reading", ["auto", "sequential"])


def features_of(dataset) -> np.ndarray:
    """(clips, time, height, width, channels), of the batches one after the other."""
    return np.concatenate([inputs["features"].numpy() for inputs, _ in dataset])


@both_readings
@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
@pytest.mark.parametrize("short_clips", ["repeat", "pad"])
def test_a_clip_is_mirrored_as_a_whole_or_not(tmp_path, reading, dtype, short_clips):
    write_small_shards(tmp_path, FRAMES_OF_CLIPS, feature_dtype=dtype)
    way = {"sampling": "random", "seed": 4, "short_clips": short_clips, "reading": reading}
    as_stored = features_of(clip_dataset(tmp_path, "train", 5, 3, **way))
    found = features_of(clip_dataset(tmp_path, "train", 5, 3, mirror=True, **way))
    choice = FrameChoice(5, "random", repeat_last=True, seed=4, mirror=True)
    decisions = [choice.is_mirrored(0, clip) for clip in range(len(FRAMES_OF_CLIPS))]
    assert 0 < sum(decisions) < len(decisions)
    for clip, is_mirrored in enumerate(decisions):
        expected = as_stored[clip][:, :, ::-1] if is_mirrored else as_stored[clip]
        np.testing.assert_array_equal(found[clip], expected)
        assert (expected != expected[:, :, ::-1]).any()  # so that a flip can be seen


def test_both_readings_mirror_the_same_clips_in_every_epoch(tmp_path):
    write_small_shards(tmp_path, FRAMES_OF_CLIPS)
    way = {"sampling": "uniform", "seed": 1, "mirror": True, "start_epoch": 5}
    one, other = (
        clip_dataset(tmp_path, "train", 4, 3, reading=reading, **way)
        for reading in ("auto", "sequential")
    )
    epochs = [features_of(one) for _ in range(3)]
    for epoch in epochs:
        np.testing.assert_array_equal(features_of(other), epoch)
    assert (epochs[0] != epochs[1]).any() and (epochs[1] != epochs[2]).any()


@both_readings
def test_a_run_that_goes_on_mirrors_what_it_would_have(tmp_path, reading):
    write_small_shards(tmp_path, FRAMES_OF_CLIPS)
    way = {"sampling": "random", "shuffle": True, "repeat": True, "mirror": True}
    whole = clip_dataset(tmp_path, "train", 4, 3, reading=reading, **way).take(9)
    rest = clip_dataset(tmp_path, "train", 4, 3, reading=reading, start_batch=4, **way).take(5)
    np.testing.assert_array_equal(features_of(rest), features_of(whole)[12:])


def test_the_graph_decides_as_numpy_does_for_half_of_the_clips():
    choice = FrameChoice(4, "random", repeat_last=True, seed=2**40, mirror=True)
    words = [(epoch, clip) for epoch in range(20) for clip in range(20)]
    expected = [choice.is_mirrored(*pair) for pair in words]
    decide = tf.function(lambda pair: choice.is_mirrored_in_graph(pair[0], pair[1]))
    found = [bool(decide(tf.constant(pair, tf.int64))) for pair in words]
    assert found == expected
    assert 160 < sum(expected) < 240
    other = dataclasses.replace(choice, seed=1)
    assert [other.is_mirrored(*pair) for pair in words] != expected


def test_windows_for_evaluation_are_never_mirrored(tmp_path):
    write_small_shards(tmp_path, FRAMES_OF_CLIPS)
    with pytest.raises(ValueError, match="`mirror` must be false with sampling='all_frames'"):
        clip_dataset(tmp_path, "train", 4, 3, sampling="all_frames", mirror=True)


def test_training_mirrors_its_own_clips_and_not_those_to_validate_on(tmp_path):
    both = {"train": FRAMES_OF_CLIPS, "validation": FRAMES_OF_CLIPS}
    clips = [clip_features(i, n, split) for split, of in both.items() for i, n in enumerate(of)]
    write_shards(tmp_path, clips, classes=CLASSES, backbone=SPEC)
    found = {}
    for mirror in (False, True):
        data = DataSettings(num_frames=4, batch_size=8, mirror=mirror)
        training, validation = clip_datasets(tmp_path, RunSettings(data=data))
        found[mirror] = features_of(training.take(1)), features_of(validation)
    (plain, validated), (mirrored, validated_too) = found[False], found[True]
    np.testing.assert_array_equal(validated, validated_too)
    is_flipped = [(one != other).any() for one, other in zip(plain, mirrored, strict=True)]
    assert 0 < sum(is_flipped) < len(is_flipped)
