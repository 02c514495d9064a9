"""The equations of the paper as pure functions of tensors.

CHAM: action recognition using convolutional hierarchical attention model.
Letters, declared once: i = input gate, f = forget gate, g = candidate,
o = output gate, c = cell memory, h = hidden state, F = features of a frame,
l = attention map, x = attended features, z = pre-activations of the four
gates in Keras's order i, f, g, o.
"""

from keras import ops


def lstm_update(z, c, *, activation, recurrent_activation, candidate_activation):
    """Eq. 1 to 6: new hidden state and cell memory from the gates' pre-activations.

    Args:
        z: `(..., 4 * units)`, the sums inside Eq. 1 to 4.
        c: `(..., units)`, the cell memory of the step before.
        activation: output non-linearity, φ of Eq. 6 (tanh).
        recurrent_activation: non-linearity of the three gates, σ of Eq. 1 to 3.
        candidate_activation: non-linearity of g; Eq. 4 prints σ, most LSTMs take tanh.

    Returns:
        `(h, c)`, each `(..., units)`.
    """
    i, f, g, o = ops.split(z, 4, axis=-1)
    i = recurrent_activation(i)
    f = recurrent_activation(f)
    g = candidate_activation(g)
    o = recurrent_activation(o)
    c = f * c + i * g
    h = o * activation(c)
    return h, c


def attention_map(scores, scale):
    """The softmax of Eq. 8: one weight a position, summing to `scale`.

    Computed in float32 whatever the scores are, for a softmax over many
    positions loses too much in half precision.

    Args:
        scores: `(batch, height, width, 1)`.
        scale: what the weights of one map sum to.

    Returns:
        `(batch, height, width)`, of the scores' dtype.
    """
    _, height, width, _ = ops.shape(scores)
    flat = ops.cast(ops.reshape(scores, (-1, height * width)), "float32")
    weights = ops.softmax(flat, axis=-1) * scale
    return ops.cast(ops.reshape(weights, (-1, height, width)), scores.dtype)


def attend(features, attention):
    """Eq. 7: the features of every position times the position's weight, no sum.

    Args:
        features: `(batch, height, width, channels)`.
        attention: `(batch, height, width)`.

    Returns:
        `(batch, height, width, channels)`.
    """
    return ops.expand_dims(attention, axis=-1) * features
