"""Mean and variance of training features: all their frames, nothing of padding, no rounding."""

import numpy as np
import pytest
from shard_making import BACKBONE, CLASSES, FEATURE_SHAPE, make_shards
from training_testing import TO_BE_BROKEN, break_features, settings_of, train_quietly

from cham_keras.data import clip_dataset, write_shards
from cham_keras.data.shards.shards import ClipFeatures
from cham_keras.models import feature_statistics as statistics_of_model
from cham_keras.training.feature_statistics import feature_statistics


def clip(name, features, split="train"):
    return ClipFeatures(name, split, 0, name, 10.0, features.astype("float32"))


def write(folder, clips):
    write_shards(folder, clips, classes=CLASSES, backbone=BACKBONE, feature_dtype="float32")
    return folder


def test_statistics_are_those_of_all_frames_and_positions(tmp_path):
    rng = np.random.default_rng(0)
    # A mean far above the deviation is what sums of squares cannot do.
    clips = [rng.normal(1e4, 0.01, size=(n, *FEATURE_SHAPE)).astype("float32") for n in (2, 5, 3)]
    named = [clip(f"{n}.mp4", features) for n, features in enumerate(clips)]
    other = clip("other.mp4", np.zeros((4, *FEATURE_SHAPE)), split="test")
    shards = write(tmp_path / "shards", [*named, other])
    mean, variance = feature_statistics(shards, num_frames=5)
    values = np.concatenate(clips).reshape(-1, FEATURE_SHAPE[-1]).astype("float64")
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance, values.var(axis=0), rtol=1e-5)
    assert mean.dtype == variance.dtype == np.float32


def test_long_clips_give_evenly_spaced_frames(tmp_path):
    features = np.random.default_rng(0).normal(size=(9, *FEATURE_SHAPE))
    shards = write(tmp_path / "shards", [clip("a.mp4", features)])
    mean, _ = feature_statistics(shards, num_frames=3)
    np.testing.assert_allclose(mean, features[[1, 4, 7]].mean(axis=(0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize("kind", ["only", "beside"])
def test_statistics_of_differences_are_of_what_goes_into_the_model(tmp_path, kind):
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(n, *FEATURE_SHAPE)).astype("float32") for n in (2, 5)]
    shards = write(tmp_path / "shards", [clip(f"{n}.mp4", c) for n, c in enumerate(clips)])
    values = []
    for features in clips:
        changes = np.abs(np.diff(features, axis=0, prepend=features[:1]))
        values.append(changes if kind == "only" else np.concatenate([features, changes], axis=-1))
    values = np.concatenate(values).astype("float64")
    mean, variance = feature_statistics(shards, num_frames=5, temporal_differences=kind)
    np.testing.assert_allclose(mean, values.mean(axis=(0, 1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, values.var(axis=(0, 1, 2)), rtol=1e-5)


def test_features_that_are_not_finite_are_named_before_anything_is_trained(tmp_path):
    features = np.zeros((4, *FEATURE_SHAPE))
    broken = features.copy()
    broken[2, 0, 1, 3] = TO_BE_BROKEN
    shards = write(tmp_path / "shards", [clip("good.mp4", features), clip("bad.mp4", broken)])
    break_features(shards, np.inf)
    with pytest.raises(ValueError, match=r"infinite features in bad.mp4\. `cham verify`"):
        feature_statistics(shards, num_frames=4)


def test_a_run_that_standardizes_has_the_statistics_in_its_model(tmp_path):
    shards = make_shards(tmp_path / "shards")
    differences = "beside"
    settings = settings_of(
        model__name="average_pooled_lstm",
        model__filters=4,
        model__standardize=True,
        model__temporal_differences=differences,
        epochs=1,
    )
    run = train_quietly(shards, tmp_path / "run", settings)
    found = statistics_of_model(run.load_model())
    for ours, expected in zip(found, feature_statistics(shards, 3, differences), strict=True):
        np.testing.assert_array_equal(ours, expected)
    clips = clip_dataset(shards, "validation", num_frames=3, batch_size=6)
    kept = run.metrics()["kept"]["val_loss"]
    assert run.load_model().evaluate(clips, return_dict=True, verbose=0)["loss"] == pytest.approx(
        kept, rel=1e-5
    )
