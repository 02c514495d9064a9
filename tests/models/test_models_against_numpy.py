"""Whole models against NumPy: random distinct weights, a map that is not square, whole arrays."""

import numpy as np
import numpy_reference as reference
import pytest
from layer_testing import random_array, weights_of

from cham_keras import models

BATCH, STEPS, HEIGHT, WIDTH, CHANNELS, CLASSES = 3, 6, 4, 3, 5, 4
CLIPS = 2 * random_array((BATCH, STEPS, HEIGHT, WIDTH, CHANNELS), seed=1) + 1
LENGTHS = np.array([6, 4, 1], "int32")
SHAPE = (None, HEIGHT, WIDTH, CHANNELS)


def drawn(model):
    """A model whose weights are distinct random numbers."""
    rng = np.random.default_rng(2)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(scale=0.4, size=weight.shape))
    return model


def layer_weights(model, name):
    """Kernel and bias of a layer, in float64."""
    layer = model.get_layer(name)
    return np.asarray(layer.kernel, "float64"), np.asarray(layer.bias, "float64")


def dense(model, name, vectors):
    kernel, bias = layer_weights(model, name)
    return vectors @ kernel + bias


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def mean_over_time(clips):
    """The mean of the valid frames: `(batch, height, width, channels)`."""
    return np.stack([clip[:n].mean(axis=0) for clip, n in zip(clips, LENGTHS, strict=True)])


def recurred(step, clips, h, c):
    """The hidden states of all steps, `(batch, time, ...)`."""
    hidden = []
    for t in range(STEPS):
        h, c, *_ = step(clips[:, t], h, c)
        hidden.append(h)
    return np.stack(hidden, axis=1)


def assert_valid_steps_equal(model, expected):
    probabilities = model.predict({"features": CLIPS, "lengths": LENGTHS}, verbose=0)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == expected.shape
    for clip, length in enumerate(LENGTHS):
        np.testing.assert_allclose(probabilities[clip, :length], expected[clip, :length], atol=1e-5)
    # Scores that are the same for all steps would prove little.
    assert np.abs(np.diff(expected, axis=1)).max() > 0.01


def test_softmax_regression_equals_its_equation():
    model = drawn(models.softmax_regression(SHAPE, CLASSES, lengths=True))
    cubes = CLIPS.reshape(BATCH, STEPS, HEIGHT * WIDTH * CHANNELS).astype("float64")
    assert_valid_steps_equal(model, softmax(dense(model, "logits", cubes)))


def test_spatial_convnet_equals_its_equation():
    model = drawn(models.spatial_convnet(SHAPE, CLASSES, lengths=True))
    pooled = CLIPS.astype("float64").mean(axis=(2, 3))
    assert_valid_steps_equal(model, softmax(dense(model, "logits", pooled)))


def vector_start(model, clips):
    """States h and c by a dense tanh layer each from the mean feature."""
    mean = mean_over_time(clips).mean(axis=(1, 2))
    return [np.tanh(dense(model, name, mean)) for name in ("initial_h", "initial_c")]


def map_start(model, clips, names):
    """A state each by a 3x3 convolution with tanh of the mean of the frames."""
    mean = mean_over_time(clips)
    starts = []
    for name in names:
        kernel, bias = layer_weights(model, f"initial_{name}")
        assert kernel.shape[:2] == (3, 3)
        starts.append(np.tanh(reference.convolve(mean, kernel) + bias))
    return starts


def head_of_states(model, hidden):
    return softmax(dense(model, "logits", np.tanh(dense(model, "hidden", hidden))))


def test_average_pooled_lstm_equals_its_equations():
    model = drawn(models.average_pooled_lstm(SHAPE, CLASSES, units=4, head_units=6, lengths=True))
    weights = weights_of(model.get_layer("recurrence").cell)

    def step(frame, h, c):
        z = frame.mean(axis=(1, 2)) @ weights["kernel"] + h @ weights["recurrent_kernel"]
        return reference.gates(*np.split(z + weights["bias"], 4, axis=-1), c, "tanh")

    clips = CLIPS.astype("float64")
    hidden = recurred(step, clips, *vector_start(model, clips))
    assert_valid_steps_equal(model, head_of_states(model, hidden))


