"""From the recurrent layer's outputs to class probabilities at every step."""

import keras
from keras import ops


def convolutional_head(outputs, num_classes, *, units, pooling, dropout, seed):
    """Spatial pooling, a dense layer with tanh, dropout, softmax (paper, 2.2 and 3.2).

    Args:
        outputs: `(batch, time, height, width, filters)`.
        num_classes: number of classes.
        units: size of the dense layer.
        pooling: `"average"` over the positions, or `"flatten"`, which keeps them apart.
        dropout: share of the dense layer's outputs set to zero in training.
        seed: seed of the dropout.

    Returns:
        probabilities, `(batch, time, num_classes)`, float32.
    """
    if pooling == "average":
        pooled = ops.mean(outputs, axis=(2, 3))
    elif pooling == "flatten":
        _, _, height, width, filters = outputs.shape
        # (batch, time, height, width, filters) -> (batch, time, height * width * filters)
        pooled = keras.layers.Reshape((-1, height * width * filters), name="flatten")(outputs)
    else:
        raise ValueError(f"`pooling` must be 'average' or 'flatten'. Received: pooling={pooling!r}")
    return dense_head(pooled, num_classes, units=units, dropout=dropout, seed=seed)


def dense_head(vectors, num_classes, *, units, dropout, seed):
    """A dense layer with tanh, dropout and softmax, at every step.

    Args:
        vectors: `(batch, time, channels)`.
        num_classes: number of classes.
        units: size of the dense layer.
        dropout: share of the dense layer's outputs set to zero in training.
        seed: seed of the dropout.

    Returns:
        probabilities, `(batch, time, num_classes)`, float32.
    """
    hidden = keras.layers.Dense(units, activation="tanh", name="hidden")(vectors)
    hidden = keras.layers.Dropout(dropout, seed=seed, name="dropout")(hidden)
    logits = keras.layers.Dense(num_classes, name="logits")(hidden)
    # In float32 under every precision policy: the loss takes logarithms of these.
    return keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits)
