"""What the recurrence starts from: zeros, or the mean of the clip's features."""

import keras

from cham_keras.models.clip_inputs import MeanOverTime


def initial_states(features, lengths, kind, filters):
    """Start states of a convolutional cell.

    Args:
        features: `(batch, time, height, width, channels)`.
        lengths: int32 `(batch,)` or None.
        kind: `"zeros"`, or `"mean_conv"`: a 3x3 convolution with tanh of the
            time-mean feature for each of h and c, as in the paper's [22].
        filters: channels of the states.

    Returns:
        None for zeros, else `[h, c]`, each `(batch, height, width, filters)`.
    """
    if kind == "zeros":
        return None
    if kind != "mean_conv":
        raise ValueError(
            f"`initial_state` must be 'zeros' or 'mean_conv'. Received: initial_state={kind!r}"
        )
    mean = MeanOverTime(name="mean_over_time")(features, lengths=lengths)
    return [
        keras.layers.Conv2D(filters, 3, padding="same", activation="tanh", name=f"initial_{state}")(
            mean
        )
        for state in ("h", "c")
    ]


def initial_vectors(features, lengths, kind, units):
    """Start states of the fully connected cell.

    Args:
        features: `(batch, time, height, width, channels)`.
        lengths: int32 `(batch,)` or None.
        kind: `"zeros"`, or `"mean"`: a dense layer with tanh of the mean feature
            over time and positions for each of h and c, as in the paper's [10].
        units: size of the states.

    Returns:
        None for zeros, else `[h, c]`, each `(batch, units)`.
    """
    if kind == "zeros":
        return None
    if kind != "mean":
        raise ValueError(
            f"`initial_state` must be 'zeros' or 'mean'. Received: initial_state={kind!r}"
        )
    mean = MeanOverTime(name="mean_over_time")(features, lengths=lengths)
    mean = keras.layers.GlobalAveragePooling2D(name="mean_over_positions")(mean)
    return [
        keras.layers.Dense(units, activation="tanh", name=f"initial_{state}")(mean)
        for state in ("h", "c")
    ]
