"""Hoisted = step = NumPy, outputs and gradients, for whatever sizes Hypothesis finds.

The gradients are compared by one derivative along a random direction in all
weights, features and initial states at once; NumPy's is exact (a complex step).
"""

import dataclasses

import numpy as np
import numpy_reference as reference
import pytest
import tensorflow as tf
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cham_keras.layers import ConvAttentionLSTMCell, ConvLSTMCell, HierarchicalSkipRNN, SpatialRNN

#: The order in which a `ConvAttentionLSTMCell` creates its weights; the first three are those of
#: a `ConvLSTMCell`.
NAMES = ["kernel", "recurrent_kernel", "bias", "attention_input_kernel"]
NAMES += ["attention_recurrent_kernel", "attention_bias", "attention_score_kernel"]
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}
KERNELS = st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3, 5]))


@dataclasses.dataclass(frozen=True)
class Case:
    """One clip batch and one layer of some size."""

    lengths: tuple[int, ...]
    extra_steps: int
    map_size: tuple[int, int]
    channels: int
    filters: tuple[int, int]
    kernel_size: tuple[int, int]
    input_kernel_size: tuple[int, int]
    attention_kernel_size: tuple[int, int]
    attention_scale: float
    candidate: str
    skip: int
    chunk_frames: int
    dtype: str
    training: bool
    seed: int

    @property
    def num_steps(self):
        return max(self.lengths) + self.extra_steps

    def cells(self):
        shared = {
            "kernel_size": self.kernel_size,
            "input_kernel_size": self.input_kernel_size,
            "candidate_activation": self.candidate,
            "dtype": self.dtype,
        }
        attention = ConvAttentionLSTMCell(
            self.filters[0],
            attention_filters=3,
            attention_kernel_size=self.attention_kernel_size,
            attention_scale=self.attention_scale,
            **shared,
        )
        return [attention, ConvLSTMCell(self.filters[1], **shared)]


CASES = st.builds(
    Case,
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=3).filter(any).map(tuple),
    extra_steps=st.integers(0, 1),
    map_size=st.tuples(st.integers(1, 7), st.integers(1, 5)),
    channels=st.integers(1, 4),
    filters=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kernel_size=KERNELS,
    input_kernel_size=KERNELS,
    attention_kernel_size=st.sampled_from([(1, 1), (3, 3), (1, 3)]),
    attention_scale=st.sampled_from([1.0, 12.0]),
    candidate=st.sampled_from(["sigmoid", "tanh"]),
    skip=st.integers(1, 3),
    chunk_frames=st.integers(1, 20),
    dtype=st.sampled_from(["float32", "float64"]),
    training=st.booleans(),
    seed=st.integers(0, 2**16),
)


