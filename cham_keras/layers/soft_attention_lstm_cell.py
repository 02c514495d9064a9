"""The fully connected attention LSTM cell: the baseline FC-Attention."""

import keras
from keras import ops

from cham_keras.layers.argument_validation import positive_integer
from cham_keras.layers.equations import attend, attention_map
from cham_keras.layers.masked_steps import holding, with_mask
from cham_keras.layers.recurrence import scan_over_time
from cham_keras.layers.spatial_cell import SpatialCell
from cham_keras.layers.time_chunks import TimeChunks


@keras.saving.register_keras_serializable("cham_keras")
class SoftAttentionLSTMCell(SpatialCell):
    """One step of the soft attention LSTM of the paper's reference [10].

    e_i = u · tanh(W_c F_i + W_d h + b) for every position i; a softmax over
    the positions; the weighted sum of the features (their expectation, where
    `ConvAttentionLSTMCell` keeps the map) is the input of a plain LSTM step.

    Args:
        units: size of the states `h` and `c`.
        attention_units: units inside the attention; default: `units`.
        candidate_activation: non-linearity of g; tanh, as in [10].
        attention_initializer: of the three kernels of the attention; likewise
            `attention_regularizer` and `attention_constraint`.
        **kwargs: `activation`, `recurrent_activation`, `unit_forget_bias`,
            `dropout`, `recurrent_dropout`, `seed`, initializers, regularizers
            and constraints as for `ConvLSTMCell`.

    Call arguments:
        inputs: `(batch, height, width, channels)`, the features of one frame.
        states: `[h, c]`, each `(batch, units)`.
        training: whether dropout is applied.
        dropout_masks: masks of a whole sequence, from `get_dropout_masks`.

    Returns:
        `(h, [h, c])`.

    Raises:
        ValueError: an argument is out of range, or the cell stands in a bare
            `keras.layers.RNN`.

    Example:

    >>> import numpy as np
    >>> from cham_keras.layers import SoftAttentionLSTMCell, SpatialRNN
    >>> clips = np.random.rand(2, 5, 7, 7, 16).astype("float32")
    >>> tuple(SpatialRNN(SoftAttentionLSTMCell(8))(clips).shape)
    (2, 8)
    """

    has_attention = True
    _units_name = "units"

    def __init__(
        self,
        units,
        attention_units=None,
        candidate_activation="tanh",
        attention_initializer="glorot_uniform",
        attention_regularizer=None,
        attention_constraint=None,
        **kwargs,
    ):
        super().__init__(units, candidate_activation=candidate_activation, **kwargs)
        self.units = units
        self.attention_units = positive_integer(
            units if attention_units is None else attention_units, "attention_units"
        )
        self.attention_initializer = keras.initializers.get(attention_initializer)
        self.attention_regularizer = keras.regularizers.get(attention_regularizer)
        self.attention_constraint = keras.constraints.get(attention_constraint)

    def state_shape(self, step_shape):
        """`(batch, units)`."""
        return (step_shape[0], self.units)

    def build(self, input_shape):
        """Creates the weights for inputs of shape `(batch, height, width, channels)`."""
        channels = input_shape[-1]
        self._add_lstm_weights(kernel_shape=(channels,), recurrent_kernel_shape=(self.units,))
        self.attention_input_kernel = self._add_attention_kernel(
            "attention_input_kernel", (channels, self.attention_units)
        )
        self.attention_recurrent_kernel = self._add_attention_kernel(
            "attention_recurrent_kernel", (self.units, self.attention_units)
        )
        self.attention_score_kernel = self._add_attention_kernel(
            "attention_score_kernel", (self.attention_units, 1)
        )
        self.attention_bias = self.add_weight(
            name="attention_bias", shape=(self.attention_units,), initializer="zeros"
        )
        self.built = True

    def attention(self, features, h_previous):
        """Where the model looks, given what it remembers.

        Args:
            features: `(batch, height, width, channels)`, F of this frame.
            h_previous: `(batch, units)`, h of the frame before.

        Returns:
            `(batch, height, width)`; the weights of one map sum to 1.
        """
        features = ops.cast(features, self.compute_dtype)
        return self._attention_of_projected(self._project(features), h_previous)

    def _project(self, features):
        """W_c F + b, which does not depend on the state."""
        kernel = self._computable(self.attention_input_kernel)
        return ops.matmul(features, kernel) + self._computable(self.attention_bias)

    def _attention_of_projected(self, projected, h):
        """The softmax of the scores."""
        h = ops.cast(h, self.compute_dtype)
        from_state = ops.matmul(h, self._computable(self.attention_recurrent_kernel))
        e = ops.matmul(
            ops.tanh(projected + from_state[:, None, None, :]),
            self._computable(self.attention_score_kernel),
        )
        _, height, width, _ = e.shape
        # (batch, height, width, 1) -> (batch, height * width) and back
        attention = attention_map(ops.reshape(e, (-1, height * width)), scale=1.0)
        return ops.reshape(attention, (-1, height, width))

    def call(self, inputs, states, training=False, dropout_masks=None):
        h, c = self.cast_states(states)
        features, h = self._drop(ops.cast(inputs, self.compute_dtype), h, training, dropout_masks)
        return self._update(features, self.attention(features, h), h, c)

    def _update(self, features, attention, h, c):
        # The expectation of the features under the map: a sum over height and width.
        x = ops.sum(attend(features, attention), axis=(1, 2))
        z = (
            ops.matmul(x, self._computable(self.kernel))
            + ops.matmul(h, self._computable(self.recurrent_kernel))
            + self._computable(self.bias)
        )
        return self._gates(z, c)

    def step(self, features, states):
        """One step of a stream, without dropout; see `ConvLSTMCell.step`."""
        h, c = self.cast_states(states)
        features = ops.cast(features, self.compute_dtype)
        attention = self.attention(features, h)
        return self._update(features, attention, h, c)[1], attention

    def recur_hoisted(
        self, sequences, states, valid, dropout_masks, training, chunk_steps, most_floats
    ):
        """All steps, with the attention's projected inputs computed before the loop.

        The gates' kernel stays in the loop: it meets one vector a frame there,
        and every position before it. The backend differentiates the loop, so
        what it keeps for the backward pass is not bound by `chunk_steps`.

        Args:
            sequences: `(time, batch, height, width, channels)`, dropped out already.
            states: `[h, c]`.
            valid: bool `(time, batch)` or None.
            dropout_masks: masks of the sequence, or None.
            training: whether dropout is applied.
            chunk_steps: most steps that are hoisted at once.
            most_floats: without use here.

        Returns:
            the hidden state at every step, `(time, batch, units)`, and the last `[h, c]`.
        """
        chunks = TimeChunks(ops.shape(sequences)[0], chunk_steps)

        def step(at_t, states):
            features, projected = at_t
            h, c = states
            h = self._drop_hidden(h, training, dropout_masks)
            attention = self._attention_of_projected(projected, h)
            states = self._update(features, attention, h, c)[1]
            return states[:1], states

        def run_chunk(inputs, states):
            (features, *valid) = inputs
            each_step = holding(step, valid[0] if valid else None)
            return scan_over_time(
                each_step,
                states,
                with_mask((features, self._project(features)), *valid),
                states[:1],
            )

        inputs = [sequences] if valid is None else [sequences, valid]
        before = None
        like = states[:1]
        if not chunks.is_one:
            before, states = chunks.scan(
                run_chunk, states, [chunks.before_last(x) for x in inputs], like
            )
        (hidden,), states = run_chunk([chunks.last(x) for x in inputs], states)
        return hidden if before is None else chunks.join(before[0], hidden), states

    def hoisted_floats(self, map_shape, training):
        """How many numbers hoisting takes for a frame of shape `(height, width, channels)`."""
        height, width, _ = map_shape
        return height * width * self.attention_units

    def hoisting_pays(self, map_shape, training):
        """Whether hoisting is faster, with `"auto"`: it was not at any size that was measured."""
        return False

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "attention_units": self.attention_units,
            "attention_initializer": keras.initializers.serialize(self.attention_initializer),
            "attention_regularizer": keras.regularizers.serialize(self.attention_regularizer),
            "attention_constraint": keras.constraints.serialize(self.attention_constraint),
        }
