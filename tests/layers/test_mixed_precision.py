"""Half precision: products in float16 or bfloat16, softmax and cell memory in float32."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_testing import random_array

from cham_keras import models
from cham_keras.layers import (
    ConvAttentionLSTMCell,
    ConvLSTMCell,
    HierarchicalSkipRNN,
    SoftAttentionLSTMCell,
    SpatialRNN,
)
from cham_keras.layers.equations import attention_map
from cham_keras.losses import SequenceCrossEntropy
from cham_keras.metrics import ClipAccuracy, FrameAccuracy

CLIPS = random_array((3, 6, 5, 4, 8), seed=1)
# A number is kept to half of this share of itself: 11 bits of float16, 8 of bfloat16.
ROUNDING = {"mixed_float16": 2.0**-10, "mixed_bfloat16": 2.0**-7}
# A few roundings a step (products, gates, h) over six steps, halved by each forget gate.
TOLERANCE = {policy: 4 * rounding for policy, rounding in ROUNDING.items()}
CELLS = {
    "conv_attention": lambda **kwargs: ConvAttentionLSTMCell(
        2, attention_filters=3, attention_scale=20.0, **kwargs
    ),
    "conv": lambda **kwargs: ConvLSTMCell(2, **kwargs),
    "soft_attention": lambda **kwargs: SoftAttentionLSTMCell(2, attention_units=3, **kwargs),
}
MODELS = {
    "cham": lambda: models.cham((None, 5, 4, 8), 3, filters=4, head_units=8, lengths=True),
    "conv_attention": lambda: models.conv_attention(
        (None, 5, 4, 8), 3, filters=4, head_units=8, initial_state="mean_conv", lengths=True
    ),
    "fc_attention": lambda: models.fc_attention(
        (None, 5, 4, 8), 3, units=4, head_units=8, lengths=True
    ),
}
BATCH = {"features": CLIPS, "lengths": np.array([6, 4, 1], "int32")}
LABELS = np.array([0, 1, 2])


@pytest.fixture(params=ROUNDING)
def policy(request):
    return request.param


@pytest.fixture(params=["step", "hoisted"])
def implementation(request):
    return request.param


@pytest.fixture
def global_policy(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    yield policy
    keras.config.set_dtype_policy(before)


def spatial_rnn(cell, policy, **how):
    """A layer under a policy; its weights are the same under every policy."""
    keras.utils.set_random_seed(1)
    layer = SpatialRNN(
        CELLS[cell](dtype=policy), dtype=policy, return_sequences=True, return_state=True, **how
    )
    layer.build(CLIPS.shape)
    return layer


def skip_rnn(policy, **how):
    keras.utils.set_random_seed(1)
    cells = [CELLS["conv_attention"](dtype=policy), ConvLSTMCell(3, dtype=policy)]
    layer = HierarchicalSkipRNN(
        cells, dtype=policy, return_sequences=True, return_state=True, **how
    )
    layer.build(CLIPS.shape)
    return layer


def compute_dtype(policy):
    return keras.DTypePolicy(policy).compute_dtype


def as_float32(tensors):
    return [np.asarray(tf.cast(tensor, "float32")) for tensor in tensors]


@pytest.mark.parametrize("cell", CELLS)
def test_hidden_states_are_half_and_the_cell_memory_is_float32(cell, policy, implementation):
    layer = spatial_rnn(cell, policy, implementation=implementation)
    outputs, h, c = layer(CLIPS)
    assert outputs.dtype == h.dtype == compute_dtype(policy)
    assert c.dtype == "float32"
    assert all(weight.dtype == "float32" for weight in layer.weights)


def test_both_memories_of_the_two_layers_are_float32(policy, implementation):
    outputs, h1, c1, h2, c2, phase = skip_rnn(policy, implementation=implementation)(CLIPS)
    assert outputs.dtype == h1.dtype == h2.dtype == compute_dtype(policy)
    assert c1.dtype == c2.dtype == "float32"
    assert phase.dtype == "int32"


@pytest.mark.parametrize("cell", CELLS)
def test_the_model_knows_the_dtypes_before_it_runs(cell, policy):
    layer = spatial_rnn(cell, policy)
    outputs, h, c = layer(keras.Input(CLIPS.shape[1:]))
    assert outputs.dtype == h.dtype == compute_dtype(policy)
    assert c.dtype == "float32"


@pytest.mark.parametrize("cell", CELLS)
def test_outputs_are_near_those_in_float32(cell, policy, implementation):
    half = spatial_rnn(cell, policy, implementation=implementation)
    full = spatial_rnn(cell, "float32", implementation="step")
    full.set_weights(half.get_weights())
    for lengths in (None, BATCH["lengths"]):
        theirs = as_float32(half(CLIPS, lengths=lengths))
        ours = as_float32(full(CLIPS, lengths=lengths))
        for in_half, in_full in zip(theirs, ours, strict=True):
            scale = max(1.0, np.abs(in_full).max())
            np.testing.assert_allclose(in_half, in_full, atol=TOLERANCE[policy] * scale)
            assert np.abs(in_half - in_full).max() > 0  # it did compute in half precision


def test_two_layers_are_near_those_in_float32(policy, implementation):
    half = skip_rnn(policy, implementation=implementation)
    full = skip_rnn("float32", implementation="step")
    full.set_weights(half.get_weights())
    for in_half, in_full in zip(as_float32(half(CLIPS)), as_float32(full(CLIPS)), strict=True):
        scale = max(1.0, np.abs(in_full).max())
        np.testing.assert_allclose(in_half, in_full, atol=TOLERANCE[policy] * scale)


@pytest.mark.parametrize("cell", CELLS)
def test_two_hundred_steps_stay_finite_and_near_float32(cell, policy):
    clip = random_array((1, 200, 3, 3, 8), seed=2)
    half = spatial_rnn(cell, policy, implementation="hoisted")
    full = spatial_rnn(cell, "float32", implementation="hoisted")
    full.set_weights(half.get_weights())
    theirs, ours = (as_float32(tf.function(layer)(clip)) for layer in (half, full))
    for in_half, in_full in zip(theirs, ours, strict=True):
        assert np.isfinite(in_half).all()
        # The forget gates let old roundings fade: no more than after six steps, times two.
        scale = max(1.0, np.abs(in_full).max())
        np.testing.assert_allclose(in_half, in_full, atol=2 * TOLERANCE[policy] * scale)


def test_a_memory_of_many_small_gains_keeps_growing(policy, implementation):
    # Forget gate open, i g = 1/400 a step. From 4 to 8 numbers of float16 lie 1/256 apart and
    # those of bfloat16 1/32: a memory kept in them grows too fast, or not at all.
    steps, gain, start = 100, 1 / 400, 4.01
    layer = spatial_rnn("conv", policy, implementation=implementation)
    kernel, recurrent_kernel, bias = layer.get_weights()
    i, f, g, o = np.split(bias, 4)
    logit = np.log(gain / (1 - gain))
    layer.set_weights(
        [0 * kernel, 0 * recurrent_kernel, np.concatenate([i + 30, f + 30, g + logit, o])]
    )
    states = [np.zeros((1, 3, 3, 2)), np.full((1, 3, 3, 2), start)]
    _, _, c = layer(np.zeros((1, steps, 3, 3, 8), "float32"), initial_state=states)
    # What a step adds is rounded to half precision, so the sum is right to that share.
    grown = np.asarray(tf.cast(c, "float32")) - start
    np.testing.assert_allclose(grown, steps * gain, rtol=4 * ROUNDING[policy])


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_attention_maps_sum_to_the_scale(policy, scale):
    cell = ConvAttentionLSTMCell(2, attention_scale=scale, dtype=policy)
    layer = SpatialRNN(cell, return_sequences=True, return_attention=True, dtype=policy)
    _, maps = layer(20 * CLIPS)
    # Each of the weights, which sum to the scale, is rounded by itself at most.
    sums = np.asarray(tf.cast(maps, "float64")).sum(axis=(2, 3))
    np.testing.assert_allclose(sums, scale, rtol=ROUNDING[policy])


def test_the_softmax_is_computed_in_float32(policy):
    scores = tf.cast(8 * random_array((50, 49), seed=3), compute_dtype(policy))
    ours = tf.cast(attention_map(scores, 1.0), "float64")
    exact = tf.nn.softmax(tf.cast(scores, "float64"))
    # Rounded once, at the end (below float16's smallest normal number, by 2^-25 at most);
    # exponentials and a sum in half precision would be many roundings away.
    np.testing.assert_allclose(ours, exact, rtol=0.51 * ROUNDING[policy], atol=2.0**-25)


def test_scores_at_the_end_of_float16_give_no_nan(policy):
    scores = tf.constant([[6e4, -6e4, 0.0, 0.0]], compute_dtype(policy))
    maps = tf.cast(attention_map(scores, 1.0), "float32")
    np.testing.assert_array_equal(maps, [[1, 0, 0, 0]])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("cut", [1, 4])
def test_a_clip_in_chunks_is_the_whole_clip(cell, policy, implementation, cut):
    layer = spatial_rnn(cell, policy, implementation=implementation)
    whole, *last = layer(CLIPS)
    start, *states = layer(CLIPS[:, :cut])
    end, *streamed = layer(CLIPS[:, cut:], initial_state=states)
    in_chunks = as_float32([tf.concat([start, end], axis=1), *streamed])
    for ours, theirs in zip(as_float32([whole, *last]), in_chunks, strict=True):
        # The same roundings at every step; products over more frames may sum in another order.
        np.testing.assert_allclose(theirs, ours, atol=TOLERANCE[policy])


def test_two_layers_stream_across_their_phase(policy, implementation):
    layer = skip_rnn(policy, implementation=implementation)
    whole, *last = layer(CLIPS)
    start, *states = layer(CLIPS[:, :3])
    end, *streamed = layer(CLIPS[:, 3:], initial_state=states)
    assert [state.dtype for state in streamed] == [state.dtype for state in states]
    in_chunks = as_float32([tf.concat([start, end], axis=1), *streamed])
    for ours, theirs in zip(as_float32([whole, *last]), in_chunks, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=TOLERANCE[policy])


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_near_those_in_float32(cell, policy, implementation):
    half = spatial_rnn(cell, policy, implementation=implementation)
    full = spatial_rnn(cell, "float32", implementation="step")
    full.set_weights(half.get_weights())
    for in_half, in_full in zip(gradients(half), gradients(full), strict=True):
        assert in_half.dtype == np.float32
        # Sums over steps and positions whose terms cancel: a share of the largest.
        scale = max(1.0, np.abs(in_full).max())
        np.testing.assert_allclose(in_half, in_full, atol=4 * TOLERANCE[policy] * scale)


def gradients(layer):
    with tf.GradientTape() as tape:
        outputs = layer(CLIPS)
        total = tf.add_n(
            [
                tf.reduce_sum(tf.cast(output, "float32") * random_array(output.shape, seed=n))
                for n, output in enumerate(outputs)
            ]
        )
    variables = [variable.value for variable in layer.trainable_variables]
    return [gradient.numpy() for gradient in tape.gradient(total, variables)]


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_float32_and_sum_to_one(name, global_policy):
    keras.utils.set_random_seed(1)
    probabilities = MODELS[name]()(BATCH)
    assert probabilities.dtype == "float32"
    np.testing.assert_allclose(np.sum(probabilities, axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_fit_learns_and_stays_finite(name, global_policy):
    keras.utils.set_random_seed(1)
    model = MODELS[name]()
    model.compile(
        keras.optimizers.Adam(0.01),
        SequenceCrossEntropy(),
        metrics=[FrameAccuracy(), ClipAccuracy()],
        run_eagerly=name != "cham",  # making a graph takes seconds; one model shows that it works
    )
    scales_loss = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales_loss == (global_policy == "mixed_float16")
    before = [np.copy(weight) for weight in model.trainable_weights]
    loss_before = SequenceCrossEntropy()(LABELS, model(BATCH))
    history = model.fit(BATCH, LABELS, epochs=5, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for old, weight in zip(before, model.trainable_weights, strict=True):
        new = np.asarray(weight)
        assert weight.dtype == "float32"
        assert np.isfinite(new).all(), weight.path
        assert np.abs(new - old).max() > 0, f"{weight.path} was not trained"
    assert SequenceCrossEntropy()(LABELS, model(BATCH)) < loss_before


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_keeps_its_policy(name, global_policy, tmp_path):
    model = MODELS[name]()
    model.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("float32")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    recurrence = loaded.get_layer("recurrence")
    cells = getattr(recurrence, "cells", None) or [recurrence.cell]
    for layer in [recurrence, *cells, loaded.get_layer("hidden")]:
        assert layer.dtype_policy.name == global_policy, layer.name
    assert loaded.get_layer("probabilities").compute_dtype == "float32"
    np.testing.assert_array_equal(loaded(BATCH), model(BATCH))


@pytest.mark.parametrize("name", MODELS)
def test_padding_does_not_change_scores(name, global_policy):
    keras.utils.set_random_seed(1)
    model = MODELS[name]()
    lengths = np.full(3, 4, "int32")
    short = model({"features": CLIPS[:, :4], "lengths": lengths})
    padded = np.concatenate([CLIPS[:, :4], 50 * CLIPS[:, 4:]], axis=1)
    longer = model({"features": padded, "lengths": lengths})
    np.testing.assert_allclose(longer[:, :4], short, atol=TOLERANCE[global_policy])
