"""Standardized features: the numbers, the statistics, what is saved and what is refused."""

import keras
import numpy as np
import pytest
from layer_testing import random_array

from cham_keras import models
from cham_keras.models.feature_standardization import FeatureStandardization

SHAPE = (None, 5, 4, 3)
CLIPS = random_array((2, 6, 5, 4, 3), seed=1)
MEAN = np.array([1.0, -200.0, 0.0], "float32")
VARIANCE = np.array([4.0, 0.25, 100.0], "float32")
BUILDERS = {
    "cham": lambda **how: models.cham(SHAPE, 3, filters=2, **how),
    "conv_attention": lambda **how: models.conv_attention(
        SHAPE, 3, filters=2, initial_state="mean_conv", **how
    ),
    "fc_attention": lambda **how: models.fc_attention(SHAPE, 3, units=2, **how),
    "conv_alstm": lambda **how: models.conv_alstm(SHAPE, 3, filters=2, **how),
    "average_pooled_lstm": lambda **how: models.average_pooled_lstm(SHAPE, 3, units=2, **how),
    "softmax_regression": lambda **how: models.softmax_regression(SHAPE, 3, **how),
    "spatial_convnet": lambda **how: models.spatial_convnet(SHAPE, 3, **how),
}


def pair(name):
    """A model that standardizes and one that does not, with the same weights otherwise."""
    keras.utils.set_random_seed(1)
    standardizing, plain = BUILDERS[name](standardize=True), BUILDERS[name]()
    for ours, theirs in zip(standardizing.trainable_weights, plain.trainable_weights, strict=True):
        theirs.assign(ours)
    return standardizing, plain


@pytest.mark.parametrize("name", BUILDERS)
def test_every_model_scores_raw_features_as_standardized_ones_without(name, tmp_path):
    model, plain = pair(name)
    raw = (CLIPS * np.sqrt(VARIANCE) + MEAN).astype("float32")
    expected = plain.predict(CLIPS, verbose=0)
    # Before the statistics are set, nothing changes.
    np.testing.assert_array_equal(model.predict(CLIPS, verbose=0), expected)
    models.set_feature_statistics(model, MEAN, VARIANCE)
    # The same compiled function sees the new statistics.
    np.testing.assert_allclose(model.predict(raw, verbose=0), expected, atol=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(models.feature_statistics(loaded), (MEAN, VARIANCE), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(loaded.predict(raw, verbose=0), expected, atol=1e-4)


def test_statistics_are_no_trainable_weights():
    model, plain = pair("softmax_regression")
    assert len(model.trainable_weights) == len(plain.trainable_weights)
    assert sorted(weight.name for weight in model.non_trainable_weights) == ["mean", "variance"]


@pytest.mark.parametrize("mean", [0.0, 7.0, 1e6])
def test_a_channel_that_never_varied_is_only_centred(mean):
    model = BUILDERS["softmax_regression"](standardize=True)
    # What float32 makes of the variance of a constant is zero or rounding.
    for variance in (0.0, (1e-7 * mean) ** 2):
        models.set_feature_statistics(model, [mean, 0.0, 0.0], [variance, 1.0, 4.0])
        layer = model.get_layer("standardization")
        frames = np.array([[mean, 1.0, 1.0], [mean + 2, 3.0, 3.0]], "float32")
        np.testing.assert_allclose(layer(frames), [[0, 1, 0.5], [2, 3, 1.5]], rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_rounds_after_the_mean_is_gone(policy):
    layer = FeatureStandardization(dtype=policy)
    layer.build((None, 1))
    layer.mean.assign([4096.0])
    # Float16 keeps even numbers only from 2048 on, bfloat16 multiples of 32 from 4096 on.
    outputs = layer(np.array([[4097.0], [4099.0]], "float32"))
    assert keras.backend.standardize_dtype(outputs.dtype) == policy.removeprefix("mixed_")
    assert np.asarray(outputs, "float32").tolist() == [[1.0], [3.0]]


def test_a_model_without_is_refused():
    model = BUILDERS["softmax_regression"]()
    with pytest.raises(ValueError, match="built with standardize=True. Received: 'softmax_regr"):
        models.set_feature_statistics(model, MEAN, VARIANCE)
    with pytest.raises(ValueError, match="built with standardize=True"):
        models.feature_statistics(model)


@pytest.mark.parametrize(
    ("mean", "variance", "message"),
    [
        (MEAN[:2], VARIANCE, r"`mean` must have one number for each of the 3 channels.*\(2,\)"),
        (MEAN, 1.0, r"`variance` must have one number .* Received: an array of shape \(\)"),
        (MEAN, [1.0, -1.0, 1.0], "`variance` must be finite and not negative.*-1.0 in channel 1"),
        (MEAN, [1.0, 1.0, np.nan], "`variance` must be finite and not negative.*nan in channel 2"),
        ([np.inf, 0.0, 0.0], VARIANCE, "`mean` must be finite. Received: inf in channel 0"),
    ],
)
def test_bad_statistics_are_named_and_change_nothing(mean, variance, message):
    model = BUILDERS["softmax_regression"](standardize=True)
    with pytest.raises(ValueError, match=message):
        models.set_feature_statistics(model, mean, variance)
    assert models.feature_statistics(model)[0].tolist() == [0, 0, 0]
