"""What the recurrence starts from: zeros, the mean of the clip's features, or trained states."""

import keras
from keras import ops

from cham_keras.models.clip_inputs import MeanOverTime

#: The layer of a model that gives the first state `h` is `initial_h`, and so on.
INITIAL_LAYER_PREFIX = "initial_"


@keras.saving.register_keras_serializable("cham_keras")
class LearnedState(keras.layers.Layer):
    """A trained state that every clip starts with; zeros before training.

    Args:
        shape: of the state, without the batch.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        features: of any shape `(batch, ...)`; only the size of the batch is taken.

    Returns:
        `(batch, *shape)`, in the dtype of the weights: a cell memory keeps float32
        where the rest is in half precision.
    """

    def __init__(self, shape, **kwargs):
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def build(self, features_shape):
        """Creates the state."""
        self.state = self.add_weight(
            name="state", shape=self.shape, initializer="zeros", autocast=False
        )
        self.built = True

    def call(self, features):
        return ops.broadcast_to(self.state, (ops.shape(features)[0], *self.shape))

    def compute_output_spec(self, features):
        """Shape and dtype of what `call` returns."""
        return keras.KerasTensor((features.shape[0], *self.shape), self.variable_dtype)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "shape": self.shape}


def initial_states(features, lengths, kind, names, filters):
    """Start states of convolutional cells.

    Args:
        features: `(batch, time, height, width, channels)`.
        lengths: int32 `(batch,)` or None.
        kind: `"zeros"`; `"mean_conv"`: a 3x3 convolution with tanh of the time-mean
            feature for each state, as in the paper's [22]; or `"learned"`: a trained
            map for each.
        names: of the states, as `h`, `c` or `h1`, `c1`, `h2`, `c2`.
        filters: channels of each state.

    Returns:
        None for zeros, else a list of states, each `(batch, height, width, filters)`.

    Raises:
        ValueError: `kind` is none of these.
    """
    if kind == "zeros":
        return None
    if kind == "learned":
        _, _, height, width, _ = features.shape
        return _learned_states(features, names, (height, width, filters))
    if kind != "mean_conv":
        raise _unknown(kind, "mean_conv")
    mean = MeanOverTime(name="mean_over_time")(features, lengths=lengths)
    return [
        keras.layers.Conv2D(
            filters, 3, padding="same", activation="tanh", name=INITIAL_LAYER_PREFIX + name
        )(mean)
        for name in names
    ]


def initial_vectors(features, lengths, kind, units):
    """Start states of the cells whose states are vectors.

    Args:
        features: `(batch, time, height, width, channels)`.
        lengths: int32 `(batch,)` or None.
        kind: `"zeros"`; `"mean"`: a dense layer with tanh of the mean feature over
            time and positions for each of h and c, as in the paper's [10]; or
            `"learned"`: a trained vector for each.
        units: size of the states.

    Returns:
        None for zeros, else `[h, c]`, each `(batch, units)`.

    Raises:
        ValueError: `kind` is none of these.
    """
    if kind == "zeros":
        return None
    if kind == "learned":
        return _learned_states(features, ("h", "c"), (units,))
    if kind != "mean":
        raise _unknown(kind, "mean")
    mean = MeanOverTime(name="mean_over_time")(features, lengths=lengths)
    mean = keras.layers.GlobalAveragePooling2D(name="mean_over_positions")(mean)
    return [
        keras.layers.Dense(units, activation="tanh", name=INITIAL_LAYER_PREFIX + name)(mean)
        for name in ("h", "c")
    ]


def _learned_states(features, names, shape):
    return [LearnedState(shape, name=INITIAL_LAYER_PREFIX + name)(features) for name in names]


def _unknown(kind, of_the_mean):
    return ValueError(
        f"`initial_state` must be 'zeros', {of_the_mean!r} or 'learned'. "
        f"Received: initial_state={kind!r}"
    )
