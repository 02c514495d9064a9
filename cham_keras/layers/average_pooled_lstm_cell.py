"""A plain LSTM on the mean over the positions: the recurrence without attention."""

import keras
from keras import ops

from cham_keras.layers.masked_steps import holding, with_mask
from cham_keras.layers.recurrence import scan_over_time
from cham_keras.layers.spatial_cell import SpatialCell
from cham_keras.layers.time_chunks import TimeChunks


@keras.saving.register_keras_serializable("cham_keras")
class AveragePooledLSTMCell(SpatialCell):
    """One step of an LSTM whose input is the mean of a frame's features over the positions.

    What is left of the soft attention LSTM of the paper's reference [10] when every
    position has the same weight: its comparison "average pooled LSTM".

    Args:
        units: size of the states `h` and `c`.
        candidate_activation: non-linearity of g; tanh, as in [10].
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
    >>> from cham_keras.layers import AveragePooledLSTMCell, SpatialRNN
    >>> clips = np.random.rand(2, 5, 7, 7, 16).astype("float32")
    >>> tuple(SpatialRNN(AveragePooledLSTMCell(8))(clips).shape)
    (2, 8)
    """

    _units_name = "units"

    def __init__(self, units, candidate_activation="tanh", **kwargs):
        super().__init__(units, candidate_activation=candidate_activation, **kwargs)
        self.units = units

    def state_shape(self, step_shape):
        """`(batch, units)`."""
        return (step_shape[0], self.units)

    def build(self, input_shape):
        """Creates the weights for inputs of shape `(batch, height, width, channels)`."""
        self._add_lstm_weights(
            kernel_shape=(input_shape[-1],), recurrent_kernel_shape=(self.units,)
        )
        self.built = True

    def call(self, inputs, states, training=False, dropout_masks=None):
        h, c = self.cast_states(states)
        inputs, h = self._drop(ops.cast(inputs, self.compute_dtype), h, training, dropout_masks)
        return self._update(self._from_input(inputs), h, c)

    def _from_input(self, features):
        """What the input adds to the gates, which does not depend on the states."""
        # (..., height, width, channels) -> (..., channels)
        x = ops.mean(features, axis=(-3, -2))
        return ops.matmul(x, self._computable(self.kernel)) + self._computable(self.bias)

    def _update(self, from_input, h, c):
        return self._gates(from_input + ops.matmul(h, self._computable(self.recurrent_kernel)), c)

    def step(self, features, states):
        """One step of a stream, without dropout; see `ConvLSTMCell.step`."""
        h, c = self.cast_states(states)
        features = ops.cast(features, self.compute_dtype)
        return self._update(self._from_input(features), h, c)[1], None

    def recur_hoisted(
        self, sequences, states, valid, dropout_masks, training, chunk_steps, most_floats
    ):
        """All steps, with the means and their products computed before the loop.

        The backend differentiates the loop, so what it keeps for the backward pass is
        not bound by `chunk_steps`.

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

        def step(from_input, states):
            h, c = states
            h = self._drop_hidden(h, training, dropout_masks)
            states = self._update(from_input, h, c)[1]
            return states[:1], states

        def run_chunk(inputs, states):
            (features, *valid) = inputs
            each_step = holding(step, valid[0] if valid else None)
            hoisted = with_mask(self._from_input(features), *valid)
            return scan_over_time(each_step, states, hoisted, states[:1])

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
        return map_shape[-1] + 4 * self.units

    def hoisting_pays(self, map_shape, training):
        """Always: one product over all frames in place of one a frame, and little memory."""
        return True
