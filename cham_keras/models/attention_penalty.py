"""A penalty on attention that leaves positions out over a clip.

Comes in: what the recurrent layer gives, and its maps. Goes out: what it gives,
unchanged, with a loss beside it in training. The builders of the models with
attention call it.
"""

import keras
from keras import ops

from cham_keras.models.clip_inputs import valid_steps

#: Name of the layer in every model with `attention_penalty` above 0.
PENALTY_LAYER_NAME = "attention_penalty"


@keras.saving.register_keras_serializable("cham_keras")
class AttentionPenalty(keras.layers.Layer):
    """Adds alpha · Σ_i (1 − Σ_t a_ti)², the mean over the batch, to the loss of training.

    The doubly stochastic attention of the paper's reference [10]: it draws the
    attention that a position gets over a whole clip towards one. In evaluation and
    inference the layer does nothing, so that a loss there is that of the labels alone.

    Args:
        alpha: the penalty's weight.
        attention_scale: what a map sums to; a_ti are the maps divided by it.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        outputs: what is given on, unchanged.
        attention: maps `(batch, time, height, width)`.
        lengths: int `(batch,)`, the number of valid steps of each clip; padding
            counts nothing.
        training: whether the loss is added.

    Returns:
        `outputs`.
    """

    def __init__(self, alpha, attention_scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha
        self.attention_scale = attention_scale

    def call(self, outputs, attention, lengths=None, training=False):
        if training:
            attention = ops.cast(attention, self.variable_dtype) / self.attention_scale
            if lengths is not None:
                # (batch, time) -> (batch, time, 1, 1)
                valid = valid_steps(attention, lengths)[:, :, None, None]
                attention = ops.where(valid, attention, 0.0)
            of_positions = ops.square(1.0 - ops.sum(attention, axis=1))
            self.add_loss(self.alpha * ops.mean(ops.sum(of_positions, axis=(1, 2))))
        return outputs

    def compute_output_shape(self, outputs_shape, attention_shape=None, lengths_shape=None):
        """The outputs' shape."""
        return outputs_shape

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "attention_scale": self.attention_scale,
        }


def with_penalty(outputs, attention, lengths, *, alpha, attention_scale=1.0):
    """Hangs the penalty on a recurrent layer's outputs; without one, gives them as they are.

    Args:
        outputs: of the recurrent layer.
        attention: its maps `(batch, time, height, width)`.
        lengths: int32 `(batch,)` or None.
        alpha: the penalty's weight; 0 for none.
        attention_scale: what a map sums to.

    Raises:
        ValueError: `alpha` is negative.
    """
    if alpha < 0:
        raise ValueError(
            f"`attention_penalty` must not be negative. Received: attention_penalty={alpha!r}"
        )
    if alpha == 0:
        return outputs
    layer = AttentionPenalty(alpha, attention_scale, name=PENALTY_LAYER_NAME)
    return layer(outputs, attention, lengths=lengths)
