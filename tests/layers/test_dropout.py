"""Dropout: one mask a sequence, drawn for every clip and call; none of it in inference."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_testing import random_array, randomize
from numpy_reference import conv_attention_lstm_step, conv_lstm_step, soft_attention_lstm_step

from cham_keras import models
from cham_keras.export.graph_check import FORBIDDEN
from cham_keras.layers import (
    ConvAttentionLSTMCell,
    ConvLSTMCell,
    HierarchicalSkipRNN,
    SoftAttentionLSTMCell,
    SpatialRNN,
)

CLIPS = random_array((2, 5, 4, 3, 8), seed=1)
RATES = {
    "inputs": {"dropout": 0.4},
    "hidden_states": {"recurrent_dropout": 0.4},
    "both": {"dropout": 0.4, "recurrent_dropout": 0.4},
}
CELLS = {
    "conv_attention": ConvAttentionLSTMCell,
    "conv": ConvLSTMCell,
    "soft_attention": SoftAttentionLSTMCell,
}
NUMPY_STEPS = {
    "conv_attention": conv_attention_lstm_step,
    "conv": conv_lstm_step,
    "soft_attention": soft_attention_lstm_step,
}
MODELS = {
    "cham": lambda **rates: models.cham((None, 4, 3, 8), 3, filters=2, head_units=4, **rates),
    "conv_attention": lambda **rates: models.conv_attention(
        (None, 4, 3, 8), 3, filters=2, head_units=4, **rates
    ),
    "fc_attention": lambda **rates: models.fc_attention(
        (None, 4, 3, 8), 3, units=2, head_units=4, **rates
    ),
}


@pytest.fixture(params=["step", "hoisted"])
def implementation(request):
    return request.param


def layer_of(cell, implementation, **rates):
    layer = SpatialRNN(
        CELLS[cell](2, seed=3, **rates), return_sequences=True, implementation=implementation
    )
    return layer, randomize(layer, CLIPS)


def two_layers(implementation, **rates):
    layer = HierarchicalSkipRNN(
        [ConvAttentionLSTMCell(2, seed=3, **rates), ConvLSTMCell(2, seed=4, **rates)],
        return_sequences=True,
        implementation=implementation,
    )
    randomize(layer, CLIPS)
    return layer


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("rates", RATES.values(), ids=RATES)
def test_every_step_has_the_masks_of_its_sequence(cell, rates, implementation):
    layer, weights = layer_of(cell, implementation, **rates)
    # A generator in the same state draws the masks that the layer will draw.
    state = np.copy(layer.cell.seed_generator.state)
    drawn = layer.cell.get_dropout_masks(CLIPS[:, 0].shape)
    layer.cell.seed_generator.state.assign(state)
    of_inputs, of_hidden = (1.0 if mask is None else np.asarray(mask) for mask in drawn)

    h = c = np.zeros(layer.cell.state_shape(CLIPS[:, 0].shape))
    expected = []
    for t in range(CLIPS.shape[1]):
        h, c, *_ = NUMPY_STEPS[cell](CLIPS[:, t] * of_inputs, h * of_hidden, c, weights)
        expected.append(h)
    outputs = layer(CLIPS, training=True)
    np.testing.assert_allclose(outputs, np.stack(expected, axis=1), atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_masks_hold_zeros_and_what_keeps_the_mean(cell):
    cell = CELLS[cell](40, dropout=0.25, recurrent_dropout=0.5, seed=3)
    masks = cell.get_dropout_masks((8, 4, 3, 40))
    for mask, share in zip(masks, (0.25, 0.5), strict=True):
        mask = np.asarray(mask)
        np.testing.assert_allclose(np.unique(mask), [0, 1 / (1 - share)], rtol=1e-6)
        assert (mask == 0).mean() == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("rates", RATES.values(), ids=RATES)
def test_clips_and_calls_have_masks_of_their_own(cell, rates, implementation):
    layer, _ = layer_of(cell, implementation, **rates)
    twice = np.repeat(CLIPS[:1], 2, axis=0)
    first, second = (np.asarray(layer(twice, training=True)) for _ in range(2))
    assert np.abs(first[0] - first[1]).max() > 1e-3, "two clips share a mask"
    assert np.abs(first - second).max() > 1e-3, "two calls share a mask"


@pytest.mark.parametrize("rates", RATES.values(), ids=RATES)
def test_graphs_draw_new_masks_at_every_run(rates, implementation):
    layer, _ = layer_of("conv_attention", implementation, **rates)
    graph = tf.function(lambda clips: layer(clips, training=True))
    assert np.abs(graph(CLIPS) - graph(CLIPS)).max() > 1e-3


def test_both_layers_drop_the_same_under_both_implementations():
    rates = {"dropout": 0.4, "recurrent_dropout": 0.4}
    step, hoisted = two_layers("step", **rates), two_layers("hoisted", **rates)
    for ours, theirs in zip(step.cells, hoisted.cells, strict=True):
        theirs.seed_generator.state.assign(ours.seed_generator.state)
    with_dropout = step(CLIPS, training=True)
    np.testing.assert_allclose(hoisted(CLIPS, training=True), with_dropout, atol=1e-5)
    # Without the second layer's own dropout its half of the channels would not move.
    assert np.abs(np.asarray(with_dropout - step(CLIPS))[..., 2:]).max() > 1e-3


@pytest.mark.parametrize("cell", [*CELLS, "two_layers"])
def test_inference_is_that_of_a_layer_without_dropout(cell, implementation):
    rates = {"dropout": 0.4, "recurrent_dropout": 0.4}
    if cell == "two_layers":
        layer, plain = two_layers(implementation, **rates), two_layers(implementation)
    else:
        layer, plain = (layer_of(cell, implementation, **some)[0] for some in (rates, {}))
    expected = plain(CLIPS)
    np.testing.assert_array_equal(layer(CLIPS), expected)
    np.testing.assert_array_equal(layer(CLIPS, training=False), expected)


def operations(function, *specs):
    """Kinds of all operations of a graph and of the functions it calls."""
    graph = tf.function(function).get_concrete_function(*specs).graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return {node.op for node in nodes}


def forbidden(kinds):
    return {
        kind
        for kind in kinds
        if re.fullmatch(FORBIDDEN["random"], kind) or re.fullmatch(FORBIDDEN["assign"], kind)
    }


@pytest.mark.parametrize("cell", [*CELLS, "two_layers"])
def test_graphs_of_inference_hold_no_random_and_no_assigning_operation(cell, implementation):
    rates = {"dropout": 0.4, "recurrent_dropout": 0.4}
    layer = (
        two_layers(implementation, **rates)
        if cell == "two_layers"
        else layer_of(cell, implementation, **rates)[0]
    )
    spec = tf.TensorSpec((None, None, *CLIPS.shape[2:]), "float32")
    assert not forbidden(operations(lambda clips: layer(clips, training=False), spec))
    # What the check must be able to see.
    assert forbidden(operations(lambda clips: layer(clips, training=True), spec))


@pytest.mark.parametrize("name", MODELS)
def test_graphs_of_models_hold_no_random_and_no_assigning_operation(name):
    keras.utils.set_random_seed(1)
    model = MODELS[name](dropout=0.5, recurrent_dropout=0.2)
    spec = tf.TensorSpec((None, None, *CLIPS.shape[2:]), "float32")
    kinds = operations(lambda clips: model(clips, training=False), spec)
    assert "MatMul" in kinds or "BatchMatMulV2" in kinds
    assert not forbidden(kinds)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_predicts_the_same_twice(name):
    model = MODELS[name](dropout=0.5, recurrent_dropout=0.2)
    np.testing.assert_array_equal(model(CLIPS), model(CLIPS))
