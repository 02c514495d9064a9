"""The convolutional LSTM cell without attention: the second layer of CHAM."""

import functools

import keras
from keras import ops

from cham_keras.layers.argument_validation import odd_kernel_size
from cham_keras.layers.conv_lstm_recurrence import ConvLSTMRecurrence
from cham_keras.layers.input_terms import PlainInput
from cham_keras.layers.map_convolution import as_matrix, convolve_by_product, map_plan
from cham_keras.layers.spatial_cell import SpatialCell


@keras.saving.register_keras_serializable("cham_keras")
class ConvLSTMCell(SpatialCell):
    """One step of a convolutional LSTM, Eq. 1 to 6 with the features as input.

    The transitions from the input and from the hidden state are convolutions
    with zero padding, so that the states keep the map's height and width.
    There are no peepholes.

    Args:
        filters: channels of the states `h` and `c`.
        kernel_size: odd int or pair; kernel from state to state.
        input_kernel_size: the same from input to state; default: `kernel_size`.
        activation: output non-linearity, φ of Eq. 6.
        recurrent_activation: non-linearity of the gates, σ of Eq. 1 to 3.
        candidate_activation: non-linearity of g. Eq. 4 prints the sigmoid;
            `"tanh"` is what the works take that the paper builds on.
        unit_forget_bias: whether the forget gate's bias starts at one.
        dropout: share of the inputs that are set to zero in training.
        recurrent_dropout: the same for the hidden state.
        kernel_initializer: and `recurrent_`, `bias_`; likewise
            `kernel_regularizer`, `kernel_constraint`.
        seed: seed of the dropouts.

    Call arguments:
        inputs: `(batch, height, width, channels)`.
        states: `[h, c]`, each `(batch, height, width, filters)`.
        training: whether dropout is applied.
        dropout_masks: masks of a whole sequence, from `get_dropout_masks`.

    Returns:
        `(h, [h, c])`.

    Raises:
        ValueError: an argument is out of range, or the cell stands in a bare
            `keras.layers.RNN`.

    Example:

    >>> import numpy as np
    >>> from cham_keras.layers import ConvLSTMCell, SpatialRNN
    >>> clips = np.zeros((2, 5, 7, 7, 16), "float32")
    >>> tuple(SpatialRNN(ConvLSTMCell(8), return_sequences=True)(clips).shape)
    (2, 5, 7, 7, 8)
    """

    def __init__(self, filters, kernel_size=3, input_kernel_size=None, **kwargs):
        super().__init__(filters, **kwargs)
        self.filters = filters
        self.kernel_size = odd_kernel_size(kernel_size, "kernel_size")
        self.input_kernel_size = odd_kernel_size(
            self.kernel_size if input_kernel_size is None else input_kernel_size,
            "input_kernel_size",
        )

    def state_shape(self, step_shape):
        """`(batch, height, width, filters)`."""
        batch, height, width, _ = step_shape
        return (batch, height, width, self.filters)

    def build(self, input_shape):
        """Creates the weights for inputs of shape `(batch, height, width, channels)`."""
        self._add_lstm_weights(
            kernel_shape=(*self.input_kernel_size, input_shape[-1]),
            recurrent_kernel_shape=(*self.kernel_size, self.filters),
        )
        self.built = True

    def call(self, inputs, states, training=False, dropout_masks=None):
        h, c = self.cast_states(states)
        inputs, h = self._drop(ops.cast(inputs, self.compute_dtype), h, training, dropout_masks)
        return self._update(inputs, h, c)

    def _update(self, x, h, c):
        """Eq. 1 to 6 from inputs x and the states of the step before."""
        z = (
            convolve(x, self._computable(self.kernel))
            + convolve(h, self._computable(self.recurrent_kernel))
            + self._computable(self.bias)
        )
        return self._gates(z, c)

    def step(self, features, states):
        """One step of a stream as matrix products, without dropout.

        The same numbers as `call`, and the map beside them. With one frame in the
        batch a convolution waits for its kernel to be laid out anew at every call;
        the products take it as it lies.

        Args:
            features: `(batch, height, width, channels)` of one frame.
            states: `[h, c]` of the frame before.

        Returns:
            `([h, c], attention)`; the map is `(batch, height, width)`, or None for a cell
            without attention.
        """
        _, height, width, channels = features.shape
        features = ops.reshape(
            ops.cast(features, self.compute_dtype), (-1, height * width, channels)
        )
        h, c = [
            ops.reshape(state, (-1, height * width, self.filters))
            for state in self.cast_states(states)
        ]
        weights = [self._computable(weight) for weight in self._input_weights()]
        term = self._input_term(height, width)(None, weights)
        x, attention = term.of_step(term.hoist(features), h)
        recurrent_matrix = as_matrix(self._computable(self.recurrent_kernel))
        plan = map_plan(height, width, self.kernel_size)
        z = x + convolve_by_product(h, recurrent_matrix, plan) + self._computable(self.bias)
        _, states = self._gates(z, c)
        states = [ops.reshape(state, (-1, height, width, self.filters)) for state in states]
        return states, None if attention is None else ops.reshape(attention, (-1, height, width))

    def recur_hoisted(
        self, sequences, states, valid, dropout_masks, training, chunk_steps, most_floats
    ):
        """All steps, with what does not depend on the states computed before the loop.

        Args:
            sequences: `(time, batch, height, width, channels)`, dropped out already.
            states: `[h, c]`.
            valid: bool `(time, batch)` or None.
            dropout_masks: masks of the sequence, or None.
            training: whether a backward pass is to be expected.
            chunk_steps: most steps that are hoisted at once.
            most_floats: of the kernels' gradients, see `kernel_gradient`.

        Returns:
            the hidden state at every step, `(time, batch, ...)`, and the last `[h, c]`.
        """
        time, batch, height, width, channels = ops.shape(sequences)
        recurrence = ConvLSTMRecurrence(
            self._input_term(height, width),
            map_plan(height, width, self.kernel_size),
            gates=lambda z, c: self._gates(z, c)[1],
            chunk_steps=chunk_steps,
            most_floats=most_floats,
            keep=bool(training),
        )
        flat_shape = (batch, height * width, self.filters)
        mask = None if dropout_masks is None else dropout_masks[1]
        hidden, states = recurrence.run(
            # (time, batch, height, width, channels) -> (time, batch, positions, channels)
            ops.reshape(sequences, (time, batch, height * width, channels)),
            [ops.reshape(state, flat_shape) for state in states],
            [self._computable(weight) for weight in (self.recurrent_kernel, self.bias)],
            [self._computable(weight) for weight in self._input_weights()],
            valid=valid,
            recurrent_mask=None if mask is None else ops.reshape(mask, flat_shape),
        )
        map_shape = (batch, height, width, self.filters)
        return (
            ops.reshape(hidden, (time, *map_shape)),
            [ops.reshape(state, map_shape) for state in states],
        )

    def _input_weights(self):
        """The weights of the input's term."""
        return [self.kernel]

    def _input_term(self, height, width):
        """Makes the input's term from its weights."""
        plan = map_plan(height, width, self.input_kernel_size)
        return functools.partial(PlainInput, plan)

    def hoisted_floats(self, map_shape, training):
        """How many numbers hoisting takes for a frame of shape `(height, width, channels)`."""
        height, width, channels = map_shape
        plan = map_plan(height, width, self.input_kernel_size)
        return PlainInput.floats_of_frame(plan, channels, 4 * self.filters, training)

    def hoisting_pays(self, map_shape, training):
        """Whether hoisting is faster, with `"auto"`, for frames of `(height, width, channels)`.

        Measured on two cores of a CPU: what decides is the size of the input
        kernel. The backward pass gains most, so training gains from smaller ones on.
        """
        return map_shape[-1] * self.filters >= (2**13 if training else 2**17)

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "input_kernel_size": self.input_kernel_size,
        }


def convolve(inputs, kernel):
    """The ∗ of the paper: convolution with zero padding, channels last, stride 1."""
    return ops.conv(inputs, kernel, strides=1, padding="same", data_format="channels_last")
