"""The equations of the paper as pure functions of tensors.

CHAM: action recognition using convolutional hierarchical attention model.
Letters, declared once: i = input gate, f = forget gate, g = candidate,
o = output gate, c = cell memory, h = hidden state, F = features of a frame,
l = attention map, x = attended features, z = pre-activations of the four
gates in Keras's order i, f, g, o.
"""

import keras
from keras import ops


def full_precision(dtype):
    """The dtype of sums and memories: float32 for half precision, else the dtype itself."""
    dtype = keras.backend.standardize_dtype(dtype)
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def lstm_update(z, c, *, activation, recurrent_activation, candidate_activation):
    """Eq. 1 to 6: new hidden state and cell memory from the gates' pre-activations.

    Computed in the dtype of the cell memory, which adds up over all steps and
    is float32 where the rest is in half precision.

    Args:
        z: `(..., 4 * units)`, the sums inside Eq. 1 to 4.
        c: `(..., units)`, the cell memory of the step before.
        activation: output non-linearity, φ of Eq. 6 (tanh).
        recurrent_activation: non-linearity of the three gates, σ of Eq. 1 to 3.
        candidate_activation: non-linearity of g; Eq. 4 prints σ, most LSTMs take tanh.

    Returns:
        `(h, c)`, each `(..., units)`; h of the dtype of z, c of its own.
    """
    i, f, g, o = ops.split(ops.cast(z, c.dtype), 4, axis=-1)
    i = recurrent_activation(i)
    f = recurrent_activation(f)
    g = candidate_activation(g)
    o = recurrent_activation(o)
    c = f * c + i * g
    h = o * activation(c)
    return ops.cast(h, z.dtype), c


def attention_map(scores, scale):
    """The softmax of Eq. 8: one weight a position, summing to `scale`.

    Computed in float32 where the scores are in half precision, for a softmax
    over many positions loses too much there.

    Args:
        scores: `(batch, positions)`, all positions of the map.
        scale: what the weights of one map sum to.

    Returns:
        `(batch, positions)`, of the scores' dtype.
    """
    if scores.shape[-1] == 1:  # Keras warns of a softmax over one position
        return ops.ones_like(scores) * scale
    weights = ops.softmax(ops.cast(scores, full_precision(scores.dtype)), axis=-1) * scale
    return ops.cast(weights, scores.dtype)


def attend(features, attention):
    """Eq. 7: the features of every position times the position's weight, no sum.

    Args:
        features: `(batch, height, width, channels)`.
        attention: `(batch, height, width)`.

    Returns:
        `(batch, height, width, channels)`.
    """
    return ops.expand_dims(attention, axis=-1) * features
