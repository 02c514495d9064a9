"""Temporal differences, dropped channels, heads of few weights: against NumPy, and their rules."""

import keras
import numpy as np
import pytest
from layer_testing import random_array

from cham_keras import models
from cham_keras.models.temporal_differences import TemporalDifferences

SHAPE = (None, 5, 4, 3)
CLIPS = random_array((2, 6, 5, 4, 3), seed=1)
BUILDERS = {
    "cham": lambda **how: models.cham(SHAPE, 3, filters=2, **how),
    "conv_attention": lambda **how: models.conv_attention(SHAPE, 3, filters=2, **how),
    "conv_alstm": lambda **how: models.conv_alstm(SHAPE, 3, filters=2, **how),
    "fc_attention": lambda **how: models.fc_attention(SHAPE, 3, units=2, **how),
    "average_pooled_lstm": lambda **how: models.average_pooled_lstm(SHAPE, 3, units=2, **how),
}


def by_hand(clips):
    """|F_t - F_t-1|, zero for the first frame."""
    changes = np.zeros_like(clips)
    for t in range(1, clips.shape[1]):
        changes[:, t] = np.where(
            clips[:, t] > clips[:, t - 1],
            clips[:, t] - clips[:, t - 1],
            clips[:, t - 1] - clips[:, t],
        )
    return changes


@pytest.mark.parametrize("kind", ["only", "beside"])
def test_differences_are_those_to_the_frame_before(kind):
    expected = by_hand(CLIPS)
    if kind == "beside":
        expected = np.concatenate([CLIPS, expected], axis=-1)
    layer = TemporalDifferences(kind)
    np.testing.assert_array_equal(layer(CLIPS), expected)
    assert layer.compute_output_shape((None, *SHAPE)) == (None, None, 5, 4, expected.shape[-1])
    again = TemporalDifferences.from_config(layer.get_config())
    np.testing.assert_array_equal(again(CLIPS), expected)


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("kind", ["only", "beside"])
def test_a_model_with_differences_is_the_plain_one_on_standardized_differences(name, kind):
    inputs = by_hand(CLIPS)
    if kind == "beside":
        inputs = np.concatenate([CLIPS, inputs], axis=-1)
    channels = inputs.shape[-1]
    mean = np.linspace(-1, 2, channels).astype("float32")
    variance = np.linspace(0.5, 3, channels).astype("float32")
    model = BUILDERS[name](temporal_differences=kind, standardize=True)
    models.set_feature_statistics(model, mean, variance)
    plain = keras.models.clone_model(_plain(name, channels))
    for ours, theirs in zip(model.trainable_weights, plain.trainable_weights, strict=True):
        ours.assign(np.random.default_rng(len(ours.shape)).normal(scale=0.5, size=ours.shape))
        theirs.assign(ours)
    expected = plain.predict((inputs - mean) / np.sqrt(variance), verbose=0)
    np.testing.assert_allclose(model.predict(CLIPS, verbose=0), expected, atol=1e-5)
    assert np.ptp(expected, axis=1).max() > 1e-3  # scores that are all the same prove little


def _plain(name, channels):
    builder = getattr(models, name)
    size = {"units": 2} if name in ("fc_attention", "average_pooled_lstm") else {"filters": 2}
    return builder((*SHAPE[:-1], channels), 3, **size)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_rounds_differences_and_not_features(policy):
    layer = TemporalDifferences("only", dtype=policy)
    clip = np.array([4096.0, 4097.0, 4099.0], "float32").reshape(1, 3, 1, 1, 1)
    outputs = layer(clip)
    assert keras.backend.standardize_dtype(outputs.dtype) == policy.removeprefix("mixed_")
    assert np.asarray(outputs, "float32").ravel().tolist() == [0.0, 1.0, 2.0]


def test_a_kind_that_is_none_is_named():
    with pytest.raises(ValueError, match="'none', 'beside' or 'only'. Received: .*'both'"):
        BUILDERS["cham"](temporal_differences="both")


@pytest.mark.parametrize("name", BUILDERS)
def test_dropped_channels_are_dropped_in_all_of_a_clip_and_in_training_only(name):
    model = BUILDERS[name](feature_dropout=0.5, seed=3)
    layer = model.get_layer("feature_dropout")
    ones = np.ones((64, 6, 5, 4, 3), "float32")
    outputs = np.asarray(layer(ones, training=True))
    assert set(np.unique(outputs)) == {0.0, 2.0}
    np.testing.assert_array_equal(outputs, np.broadcast_to(outputs[:, :1, :1, :1], outputs.shape))
    assert 0.35 < (outputs[:, 0, 0, 0] == 0).mean() < 0.65
    assert len(np.unique(outputs[:, 0, 0, 0], axis=0)) > 2  # clips differ
    np.testing.assert_array_equal(layer(ones, training=False), ones)


def test_the_head_without_a_dense_layer_takes_the_largest_of_each_map():
    model = models.conv_attention(SHAPE, 4, filters=5, pooling="max", head_units=0)
    assert "hidden" not in [layer.name for layer in model.layers]
    outputs = model.get_layer("recurrence").output[0]  # beside the attention maps
    maps = np.asarray(keras.Function(model.input, outputs).call(CLIPS), "float64")
    logits_layer = model.get_layer("logits")
    kernel, bias = (np.asarray(weight, "float64") for weight in logits_layer.weights)
    logits = maps.max(axis=(2, 3)) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(model.predict(CLIPS, verbose=0), expected, atol=1e-5)
