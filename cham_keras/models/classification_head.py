"""From vectors or maps of every step to class probabilities of every step."""

import keras
from keras import ops


def convolutional_head(outputs, num_classes, *, units, pooling, dropout, seed):
    """Spatial pooling, a dense layer with tanh, dropout, softmax (paper, 2.2 and 3.2).

    Args:
        outputs: `(batch, time, height, width, filters)`.
        num_classes: number of classes.
        units: size of the dense layer; 0 for none.
        pooling: `"average"` or `"max"` over the positions, or `"flatten"`, which keeps
            them apart.
        dropout: share of the dense layer's outputs (of its inputs where there is none) set to
            zero in training.
        seed: seed of the dropout.

    Returns:
        probabilities, `(batch, time, num_classes)`, float32.

    Raises:
        ValueError: `pooling` is none of these.
    """
    if pooling == "average":
        pooled = ops.mean(outputs, axis=(2, 3))
    elif pooling == "max":
        pooled = ops.max(outputs, axis=(2, 3))
    elif pooling == "flatten":
        pooled = flatten_positions(outputs)
    else:
        raise ValueError(
            f"`pooling` must be 'average', 'max' or 'flatten'. Received: pooling={pooling!r}"
        )
    return dense_head(pooled, num_classes, units=units, dropout=dropout, seed=seed)


def dense_head_of_states(outputs, num_classes, *, units, dropout, seed):
    """Dropout, a dense layer with tanh, dropout, softmax: the head of the paper's [10].

    Args:
        outputs: `(batch, time, channels)`, the hidden states.
        num_classes: number of classes.
        units: size of the dense layer; 0 for none.
        dropout: share set to zero in training, before and behind the dense layer.
        seed: seed of the dropouts.

    Returns:
        probabilities, `(batch, time, num_classes)`, float32.
    """
    outputs = keras.layers.Dropout(dropout, seed=seed, name="dropout_of_outputs")(outputs)
    return dense_head(outputs, num_classes, units=units, dropout=dropout, seed=seed)


def dense_head(vectors, num_classes, *, units, dropout, seed):
    """A dense layer with tanh, dropout and softmax, at every step.

    Args:
        vectors: `(batch, time, channels)`.
        num_classes: number of classes.
        units: size of the dense layer; 0 for none.
        dropout: share of the dense layer's outputs (of its inputs where there is none) set to
            zero in training.
        seed: seed of the dropout.

    Returns:
        probabilities, `(batch, time, num_classes)`, float32.
    """
    hidden = vectors
    if units > 0:
        hidden = keras.layers.Dense(units, activation="tanh", name="hidden")(vectors)
    hidden = keras.layers.Dropout(dropout, seed=seed, name="dropout")(hidden)
    return softmax_of_steps(hidden, num_classes)


def softmax_of_steps(vectors, num_classes, l2=0.0):
    """The last product and the softmax, at every step.

    Args:
        vectors: `(batch, time, channels)`.
        num_classes: number of classes.
        l2: weight of the squared weights, biases excepted, in the loss.

    Returns:
        probabilities, `(batch, time, num_classes)`, float32.
    """
    regularizer = keras.regularizers.L2(l2) if l2 > 0 else None
    logits = keras.layers.Dense(num_classes, kernel_regularizer=regularizer, name="logits")(vectors)
    # In float32 under every precision policy: the loss takes logarithms of these.
    return keras.layers.Activation("softmax", dtype="float32", name="probabilities")(logits)


def flatten_positions(maps):
    """`(batch, time, height, width, channels)` -> `(batch, time, height * width * channels)`."""
    _, _, height, width, channels = maps.shape
    return keras.layers.Reshape((-1, height * width * channels), name="flatten")(maps)
