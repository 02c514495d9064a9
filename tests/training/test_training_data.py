"""Batches of a fit: where they begin, which part of a step they are, what clips weigh."""

import dataclasses

import numpy as np
import pytest
from shard_making import BACKBONE, CLASSES, make_clip, make_shards
from training_testing import settings_of

from cham_keras.data import read_manifest, write_shards
from cham_keras.training.training_data import class_weights, training_clips, validation_clips


@pytest.fixture(scope="module")
def uneven_shards(tmp_path_factory):
    """One clip of the first class, two of the second, five of the third."""
    rng = np.random.default_rng(0)
    clips = [
        make_clip(label, index, "train", rng)
        for label, count in enumerate((1, 2, 5))
        for index in range(count)
    ]
    folder = tmp_path_factory.mktemp("data") / "shards"
    write_shards(folder, clips, classes=CLASSES, backbone=BACKBONE, feature_dtype="float32")
    return folder


def features_of(batches):
    return np.concatenate([batch[0]["features"].numpy() for batch in batches])


def test_parts_of_steps_hold_the_clips_of_the_whole_steps(tmp_path):
    shards = make_shards(tmp_path / "shards")
    whole = features_of(training_clips(shards, settings_of()).take(4))
    parts = settings_of(optimizer__accumulation_steps=3)
    np.testing.assert_array_equal(features_of(training_clips(shards, parts).take(12)), whole)
    later = features_of(training_clips(shards, parts, start_batch=7).take(5))
    np.testing.assert_array_equal(later, whole[14:])


def test_balanced_weights_give_each_class_the_same_sum(uneven_shards):
    weights = class_weights(read_manifest(uneven_shards))
    np.testing.assert_allclose(weights, [8 / 3, 8 / 6, 8 / 15], rtol=1e-6)
    np.testing.assert_allclose(weights * [1, 2, 5], 8 / 3, rtol=1e-6)


def test_a_class_without_training_clips_weighs_nothing(uneven_shards):
    manifest = read_manifest(uneven_shards)
    split = dataclasses.replace(
        manifest.split("train"), clips_per_class={CLASSES[0]: 2, CLASSES[1]: 0, CLASSES[2]: 6}
    )
    manifest = dataclasses.replace(manifest, splits={"train": split})
    np.testing.assert_allclose(class_weights(manifest), [2, 0, 2 / 3], rtol=1e-6)


def test_each_clip_comes_with_the_weight_of_its_class(uneven_shards):
    settings = settings_of(class_weights="balanced", data__short_clips="pad", data__num_frames=20)
    for _, targets, weights in training_clips(uneven_shards, settings).take(2):
        expected = class_weights(read_manifest(uneven_shards))[targets[:, 0].numpy()]
        np.testing.assert_array_equal(weights, expected)
        assert (targets.numpy() == -1).any()


def test_validation_clips_have_no_weights_and_may_be_missing(uneven_shards, tmp_path):
    settings = settings_of(class_weights="balanced")
    assert validation_clips(uneven_shards, settings) is None
    shards = make_shards(tmp_path / "shards")
    assert all(len(batch) == 2 for batch in validation_clips(shards, settings))