def test_fc_attention_equals_its_equations():
    model = drawn(models.fc_attention(SHAPE, CLASSES, units=4, head_units=6, lengths=True))
    weights = weights_of(model.get_layer("recurrence").cell)
    clips = CLIPS.astype("float64")
    hidden = recurred(
        lambda frame, h, c: reference.soft_attention_lstm_step(frame, h, c, weights),
        clips,
        *vector_start(model, clips),
    )
    assert_valid_steps_equal(model, head_of_states(model, hidden))


def test_conv_alstm_equals_its_equations():
    model = drawn(models.conv_alstm(SHAPE, CLASSES, filters=4, head_units=6, lengths=True))
    weights = weights_of(model.get_layer("recurrence").cell)
    clips = CLIPS.astype("float64")
    hidden = recurred(
        lambda frame, h, c: reference.conv_attention_lstm_step(frame, h, c, weights, "tanh"),
        clips,
        *map_start(model, clips, ("h", "c")),
    )
    assert_valid_steps_equal(model, head_of_states(model, hidden.reshape(BATCH, STEPS, -1)))


def test_conv_alstm_has_the_sizes_of_its_source():
    model = models.conv_alstm((None, 7, 7, 16), 51, filters=8)
    assert model.get_layer("hidden").kernel.shape == (7 * 7 * 8, 1024)
    assert model.get_layer("dropout").rate == 0.7
    assert model.get_layer("hidden").activation.__name__ == "tanh"


@pytest.mark.parametrize("initial_state", ["mean_conv", "learned"])
def test_both_layers_of_cham_start_from_their_states(initial_state):
    model = drawn(
        models.cham(
            SHAPE,
            CLASSES,
            filters=4,
            head_units=6,
            initial_state=initial_state,
            standardize=True,
            lengths=True,
        )
    )
    mean, variance = np.array([1.0, 0.5, -1.0, 2.0, 0.0]), np.array([4.0, 1.0, 0.25, 9.0, 2.0])
    models.set_feature_statistics(model, mean, variance)
    clips = (CLIPS.astype("float64") - mean) / np.sqrt(variance)
    names = ("h1", "c1", "h2", "c2")
    if initial_state == "mean_conv":
        h1, c1, h2, c2 = map_start(model, clips, names)
    else:
        states = [np.asarray(model.get_layer(f"initial_{name}").state) for name in names]
        h1, c1, h2, c2 = (np.broadcast_to(state, (BATCH, *state.shape)) for state in states)
    first, second = (weights_of(cell) for cell in model.get_layer("recurrence").cells)
    outputs = []
    for t in range(STEPS):
        h1, c1, _ = reference.conv_attention_lstm_step(clips[:, t], h1, c1, first)
        if t % 2 == 1:  # the second, fourth, … step
            h2, c2 = reference.conv_lstm_step(h1, h2, c2, second)
        outputs.append(np.concatenate([h1, h2], axis=-1).mean(axis=(1, 2)))
    assert_valid_steps_equal(model, head_of_states(model, np.stack(outputs, axis=1)))


def test_learned_states_start_as_zeros():
    how = {"filters": 4, "head_units": 6}
    learned = models.conv_attention(SHAPE, CLASSES, initial_state="learned", **how)
    zeros = models.conv_attention(SHAPE, CLASSES, **how)
    assert [weight.shape for weight in learned.get_layer("initial_h").weights] == [(4, 3, 4)]
    for ours, theirs in (("recurrence", "recurrence"), ("hidden", "hidden"), ("logits", "logits")):
        zeros.get_layer(theirs).set_weights(learned.get_layer(ours).get_weights())
    np.testing.assert_allclose(
        learned.predict(CLIPS, verbose=0), zeros.predict(CLIPS, verbose=0), atol=1e-6
    )
