"""The fully connected attention LSTM cell: the baseline FC-Attention."""

import keras
from keras import ops

from cham_keras.layers.argument_validation import positive_integer
from cham_keras.layers.equations import attend, attention_map
from cham_keras.layers.spatial_cell import SpatialCell


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
        from_state = ops.matmul(h_previous, self.attention_recurrent_kernel)
        projected = (
            ops.matmul(features, self.attention_input_kernel)
            + from_state[:, None, None, :]
            + ops.cast(self.attention_bias, self.compute_dtype)
        )
        return self._attention_of_projected(projected)

    def _attention_of_projected(self, projected):
        """The softmax of the scores, from the sum inside the tanh."""
        scores = ops.matmul(ops.tanh(projected), self.attention_score_kernel)
        return attention_map(scores, scale=1.0)

    def call(self, inputs, states, training=False, dropout_masks=None):
        h, c = states
        features, h = self._drop(inputs, h, training, dropout_masks)
        # The expectation of the features under the map: a sum over height and width.
        x = ops.sum(attend(features, self.attention(features, h)), axis=(1, 2))
        z = (
            ops.matmul(x, self.kernel)
            + ops.matmul(h, self.recurrent_kernel)
            + ops.cast(self.bias, self.compute_dtype)
        )
        return self._gates(z, c)

    def hoist(self, features):
        """What of all steps does not depend on the states.

        Args:
            features: `(frames, height, width, channels)`, frames of all clips and steps.

        Returns:
            the features times the gates' kernel, `(frames, height, width, 4 units)`,
            and the attention's projected input with its bias, `(frames, height,
            width, attention_units)`.
        """
        projected = ops.matmul(features, self.attention_input_kernel)
        return (
            ops.matmul(features, self.kernel),
            projected + ops.cast(self.attention_bias, self.compute_dtype),
        )

    def hoisted_floats(self, map_shape):
        """How many numbers `hoist` gives for a frame of shape `(height, width, channels)`."""
        height, width, _ = map_shape
        return height * width * (4 * self.units + self.attention_units)

    def hoisting_pays(self, map_shape):
        """Whether hoisting is faster, with `"auto"`: four times more channels than units."""
        return map_shape[-1] >= 4 * self.units

    def hoisted_step(self, hoisted, states, training=False, dropout_masks=None):
        """One step from what `hoist` gave for it: `(h, [h, c])`, as `call` gives them."""
        products, projected = hoisted
        h, c = states
        h = self._drop_hidden(h, training, dropout_masks)
        from_state = ops.matmul(h, self.attention_recurrent_kernel)
        attention = self._attention_of_projected(projected + from_state[:, None, None, :])
        z = (
            ops.sum(attend(products, attention), axis=(1, 2))
            + ops.matmul(h, self.recurrent_kernel)
            + ops.cast(self.bias, self.compute_dtype)
        )
        return self._gates(z, c)

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "attention_units": self.attention_units,
            "attention_initializer": keras.initializers.serialize(self.attention_initializer),
            "attention_regularizer": keras.regularizers.serialize(self.attention_regularizer),
            "attention_constraint": keras.constraints.serialize(self.attention_constraint),
        }
