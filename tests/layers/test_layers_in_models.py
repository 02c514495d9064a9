"""Configs, copies, saving, masks, states: what users do with layers besides calling them."""

import keras
import numpy as np
import pytest
from layer_testing import random_array, randomize

from cham_keras.layers import (
    ConvAttentionLSTMCell,
    ConvLSTMCell,
    HierarchicalSkipRNN,
    SoftAttentionLSTMCell,
    SpatialRNN,
)

CLIPS = random_array((2, 7, 5, 4, 3), seed=1)

# Every argument away from its default, so that a forgotten one shows.
LSTM_ARGUMENTS = {
    "activation": "sigmoid",
    "recurrent_activation": "hard_sigmoid",
    "candidate_activation": "softsign",
    "unit_forget_bias": True,
    "dropout": 0.1,
    "recurrent_dropout": 0.2,
    "kernel_initializer": keras.initializers.HeNormal(seed=1),
    "recurrent_initializer": keras.initializers.GlorotNormal(seed=2),
    "bias_initializer": keras.initializers.Constant(0.5),
    "kernel_regularizer": keras.regularizers.L2(0.1),
    "recurrent_regularizer": keras.regularizers.L2(0.2),
    "bias_regularizer": keras.regularizers.L2(0.3),
    "kernel_constraint": keras.constraints.MaxNorm(1.0),
    "recurrent_constraint": keras.constraints.MaxNorm(2.0),
    "bias_constraint": keras.constraints.MaxNorm(3.0),
    "seed": 7,
    "name": "a_cell",
}
ATTENTION_ARGUMENTS = {
    "attention_initializer": keras.initializers.HeUniform(seed=3),
    "attention_regularizer": keras.regularizers.L2(0.4),
    "attention_constraint": keras.constraints.MaxNorm(4.0),
}
CONV_ARGUMENTS = {"filters": 4, "kernel_size": (5, 3), "input_kernel_size": (1, 3)}
CELLS = {
    ConvLSTMCell: {**CONV_ARGUMENTS, **LSTM_ARGUMENTS},
    ConvAttentionLSTMCell: {
        **CONV_ARGUMENTS,
        **LSTM_ARGUMENTS,
        **ATTENTION_ARGUMENTS,
        "attention_filters": 6,
        "attention_kernel_size": (3, 1),
        "attention_scale": 20.0,
    },
    SoftAttentionLSTMCell: {
        "units": 4,
        "attention_units": 6,
        **LSTM_ARGUMENTS,
        **ATTENTION_ARGUMENTS,
    },
}


def plain(value):
    """A value as its config would hold it, for comparison."""
    return getattr(value, "__name__", None) or (
        value.get_config() if hasattr(value, "get_config") else value
    )


@pytest.mark.parametrize(("cell_class", "arguments"), CELLS.items())
def test_every_argument_of_a_cell_survives_its_config(cell_class, arguments):
    cell = cell_class(**arguments)
    again = cell_class.from_config(cell.get_config())
    for name, value in arguments.items():
        assert plain(getattr(again, name)) == plain(value), name
    assert again.get_config() == cell.get_config()


