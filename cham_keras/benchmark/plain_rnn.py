"""The attention cell in Keras's own loop: the ordinary way, which the layers are measured against.

Written from the equations, without the package's cells, so that it also checks them.
"""

import keras
from keras import ops

from cham_keras.benchmark.problem import weight_shapes
from cham_keras.benchmark.settings import BenchmarkSettings


class PlainAttentionCell(keras.layers.Layer):
    """Eq. 1 to 8 for one frame, with an ordinary convolution of the attended features.

    Args:
        settings: the sizes.
        attention_scale: what an attention map sums to.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(self, settings: BenchmarkSettings, attention_scale: float, **kwargs):
        super().__init__(**kwargs)
        self.settings = settings
        self.attention_scale = attention_scale
        state_shape = (settings.height, settings.width, settings.filters)
        self.state_size = [state_shape, state_shape]

    def build(self, input_shape):
        """Creates weights of the names and shapes of `ConvAttentionLSTMCell`."""
        for name, shape in weight_shapes(self.settings).items():
            setattr(self, name, self.add_weight(name=name, shape=shape))

    def get_initial_state(self, batch_size=None):
        """Zeros for h and c."""
        return [ops.zeros((batch_size, *size), self.compute_dtype) for size in self.state_size]

    def call(self, inputs, states):
        h, c = states
        projected = (
            _convolve(inputs, self.attention_input_kernel)
            + _convolve(h, self.attention_recurrent_kernel)
            + self.attention_bias
        )
        scores = _convolve(ops.tanh(projected), self.attention_score_kernel)
        # (batch, height, width, 1) -> (batch, positions) for the softmax, and back
        flat = ops.cast(ops.reshape(scores, (-1, scores.shape[1] * scores.shape[2])), "float32")
        weights = ops.softmax(flat, axis=-1) * self.attention_scale
        attention = ops.cast(ops.reshape(weights, ops.shape(scores)), scores.dtype)
        z = (
            _convolve(attention * inputs, self.kernel)
            + _convolve(h, self.recurrent_kernel)
            + self.bias
        )
        i, f, g, o = (ops.sigmoid(gate) for gate in ops.split(z, 4, axis=-1))
        c = f * c + i * g
        h = o * ops.tanh(c)
        return h, [h, c]


class PlainRNN(keras.layers.RNN):
    """`keras.layers.RNN` as it is, but for the shape of outputs that are maps."""

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        """`(batch, time, height, width, filters)`; Keras's own demands vectors."""
        return (*sequences_shape[:2], *self.cell.state_size[0])


def _convolve(inputs, kernel):
    return ops.conv(inputs, kernel, strides=1, padding="same", data_format="channels_last")
