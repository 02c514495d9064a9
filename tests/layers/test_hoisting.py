"""Hoisted = step: the products before the loop change nothing but the speed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_testing import in_eager_and_graph, random_array, randomize

from cham_keras.layers import (
    ConvAttentionLSTMCell,
    ConvLSTMCell,
    HierarchicalSkipRNN,
    SoftAttentionLSTMCell,
    SpatialRNN,
)
from cham_keras.layers.kernel_gradient import kernel_gradient
from cham_keras.layers.map_convolution import as_matrix, convolve_by_product, map_plan

CLIPS = random_array((3, 6, 5, 4, 3), seed=1)
CELLS = {
    "conv_attention": lambda **kwargs: ConvAttentionLSTMCell(
        4, attention_filters=5, attention_scale=20.0, **kwargs
    ),
    "conv": lambda **kwargs: ConvLSTMCell(4, **kwargs),
    "soft_attention": lambda **kwargs: SoftAttentionLSTMCell(4, attention_units=5, **kwargs),
}
KERNELS = [{}, {"kernel_size": 5, "input_kernel_size": 1}, {"input_kernel_size": (3, 5)}]
# The fully connected cell has no kernels.
NAMES_AND_KERNELS = [("soft_attention", {})] + [
    (name, kernels) for name in ("conv_attention", "conv") for kernels in KERNELS
]


def both(cell, chunk_steps=None, **kwargs):
    """A hoisted layer and one that runs step by step, with the same random weights.

    With `chunk_steps` the memory budget is what so many steps of the clips take in training.
    """
    hoisted = SpatialRNN(cell(), return_sequences=True, implementation="hoisted", **kwargs)
    if chunk_steps is not None:
        floats = hoisted.cell.hoisted_floats(CLIPS.shape[2:], training=True)
        bytes_of_float = 8 if hoisted.compute_dtype == "float64" else 4
        # A quarter of the budget is for the gradients of the kernels.
        frames = chunk_steps * len(CLIPS)
        hoisted.memory_budget_bytes = 4 * -(-frames * floats // 3) * bytes_of_float
    step = SpatialRNN(cell(), return_sequences=True, implementation="step", **kwargs)
    randomize(hoisted, CLIPS)
    step(CLIPS)
    step.set_weights(hoisted.get_weights())
    return hoisted, step


def with_gradients(layer, **kwargs):
    """Outputs and the gradients of a sum of random multiples of them."""
    clips = tf.constant(CLIPS, layer.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch(clips)
        outputs = layer(clips, **kwargs)
        total = sum(
            tf.reduce_sum(output * tf.cast(random_array(output.shape, seed=5), output.dtype))
            for output in tf.nest.flatten(outputs)
        )
    variables = [variable.value for variable in layer.trainable_variables]
    return outputs, tape.gradient(total, [clips, *variables])


@pytest.mark.parametrize(("name", "kernels"), NAMES_AND_KERNELS, ids=str)
@pytest.mark.parametrize("lengths", [None, np.array([6, 3, 1])], ids=["whole", "lengths"])
def test_hoisted_outputs_and_gradients_are_those_of_the_steps(name, kernels, lengths):
    hoisted, step = both(lambda: CELLS[name](**kernels))
    ours, our_gradients = with_gradients(hoisted, lengths=lengths)
    theirs, their_gradients = with_gradients(step, lengths=lengths)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for our, their in zip(our_gradients, their_gradients, strict=True):
        np.testing.assert_allclose(our, their, atol=1e-4, rtol=1e-4)
        assert np.abs(our).max() > 0


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("chunk_steps", [1, 4, None])
def test_hoisted_is_the_step_to_twelve_digits_in_float64(name, training, chunk_steps):
    hoisted, step = both(
        lambda: CELLS[name](dtype="float64"), chunk_steps, dtype="float64", return_state=True
    )
    ours, our_gradients = with_gradients(hoisted, training=training)
    theirs, their_gradients = with_gradients(step, training=training)
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our, their, atol=1e-12)
    for our, their in zip(our_gradients, their_gradients, strict=True):
        np.testing.assert_allclose(our, their, atol=1e-11)


@pytest.mark.parametrize("name", ["conv_attention", "conv"])
@pytest.mark.parametrize("run", in_eager_and_graph)
@pytest.mark.parametrize("chunk_steps", [1, 2, 4, 5, None])
def test_chunks_of_time_change_neither_outputs_nor_gradients(run, name, chunk_steps):
    hoisted, step = both(lambda: CELLS[name](recurrent_dropout=0.3, seed=4), chunk_steps)
    lengths = np.array([6, 3, 1])
    np.testing.assert_allclose(
        run(hoisted, CLIPS, lengths=lengths), run(step, CLIPS, lengths=lengths), atol=1e-5
    )
    for layer in (hoisted, step):
        layer.cell.seed_generator.state.assign([1, 2])
    _, ours = with_gradients(hoisted, lengths=lengths, training=True)
    for layer in (hoisted, step):
        layer.cell.seed_generator.state.assign([1, 2])
    _, theirs = with_gradients(step, lengths=lengths, training=True)
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our, their, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(7, 7), (4, 8), (3, 3), (1, 5)])
@pytest.mark.parametrize("kernel_size", [(3, 3), (3, 1), (1, 3), (5, 3), (1, 1), (7, 7)])
def test_gradient_of_a_kernel_is_that_of_the_convolution(size, kernel_size):
    plan = map_plan(*size, kernel_size)
    x = tf.constant(random_array((6, *size, 3), seed=1).astype("float64"))
    dz = tf.constant(random_array((6, *size, 4), seed=2).astype("float64"))
    kernel = tf.constant(random_array((*kernel_size, 3, 4), seed=3).astype("float64"))
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        z = tf.nn.conv2d(x, kernel, 1, "SAME")
    expected = tape.gradient(z, kernel, dz)
    flat_x, flat_dz = tf.reshape(x, (6, -1, 3)), tf.reshape(dz, (6, -1, 4))
    for most_floats in (None, 1, 36 * 2 * 4):
        ours = kernel_gradient(flat_x, flat_dz, plan, most_floats)
        np.testing.assert_allclose(ours, expected, atol=1e-11)
    flat_z = convolve_by_product(flat_x, as_matrix(kernel), plan)
    np.testing.assert_allclose(flat_z, tf.reshape(z, flat_z.shape), atol=1e-11)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("run", in_eager_and_graph)
def test_hoisted_is_the_step_in_eager_and_graph(run, name, backwards):
    hoisted, step = both(CELLS[name], go_backwards=backwards)
    np.testing.assert_allclose(run(hoisted, CLIPS), run(step, CLIPS), atol=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_hoisted_is_the_step_under_xla(name):
    hoisted, step = both(CELLS[name])
    compiled = tf.function(lambda clips: hoisted(clips), jit_compile=True)
    np.testing.assert_allclose(compiled(CLIPS), step(CLIPS), atol=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_dropout_masks_are_the_same_hoisted_and_step_by_step(name):
    rates = {"dropout": 0.4, "recurrent_dropout": 0.4, "seed": 3}
    hoisted, step = both(lambda: CELLS[name](**rates))
    hoisted.cell.seed_generator.state.assign(step.cell.seed_generator.state)
    np.testing.assert_allclose(hoisted(CLIPS, training=True), step(CLIPS, training=True), atol=1e-5)


def test_two_layers_hoisted_are_the_two_layers_step_by_step():
    def layer(implementation):
        return HierarchicalSkipRNN(
            [ConvAttentionLSTMCell(4), ConvLSTMCell(3)],
            return_sequences=True,
            return_state=True,
            return_attention=True,
            implementation=implementation,
        )

    hoisted, step = layer("hoisted"), layer("step")
    randomize(hoisted, CLIPS)
    step(CLIPS)
    step.set_weights(hoisted.get_weights())
    for kwargs in ({}, {"lengths": np.array([6, 3, 1])}):
        for ours, theirs in zip(hoisted(CLIPS, **kwargs), step(CLIPS, **kwargs), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_hoisting_keeps_to_the_memory_budget():
    clips = random_array((3, 6, 5, 4, 16), seed=1)
    floats_of_frame = ConvAttentionLSTMCell(4).hoisted_floats(clips.shape[2:], training=False)
    # The products: 9 taps at each of 20 positions with 4 x 4 numbers.
    assert floats_of_frame > 20 * 9 * 16
    for frames, expected in (
        (18, "hoisted"),
        (17, "hoisted, at most 5 steps at once"),
        (1, "hoisted, at most 1 steps at once"),
    ):
        layer = SpatialRNN(
            ConvAttentionLSTMCell(4),
            implementation="hoisted",
            memory_budget_bytes=4 * -(-frames * floats_of_frame // 3) * 4,
        )
        layer(clips)
        assert layer.chosen_implementation == expected


def test_the_choice_is_logged_once(caplog):
    layer = SpatialRNN(ConvAttentionLSTMCell(4), implementation="hoisted", name="recurrence")
    with caplog.at_level("INFO", logger="cham_keras.layers"):
        layer(CLIPS)
        layer(CLIPS)
    assert [record.message for record in caplog.records] == [
        "recurrence of ConvAttentionLSTMCell runs hoisted."
    ]


@pytest.mark.parametrize("budget", [1, 10**5, 10**8])
def test_chunks_are_chosen_in_the_graph_where_the_batch_is_unknown(budget):
    clips = random_array((3, 6, 5, 4, 16), seed=1)
    step = SpatialRNN(ConvAttentionLSTMCell(4), return_sequences=True, implementation="step")
    randomize(step, clips)
    hoisted = SpatialRNN(
        step.cell,
        return_sequences=True,
        implementation="hoisted",
        memory_budget_bytes=budget,
    )
    unknown = tf.TensorSpec((None, None, 5, 4, 16), "float32")

    def gradients(layer):
        def run(clips):
            with tf.GradientTape() as tape:
                total = tf.reduce_sum(layer(clips, training=True) ** 2)
            variables = [variable.value for variable in layer.trainable_variables]
            return [layer(clips), *tape.gradient(total, variables)]

        return tf.function(run, input_signature=[unknown])(clips)

    for ours, theirs in zip(gradients(hoisted), gradients(step), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)
    assert hoisted.chosen_implementation.startswith("hoisted, at most ")


@pytest.mark.parametrize(
    ("channels", "training", "expected"),
    [
        (2048, True, "hoisted"),
        (2047, True, "step"),
        (2048, False, "step"),
        (2**15, False, "hoisted"),
        (2**15 - 1, False, "step"),
    ],
)
def test_auto_hoists_where_the_input_kernel_is_large(channels, training, expected):
    layer = SpatialRNN(ConvLSTMCell(4, input_kernel_size=1))
    layer(np.zeros((1, 1, 1, 2, channels), "float32"), training=training)
    assert layer.chosen_implementation == expected


def test_pairs_outside_the_map_are_not_computed():
    assert map_plan(7, 7, (3, 3)).num_pairs == 361
    assert map_plan(5, 4, (1, 1)).num_pairs == 20
    assert map_plan(2, 3, (5, 5)).num_pairs == 36


def test_an_unknown_implementation_is_refused():
    with pytest.raises(ValueError, match="`implementation` must be one of 'auto', 'step', 'hoi"):
        SpatialRNN(ConvLSTMCell(2), implementation="fast")
    with pytest.raises(ValueError, match="`memory_budget_bytes` must be a positive integer"):
        SpatialRNN(ConvLSTMCell(2), memory_budget_bytes=0)


def test_a_model_in_mixed_precision_is_hoisted_too():
    policy = keras.DTypePolicy("mixed_bfloat16")
    layer = SpatialRNN(
        ConvAttentionLSTMCell(4, dtype=policy), dtype=policy, implementation="hoisted"
    )
    assert layer(CLIPS).dtype == "bfloat16"
