"""The convolutional LSTM cell with attention: the first layer of CHAM."""

import functools

import keras
from keras import ops

from cham_keras.layers.argument_validation import odd_kernel_size, positive_integer
from cham_keras.layers.conv_lstm_cell import ConvLSTMCell, convolve
from cham_keras.layers.equations import attend, attention_map
from cham_keras.layers.input_terms import AttendedInput
from cham_keras.layers.map_convolution import map_plan


@keras.saving.register_keras_serializable("cham_keras")
class ConvAttentionLSTMCell(ConvLSTMCell):
    """One step of the convolutional soft attention model, Eq. 1 to 8.

    From the hidden state of the step before and the features F of this frame
    comes one map of weights over the positions (Eq. 8; the F stands where the
    paper prints x, which would be defined by itself). The features times the
    map (Eq. 7) are the input of a convolutional LSTM step (Eq. 1 to 6).

    Args:
        filters: channels of the states `h` and `c`.
        kernel_size: odd int or pair; kernel from state to state.
        input_kernel_size: the same from input to state; default: `kernel_size`.
        attention_filters: channels inside the attention, A; default: `filters`.
        attention_kernel_size: kernel of the attention's two projections.
        attention_scale: what a map sums to. 1 is the softmax of the paper;
            height times width keeps the size of the features.
        attention_initializer: of the three kernels of the attention; likewise
            `attention_regularizer` and `attention_constraint`.
        **kwargs: as for `ConvLSTMCell`.

    Weights:
        `kernel` (k, k, channels, 4 filters), `recurrent_kernel`
        (k, k, filters, 4 filters), `bias` (4 filters), gates in the order
        i, f, g, o; `attention_input_kernel` (W_xa), `attention_recurrent_kernel`
        (W_ha), `attention_bias` (b_a), `attention_score_kernel` (W_z).

    Call arguments:
        inputs: `(batch, height, width, channels)`, the features of one frame.
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
    >>> from cham_keras.layers import ConvAttentionLSTMCell, SpatialRNN
    >>> clips = np.random.rand(2, 5, 7, 7, 16).astype("float32")
    >>> layer = SpatialRNN(ConvAttentionLSTMCell(8), return_sequences=True, return_attention=True)
    >>> outputs, attention = layer(clips)
    >>> tuple(outputs.shape), tuple(attention.shape)
    ((2, 5, 7, 7, 8), (2, 5, 7, 7))
    """

    has_attention = True

    def __init__(
        self,
        filters,
        kernel_size=3,
        input_kernel_size=None,
        attention_filters=None,
        attention_kernel_size=1,
        attention_scale=1.0,
        attention_initializer="glorot_uniform",
        attention_regularizer=None,
        attention_constraint=None,
        **kwargs,
    ):
        super().__init__(filters, kernel_size, input_kernel_size, **kwargs)
        self.attention_filters = positive_integer(
            filters if attention_filters is None else attention_filters, "attention_filters"
        )
        self.attention_kernel_size = odd_kernel_size(attention_kernel_size, "attention_kernel_size")
        if attention_scale <= 0:
            raise ValueError(
                "`attention_scale` must be above zero. "
                f"Received: attention_scale={attention_scale!r}"
            )
        self.attention_scale = attention_scale
        self.attention_initializer = keras.initializers.get(attention_initializer)
        self.attention_regularizer = keras.regularizers.get(attention_regularizer)
        self.attention_constraint = keras.constraints.get(attention_constraint)

    def build(self, input_shape):
        """Creates the weights for inputs of shape `(batch, height, width, channels)`."""
        super().build(input_shape)
        size, width = self.attention_kernel_size, self.attention_filters
        self.attention_input_kernel = self._add_attention_kernel(
            "attention_input_kernel", (*size, input_shape[-1], width)
        )
        self.attention_recurrent_kernel = self._add_attention_kernel(
            "attention_recurrent_kernel", (*size, self.filters, width)
        )
        self.attention_bias = self.add_weight(
            name="attention_bias", shape=(width,), initializer="zeros"
        )
        self.attention_score_kernel = self._add_attention_kernel(
            "attention_score_kernel", (1, 1, width, 1)
        )

    def attention(self, features, h_previous):
        """Eq. 8: where the model looks, given what it remembers.

        Args:
            features: `(batch, height, width, channels)`, F of this frame.
            h_previous: `(batch, height, width, filters)`, h of the frame before.

        Returns:
            `(batch, height, width)`; the weights of one map sum to `attention_scale`.
        """
        features = ops.cast(features, self.compute_dtype)
        h_previous = ops.cast(h_previous, self.compute_dtype)
        projected = (
            convolve(features, self._computable(self.attention_input_kernel))
            + convolve(h_previous, self._computable(self.attention_recurrent_kernel))
            + self._computable(self.attention_bias)
        )
        scores = convolve(ops.tanh(projected), self._computable(self.attention_score_kernel))
        _, height, width, _ = scores.shape
        # (batch, height, width, 1) -> (batch, height * width) and back
        attention = attention_map(ops.reshape(scores, (-1, height * width)), self.attention_scale)
        return ops.reshape(attention, (-1, height, width))

    def call(self, inputs, states, training=False, dropout_masks=None):
        h, c = self.cast_states(states)
        features, h = self._drop(ops.cast(inputs, self.compute_dtype), h, training, dropout_masks)
        x = attend(features, self.attention(features, h))
        return self._update(x, h, c)

    def _input_weights(self):
        """The weights of the input's term."""
        return [
            self.kernel,
            self.attention_input_kernel,
            self.attention_recurrent_kernel,
            self.attention_bias,
            self.attention_score_kernel,
        ]

    def _input_term(self, height, width):
        """Makes the input's term from its weights."""
        plan = map_plan(height, width, self.input_kernel_size)
        attention_plan = map_plan(height, width, self.attention_kernel_size)
        return functools.partial(AttendedInput, plan, attention_plan, self.attention_scale)

    def hoisted_floats(self, map_shape, training):
        """How many numbers hoisting takes for a frame of shape `(height, width, channels)`."""
        height, width, channels = map_shape
        return AttendedInput.floats_of_frame(
            map_plan(height, width, self.input_kernel_size),
            map_plan(height, width, self.attention_kernel_size),
            channels,
            4 * self.filters,
            self.attention_filters,
            training,
        )

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "attention_filters": self.attention_filters,
            "attention_kernel_size": self.attention_kernel_size,
            "attention_scale": self.attention_scale,
            "attention_initializer": keras.initializers.serialize(self.attention_initializer),
            "attention_regularizer": keras.regularizers.serialize(self.attention_regularizer),
            "attention_constraint": keras.constraints.serialize(self.attention_constraint),
        }