@pytest.mark.parametrize(
    "layer",
    [
        SpatialRNN(
            ConvAttentionLSTMCell(4),
            return_sequences=True,
            return_state=True,
            return_attention=True,
            go_backwards=True,
            zero_output_for_mask=True,
            name="a_layer",
        ),
        HierarchicalSkipRNN(
            [ConvAttentionLSTMCell(4), ConvLSTMCell(5)],
            skip=3,
            emit="updates",
            return_sequences=True,
            return_state=True,
            return_attention=True,
            name="a_layer",
        ),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_every_argument_of_a_layer_survives_its_config(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    layer(CLIPS)
    again(CLIPS)
    again.set_weights(layer.get_weights())
    for ours, theirs in zip(layer(CLIPS), again(CLIPS), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("cell_class", [ConvAttentionLSTMCell, ConvLSTMCell, SoftAttentionLSTMCell])
def test_a_bare_keras_rnn_names_spatial_rnn(cell_class):
    with pytest.raises(ValueError, match=r"SpatialRNN\(" + cell_class.__name__):
        keras.layers.RNN(cell_class(8))


def test_a_bare_keras_rnn_is_refused_for_a_cell_that_another_layer_has_driven():
    cell = ConvAttentionLSTMCell(8)
    SpatialRNN(cell)
    with pytest.raises(ValueError, match="SpatialRNN"):
        keras.layers.RNN(cell)(CLIPS)


def test_spatial_rnn_is_a_keras_rnn():
    assert isinstance(SpatialRNN(ConvLSTMCell(2)), keras.layers.RNN)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "`filters` must be a positive integer. Received: filters=0"),
        ({"filters": 4, "kernel_size": 4}, "`kernel_size` must be an odd .* kernel_size=4"),
        ({"filters": 4, "input_kernel_size": (3, 3, 3)}, "`input_kernel_size` must be an odd"),
        ({"filters": 4, "attention_kernel_size": 2}, "`attention_kernel_size` must be an odd"),
        ({"filters": 4, "attention_filters": 0.5}, "`attention_filters` must be a positive"),
        ({"filters": 4, "attention_scale": 0}, "`attention_scale` must be above zero"),
        ({"filters": 4, "dropout": 1.0}, "`dropout` must be at least 0 and below 1"),
        ({"filters": 4, "recurrent_dropout": -0.1}, "`recurrent_dropout` must be at least 0"),
    ],
)
def test_bad_arguments_of_a_cell_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvAttentionLSTMCell(**arguments)


def test_bad_arguments_of_the_layers_are_named():
    cells = [ConvAttentionLSTMCell(2), ConvLSTMCell(2)]
    with pytest.raises(ValueError, match="`cell` must be a cell of cham_keras.layers"):
        SpatialRNN(keras.layers.LSTMCell(2))
    with pytest.raises(ValueError, match="`return_attention` needs a cell with attention"):
        SpatialRNN(ConvLSTMCell(2), return_attention=True)
    with pytest.raises(ValueError, match="`stateful` is not supported"):
        SpatialRNN(ConvLSTMCell(2), stateful=True)
    with pytest.raises(ValueError, match="`cells` must be a list of two cells"):
        HierarchicalSkipRNN(cells[:1])
    with pytest.raises(ValueError, match=r"list of two cells .* Received: cells=16"):
        HierarchicalSkipRNN(16)
    with pytest.raises(ValueError, match="`skip` must be a positive integer. Received: skip=0"):
        HierarchicalSkipRNN(cells, skip=0)
    with pytest.raises(ValueError, match="`emit` must be one of 'all', 'updates'"):
        HierarchicalSkipRNN(cells, emit="some")


def test_padding_frames_do_not_change_outputs_wherever_they_stand():
    layer = HierarchicalSkipRNN(
        [ConvAttentionLSTMCell(4), ConvLSTMCell(3)],
        return_sequences=True,
        return_state=True,
        return_attention=True,
    )
    randomize(layer, CLIPS)
    alone = layer(CLIPS)
    junk = random_array((2, 2, 5, 4, 3), seed=9) * 100
    padded = np.concatenate([junk[:, :1], CLIPS[:, :3], junk, CLIPS[:, 3:], junk], axis=1)
    mask = np.array([[False] + [True] * 3 + [False] * 2 + [True] * 4 + [False] * 2] * 2)
    with_padding = layer(padded, mask=mask)
    for ours, theirs in zip(
        alone[:1] + alone[6:], with_padding[:1] + with_padding[6:], strict=True
    ):
        np.testing.assert_allclose(ours, np.asarray(theirs)[:, mask[0]], atol=1e-6)
    for ours, theirs in zip(alone[1:6], with_padding[1:6], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_lengths_are_a_mask_at_the_end():
    layer = HierarchicalSkipRNN(
        [ConvAttentionLSTMCell(4), ConvLSTMCell(3)], return_sequences=True, return_state=True
    )
    randomize(layer, CLIPS)
    mask = np.arange(7) < np.array([[4], [7]])
    by_lengths = layer(CLIPS, lengths=np.array([4, 7]))
    for ours, theirs in zip(by_lengths, layer(CLIPS, mask=mask), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="Only one of `mask` and `lengths`"):
        layer(CLIPS, mask=mask, lengths=np.array([4, 7]))


def test_clips_of_a_batch_keep_their_own_lengths():
    layer = HierarchicalSkipRNN(
        [ConvAttentionLSTMCell(4), ConvLSTMCell(3)],
        skip=3,
        return_sequences=True,
        return_state=True,
    )
    randomize(layer, CLIPS)
    mask = np.arange(7) < np.array([[4], [7]])
    together = layer(CLIPS, mask=mask)
    alone = layer(CLIPS[:1, :4])
    np.testing.assert_allclose(np.asarray(together[0])[:1, :4], alone[0], atol=1e-6)
    for ours, theirs in zip(together[1:], alone[1:], strict=True):
        np.testing.assert_allclose(np.asarray(ours)[:1], theirs, atol=1e-6)


@pytest.mark.parametrize("skip", [1, 2, 3])
@pytest.mark.parametrize("cuts", [(1, 2, 3, 4, 5, 6), (2, 5), (4,)])
def test_a_clip_in_chunks_gives_what_the_whole_clip_gives(skip, cuts):
    layer = HierarchicalSkipRNN(
        [ConvAttentionLSTMCell(4), ConvLSTMCell(3)],
        skip=skip,
        return_sequences=True,
        return_state=True,
    )
    randomize(layer, CLIPS)
    whole, *last_states = layer(CLIPS)
    states, outputs = None, []
    for chunk in np.split(CLIPS, cuts, axis=1):
        output, *states = layer(chunk, initial_state=states)
        outputs.append(output)
    np.testing.assert_allclose(np.concatenate(outputs, axis=1), whole, atol=1e-6)
    for ours, theirs in zip(states, last_states, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_going_backwards_is_the_reversed_clip():
    backwards = SpatialRNN(ConvAttentionLSTMCell(4), return_sequences=True, go_backwards=True)
    randomize(backwards, CLIPS)
    forwards = SpatialRNN(backwards.cell, return_sequences=True)
    np.testing.assert_array_equal(backwards(CLIPS), forwards(CLIPS[:, ::-1]))


def test_masked_steps_can_give_zeros():
    layer = SpatialRNN(ConvLSTMCell(4), return_sequences=True, zero_output_for_mask=True)
    randomize(layer, CLIPS)
    mask = np.arange(7) < np.array([[4], [7]])
    outputs = np.asarray(layer(CLIPS, mask=mask))
    assert not outputs[0, 4:].any()
    np.testing.assert_allclose(outputs[0, :4], np.asarray(layer(CLIPS))[0, :4], atol=1e-6)


@pytest.mark.parametrize(
    "cells",
    [
        lambda rates: SpatialRNN(ConvAttentionLSTMCell(4, **rates), return_sequences=True),
        lambda rates: SpatialRNN(SoftAttentionLSTMCell(4, **rates), return_sequences=True),
        lambda rates: HierarchicalSkipRNN(
            [ConvAttentionLSTMCell(4, **rates), ConvLSTMCell(3, **rates)], return_sequences=True
        ),
    ],
)
def test_dropout_acts_in_training_alone(cells):
    layer = cells({"dropout": 0.3, "recurrent_dropout": 0.3, "seed": 1})
    randomize(layer, CLIPS)
    at_rest = [np.asarray(layer(CLIPS, training=False)) for _ in range(2)]
    in_training = [np.asarray(layer(CLIPS, training=True)) for _ in range(2)]
    np.testing.assert_array_equal(*at_rest)
    assert np.abs(in_training[0] - in_training[1]).max() > 1e-3
    assert np.abs(in_training[0] - at_rest[0]).max() > 1e-3


def test_one_dropout_mask_serves_a_whole_sequence():
    cell = ConvLSTMCell(4, kernel_size=1, dropout=0.5, recurrent_initializer="zeros")
    layer = SpatialRNN(cell, return_sequences=True)
    constant = np.ones((1, 6, 3, 3, 2), "float32")
    layer(constant)
    # Without memory (forget gate shut) equal inputs give equal outputs only under equal masks.
    bias = np.zeros(16, "float32")
    bias[4:8] = -100
    cell.bias.assign(bias)
    outputs = np.asarray(layer(constant, training=True))
    np.testing.assert_allclose(outputs, np.repeat(outputs[:, :1], 6, axis=1), atol=1e-6)
    assert outputs.std(axis=(2, 3)).max() > 1e-3


def test_layers_take_part_in_sequential_and_functional_models_of_ones_own():
    clips = np.random.default_rng(0).normal(size=(8, 5, 6, 6, 3)).astype("float32")
    labels = np.arange(8) % 2
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((5, 6, 6, 3)),
            SpatialRNN(ConvAttentionLSTMCell(4), return_sequences=True),
            SpatialRNN(ConvLSTMCell(4)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    before = [np.copy(weight) for weight in model.get_weights()]
    model.fit(clips, labels, epochs=2, verbose=0)
    for weight, old, new in zip(model.weights, before, model.get_weights(), strict=True):
        assert np.abs(new - old).max() > 0, f"{weight.path} was not trained"
    again = keras.models.clone_model(model)
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict(clips, verbose=0), model.predict(clips, verbose=0))
