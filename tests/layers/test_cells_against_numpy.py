"""Every cell against NumPy: random distinct weights, a map that is not square, whole arrays."""

import keras
import numpy as np
import numpy_reference as reference
import pytest
from layer_testing import in_eager_and_graph, random_array, randomize, weights_of

from cham_keras.layers import (
    ConvAttentionLSTMCell,
    ConvLSTMCell,
    HierarchicalSkipRNN,
    SoftAttentionLSTMCell,
    SpatialRNN,
)

BATCH, STEPS, HEIGHT, WIDTH, CHANNELS = 3, 7, 5, 4, 6
CLIPS = random_array((BATCH, STEPS, HEIGHT, WIDTH, CHANNELS), seed=1)


def run_by_hand(step, state_shape):
    """A hand loop over the clips: hidden states and maps of all steps, and the last states."""
    h = c = np.zeros(state_shape)
    hidden, maps = [], []
    for t in range(STEPS):
        h, c, *attention = step(CLIPS[:, t], h, c)
        hidden.append(h)
        maps += attention
    return np.stack(hidden, 1), np.stack(maps, 1) if maps else None, h, c


@pytest.mark.parametrize("run", in_eager_and_graph)
@pytest.mark.parametrize("candidate", ["sigmoid", "tanh"])
@pytest.mark.parametrize(("kernel_size", "input_kernel_size"), [(3, 3), (5, 5), (3, 1), (1, 5)])
def test_conv_attention_lstm_equals_the_equations(run, candidate, kernel_size, input_kernel_size):
    cell = ConvAttentionLSTMCell(
        4,
        kernel_size=kernel_size,
        input_kernel_size=input_kernel_size,
        attention_filters=5,
        attention_scale=HEIGHT * WIDTH,
        candidate_activation=candidate,
    )
    layer = SpatialRNN(cell, return_sequences=True, return_state=True, return_attention=True)
    weights = randomize(layer, CLIPS)
    expected = run_by_hand(
        lambda x, h, c: reference.conv_attention_lstm_step(
            x, h, c, weights, candidate, scale=HEIGHT * WIDTH
        ),
        (BATCH, HEIGHT, WIDTH, 4),
    )
    outputs, h, c, attention = run(layer, CLIPS)
    np.testing.assert_allclose(outputs, expected[0], atol=1e-5)
    np.testing.assert_allclose(attention, expected[1], atol=1e-5)
    np.testing.assert_allclose(h, expected[2], atol=1e-5)
    np.testing.assert_allclose(c, expected[3], atol=1e-5)


@pytest.mark.parametrize("run", in_eager_and_graph)
def test_attention_kernel_above_one_equals_the_equations(run):
    cell = ConvAttentionLSTMCell(4, attention_kernel_size=3)
    layer = SpatialRNN(cell, return_sequences=True, return_attention=True)
    weights = randomize(layer, CLIPS)
    expected = run_by_hand(
        lambda x, h, c: reference.conv_attention_lstm_step(x, h, c, weights),
        (BATCH, HEIGHT, WIDTH, 4),
    )
    outputs, attention = run(layer, CLIPS)
    np.testing.assert_allclose(outputs, expected[0], atol=1e-5)
    np.testing.assert_allclose(attention, expected[1], atol=1e-5)


@pytest.mark.parametrize("run", in_eager_and_graph)
@pytest.mark.parametrize("candidate", ["sigmoid", "tanh"])
@pytest.mark.parametrize("kernel_size", [3, 5, (3, 1)])
def test_conv_lstm_equals_the_equations(run, candidate, kernel_size):
    cell = ConvLSTMCell(4, kernel_size=kernel_size, candidate_activation=candidate)
    layer = SpatialRNN(cell, return_sequences=True, return_state=True)
    weights = randomize(layer, CLIPS)
    expected = run_by_hand(
        lambda x, h, c: reference.conv_lstm_step(x, h, c, weights, candidate),
        (BATCH, HEIGHT, WIDTH, 4),
    )
    outputs, h, c = run(layer, CLIPS)
    np.testing.assert_allclose(outputs, expected[0], atol=1e-5)
    np.testing.assert_allclose(h, expected[2], atol=1e-5)
    np.testing.assert_allclose(c, expected[3], atol=1e-5)


@pytest.mark.parametrize("run", in_eager_and_graph)
@pytest.mark.parametrize("candidate", ["sigmoid", "tanh"])
def test_soft_attention_lstm_equals_the_equations(run, candidate):
    cell = SoftAttentionLSTMCell(4, attention_units=5, candidate_activation=candidate)
    layer = SpatialRNN(cell, return_sequences=True, return_state=True, return_attention=True)
    weights = randomize(layer, CLIPS)
    expected = run_by_hand(
        lambda x, h, c: reference.soft_attention_lstm_step(x, h, c, weights, candidate),
        (BATCH, 4),
    )
    outputs, h, c, attention = run(layer, CLIPS)
    np.testing.assert_allclose(outputs, expected[0], atol=1e-5)
    np.testing.assert_allclose(attention, expected[1], atol=1e-5)
    np.testing.assert_allclose(h, expected[2], atol=1e-5)
    np.testing.assert_allclose(c, expected[3], atol=1e-5)


@pytest.mark.parametrize("run", in_eager_and_graph)
@pytest.mark.parametrize("steps", [1, 2, 5, 7])
@pytest.mark.parametrize("skip", [1, 2, 3])
def test_skip_layers_equal_a_hand_loop(run, skip, steps):
    clips = CLIPS[:, :steps]
    layer = HierarchicalSkipRNN(
        [ConvAttentionLSTMCell(4), ConvLSTMCell(3)], skip=skip, return_sequences=True
    )
    randomize(layer, clips)
    first, second = (weights_of(cell) for cell in layer.cells)
    expected = reference.skip_layers(clips, first, second, skip)
    np.testing.assert_allclose(run(layer, clips), expected, atol=1e-5)


@pytest.mark.parametrize("skip", [1, 2, 3])
def test_emitting_updates_gives_the_steps_at_which_the_second_layer_updates(skip):
    layer = HierarchicalSkipRNN(
        [ConvAttentionLSTMCell(4), ConvLSTMCell(3)],
        skip=skip,
        emit="updates",
        return_sequences=True,
    )
    randomize(layer, CLIPS)
    first, second = (weights_of(cell) for cell in layer.cells)
    expected = reference.skip_layers(CLIPS, first, second, skip)[:, skip - 1 :: skip]
    np.testing.assert_allclose(layer(CLIPS), expected, atol=1e-5)


def test_attention_of_a_cell_sums_to_the_scale():
    cell = ConvAttentionLSTMCell(4, attention_scale=2.5)
    cell.build((BATCH, HEIGHT, WIDTH, CHANNELS))
    maps = cell.attention(CLIPS[:, 0], random_array((BATCH, HEIGHT, WIDTH, 4), seed=3))
    np.testing.assert_allclose(np.sum(maps, axis=(1, 2)), 2.5, rtol=1e-6)


def test_a_call_of_the_cell_is_one_step_of_the_layer():
    cell = ConvAttentionLSTMCell(4)
    layer = SpatialRNN(cell)
    randomize(layer, CLIPS)
    zeros = keras.ops.zeros((BATCH, HEIGHT, WIDTH, 4))
    output, (h, _) = cell(CLIPS[:, 0], [zeros, zeros])
    np.testing.assert_array_equal(output, h)
    np.testing.assert_allclose(output, layer(CLIPS[:, :1]), atol=1e-6)