def examples(number):
    """The same examples in every run, so that a red test stays red; shrinking takes too long."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
    )


def eagerly(function, clips):
    return function(clips)


def in_graph(function, clips):
    unknown = tf.TensorSpec((None, None, *clips.shape[2:]), clips.dtype)
    return tf.function(function, input_signature=[unknown])(clips)


def under_xla(function, clips):
    return tf.function(function, jit_compile=True)(clips)


def value_and_derivative(layer, case, clips, direction, weighting, run):
    """Outputs, the sum of multiples of them, and its derivative along the direction."""
    variables = [variable.value for variable in layer.trainable_variables]

    def function(clips):
        with tf.GradientTape() as tape:
            tape.watch(clips)
            outputs = layer(clips, lengths=np.array(case.lengths), training=case.training)
            total = tf.reduce_sum(outputs * tf.constant(weighting, case.dtype))
        # On a map of one position the attention is constant.
        gradients = tape.gradient(total, [clips, *variables], unconnected_gradients="zero")
        derivative = sum(
            tf.reduce_sum(gradient * tf.cast(along, case.dtype))
            for gradient, along in zip(gradients, direction, strict=True)
        )
        return outputs, derivative

    return run(function, tf.constant(clips, case.dtype))


def check(case, run, make_layer, by_hand):
    """The layer hoisted and step by step against `by_hand`, which takes one clip and weights."""
    rng = np.random.default_rng(case.seed)
    shape = (len(case.lengths), case.num_steps, *case.map_size, case.channels)
    clips = rng.normal(size=shape)
    hoisted, step = make_layer("hoisted"), make_layer("step")
    for layer in (hoisted, step):
        layer(tf.constant(clips, case.dtype))
    weights = [rng.normal(scale=0.4, size=weight.shape) for weight in hoisted.weights]
    for layer in (hoisted, step):
        layer.set_weights(weights)
    direction = [rng.normal(size=array.shape) for array in (clips, *weights)]

    def all_by_hand(clips, weights):
        outputs = []
        for clip, length in zip(clips, case.lengths, strict=True):
            of_clip = by_hand(clip[None, :length], weights)[0] if length else None
            outputs.append(of_clip)
        return outputs

    expected = all_by_hand(clips, weights)
    size = next(output.shape[1:] for output in expected if output is not None)
    weighting = rng.normal(size=(*shape[:2], *size))
    for b, length in enumerate(case.lengths):
        weighting[b, length:] = 0
    tiny = 1e-30
    moved = all_by_hand(
        clips + 1j * tiny * direction[0],
        [w + 1j * tiny * d for w, d in zip(weights, direction[1:], strict=True)],
    )
    derivative = sum(
        (output.imag / tiny * weighting[b, : len(output)]).sum()
        for b, output in enumerate(moved)
        if output is not None
    )
    tolerance = TOLERANCES[case.dtype]
    for layer in (hoisted, step):
        outputs, ours = value_and_derivative(layer, case, clips, direction, weighting, run)
        for b, output in enumerate(expected):
            if output is not None:
                np.testing.assert_allclose(outputs[b, : len(output)], output, atol=tolerance)
        # The derivative adds up as many terms as there are numbers.
        num_terms = sum(array.size for array in direction)
        np.testing.assert_allclose(
            ours, derivative, rtol=10 * tolerance, atol=tolerance * np.sqrt(num_terms) * 10
        )


def check_one_layer(case, run):
    def make_layer(implementation):
        cell = case.cells()[0]
        floats = cell.hoisted_floats((*case.map_size, case.channels), case.training)
        return SpatialRNN(
            cell,
            return_sequences=True,
            implementation=implementation,
            memory_budget_bytes=2 * case.chunk_frames * floats * 4,
            dtype=case.dtype,
        )

    def by_hand(clip, weights):
        by_name = dict(zip(NAMES, weights, strict=True))
        h = c = np.zeros((1, *case.map_size, case.filters[0]))
        hidden = []
        for t in range(clip.shape[1]):
            h, c, _ = reference.conv_attention_lstm_step(
                clip[:, t], h, c, by_name, case.candidate, case.attention_scale
            )
            hidden.append(h)
        return np.stack(hidden, 1)

    check(case, run, make_layer, by_hand)


def check_two_layers(case, run):
    def make_layer(implementation):
        return HierarchicalSkipRNN(
            case.cells(),
            skip=case.skip,
            return_sequences=True,
            implementation=implementation,
            memory_budget_bytes=2000 * case.chunk_frames,
            dtype=case.dtype,
        )

    def by_hand(clip, weights):
        first = dict(zip(NAMES, weights[:7], strict=True))
        second = dict(zip(NAMES[:3], weights[7:], strict=True))
        return reference.skip_layers(
            clip, first, second, case.skip, case.candidate, case.attention_scale
        )

    check(case, run, make_layer, by_hand)


@examples(25)
@given(CASES)
def test_one_layer_is_numpy(case):
    check_one_layer(case, eagerly)


@examples(15)
@given(CASES)
def test_two_layers_are_numpy(case):
    check_two_layers(case, eagerly)


@pytest.mark.parametrize("check_layers", [check_one_layer, check_two_layers])
def test_layers_are_numpy_in_a_graph_of_unknown_sizes(check_layers):
    @examples(5)
    @given(CASES)
    def run(case):
        check_layers(case, in_graph)

    run()


@pytest.mark.parametrize("check_layers", [check_one_layer, check_two_layers])
def test_layers_are_numpy_under_xla(check_layers):
    @examples(3)
    @given(CASES)
    def run(case):
        check_layers(case, under_xla)

    run()
