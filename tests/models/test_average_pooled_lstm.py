"""The cell of the average-pooled LSTM: by hand, hoisted, masked, in chunks, step by step."""

import numpy as np
import numpy_reference as reference
import pytest
import tensorflow as tf
from layer_testing import in_eager_and_graph, random_array, randomize

from cham_keras.layers import AveragePooledLSTMCell, SpatialRNN

CLIPS = random_array((3, 7, 5, 4, 6), seed=1)


def layer_of(implementation="auto", cell=None, **how):
    return SpatialRNN(
        AveragePooledLSTMCell(4, **(cell or {})),
        return_sequences=True,
        return_state=True,
        implementation=implementation,
        **how,
    )


def by_hand(weights, candidate, clips=CLIPS):
    h = c = np.zeros((len(clips), 4))
    hidden = []
    for frame in np.moveaxis(clips.astype("float64"), 1, 0):
        z = frame.mean(axis=(1, 2)) @ weights["kernel"] + h @ weights["recurrent_kernel"]
        h, c = reference.gates(*np.split(z + weights["bias"], 4, axis=-1), c, candidate)
        hidden.append(h)
    return np.stack(hidden, axis=1), h, c


@pytest.mark.parametrize("run", in_eager_and_graph)
@pytest.mark.parametrize("implementation", ["step", "hoisted"])
@pytest.mark.parametrize("candidate", ["sigmoid", "tanh"])
def test_it_equals_the_equations(run, implementation, candidate):
    layer = layer_of(implementation, {"candidate_activation": candidate})
    weights = randomize(layer, CLIPS)
    for ours, expected in zip(run(layer, CLIPS), by_hand(weights, candidate), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_gradients_are_the_same_hoisted_in_chunks_and_step_by_step():
    results = []
    # Room for two or three frames only, in the last.
    for how in ({"implementation": "step"}, {}, {"memory_budget_bytes": 1024}):
        layer = layer_of(**how)
        randomize(layer, CLIPS)
        with tf.GradientTape() as tape:
            outputs = layer(CLIPS, lengths=np.array([7, 5, 1]), training=True)
            total = tf.add_n([tf.reduce_sum(x**2) for x in outputs])
        results.append([*outputs, *tape.gradient(total, layer.trainable_weights)])
    assert layer.chosen_implementation.startswith("hoisted, at most")
    for other in results[1:]:
        for ours, theirs in zip(other, results[0], strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_padding_does_not_change_outputs_or_states():
    layer = layer_of()
    randomize(layer, CLIPS)
    padded = np.concatenate([CLIPS[:, :4], 50 * CLIPS[:, 4:]], axis=1)
    alone, together = layer(CLIPS[:, :4]), layer(padded, lengths=np.full(3, 4))
    np.testing.assert_allclose(together[0][:, :4], alone[0], atol=1e-6)
    for ours, theirs in zip(together[1:], alone[1:], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_steps_give_what_the_whole_clip_gives():
    layer = layer_of()
    randomize(layer, CLIPS)
    outputs, *last = layer(CLIPS)
    states = [np.zeros((3, 4), "float32")] * 2
    for frame in range(CLIPS.shape[1]):
        at_frame, states, attention = layer.step(CLIPS[:, frame], states)
        np.testing.assert_allclose(at_frame, outputs[:, frame], atol=1e-6)
        assert attention is None
    for ours, theirs in zip(states, last, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_dropout_is_the_same_hoisted_and_step_by_step():
    rates = {"dropout": 0.4, "recurrent_dropout": 0.4, "seed": 3}
    outputs = []
    for implementation in ("step", "hoisted"):
        layer = layer_of(implementation, rates)
        randomize(layer, CLIPS)
        outputs.append(np.asarray(layer(CLIPS, training=True)[0]))
        assert np.abs(outputs[-1] - np.asarray(layer(CLIPS)[0])).max() > 1e-3
    np.testing.assert_allclose(*outputs, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_keeps_the_memory_in_float32(policy):
    half = layer_of(cell={"dtype": policy}, dtype=policy)
    full = layer_of()
    randomize(half, CLIPS)
    randomize(full, CLIPS)
    outputs, h, c = half(CLIPS)
    assert outputs.dtype == h.dtype == policy.removeprefix("mixed_")
    assert c.dtype == "float32"
    tolerance = 4 * {"mixed_float16": 2.0**-10, "mixed_bfloat16": 2.0**-7}[policy]
    np.testing.assert_allclose(tf.cast(outputs, "float32"), full(CLIPS)[0], atol=tolerance)


def test_a_cell_survives_its_config():
    cell = AveragePooledLSTMCell(3, "sigmoid", unit_forget_bias=True, dropout=0.1, seed=2)
    again = AveragePooledLSTMCell.from_config(cell.get_config())
    assert again.get_config() == cell.get_config()
    with pytest.raises(ValueError, match="`units` must be a positive integer"):
        AveragePooledLSTMCell(0)
