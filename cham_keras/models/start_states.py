"""The states that a stream starts with.

Comes in: a streaming model, or the model for clips and a clip. Goes out: NumPy
arrays by name, ready for the streaming model.
"""

import keras
import numpy as np
from keras import ops

from cham_keras.layers import HierarchicalSkipRNN
from cham_keras.models.model_parts import (
    features_input,
    recurrent_layer,
    run_again,
    start_layers,
)
from cham_keras.models.recurrent_step import STEP_LAYER_NAME, recurrent_step
from cham_keras.models.temporal_differences import STATES_OF_DIFFERENCES, differences_layer


def start_states(streaming_model, batch_size=1):
    """The states before the first frame: zeros, or those that were trained.

    Args:
        streaming_model: what `streaming` gave, new or loaded.
        batch_size: number of streams that run side by side.

    Returns:
        a dictionary of NumPy arrays, ready to go into the model beside `features`.

    Raises:
        ValueError: the model is no streaming model, or starts from the mean of a clip.

    Example:

    >>> from cham_keras import models
    >>> step = models.streaming(models.cham((None, 7, 7, 8), num_classes=3, filters=4))
    >>> {name: state.shape for name, state in models.start_states(step, 2).items()}
    {'h1': (2, 7, 7, 4), 'c1': (2, 7, 7, 4), 'h2': (2, 7, 7, 4), 'c2': (2, 7, 7, 4), 'phase': (2,)}
    """
    names = [layer.name for layer in streaming_model.layers]
    if STEP_LAYER_NAME not in names:
        raise ValueError(
            "`streaming_model` must be a model that `streaming` gave. "
            f"Received: a model with the layers {names}"
        )
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(
            f"`batch_size` must be a positive integer. Received: batch_size={batch_size!r}"
        )
    step = streaming_model.get_layer(STEP_LAYER_NAME)
    if not step.starts_from_zeros and step.learned_start is None:
        raise ValueError(
            "`streaming_model` must start from zeros or from trained states, but this one starts "
            "from the mean of a clip's features. Take `start_states_from_clip` with the model for "
            "clips, and features. "
            f"Received: streaming_model={streaming_model.name!r}"
        )
    return step.first_states((batch_size, *streaming_model.input["features"].shape[1:]))


def start_states_from_clip(model, features, lengths=None):
    """The states that a model starts a clip with.

    A model that starts from the mean of the clip's features needs the whole clip
    for the states that it was trained with. Where a stream has no end yet, its
    first frames can stand for it; the scores then are not those of the whole clip.

    Args:
        model: the model for clips that `streaming` was given.
        features: `(batch, time, height, width, channels)`.
        lengths: int `(batch,)`, the number of valid frames of each clip; all by default.

    Returns:
        a dictionary of NumPy arrays for the streaming model; zeros for a model
        that starts from zeros, the trained states for one that has these.

    Raises:
        ValueError: the model is none of `cham_keras.models` or has no recurrence, the
            features do not go with it, or lengths are given for a model without.

    Example:

    >>> import numpy as np
    >>> from cham_keras import models
    >>> model = models.fc_attention((None, 7, 7, 8), num_classes=3, units=4)
    >>> states = models.start_states_from_clip(model, np.ones((2, 5, 7, 7, 8), "float32"))
    >>> {name: state.shape for name, state in states.items()}
    {'h': (2, 4), 'c': (2, 4)}
    """
    step = recurrent_step(model)
    features = np.asarray(features)
    frame_shape = features_input(model).shape[2:]
    if features.ndim != 5 or features.shape[2:] != frame_shape or 0 in features.shape:
        raise ValueError(
            f"`features` must be of shape (batch, time, {', '.join(map(str, frame_shape))}), "
            f"with one frame at least. Received: {features.shape}"
        )
    lengths = _checked_lengths(model, features, lengths)
    start = start_model(model)
    if start is None:
        return step.first_states((len(features), *frame_shape))
    inputs = {"features": features, "lengths": lengths}
    states = start({name: inputs[name] for name in start.input}, training=False)
    return {
        name: ops.convert_to_numpy(ops.cast(state, step.state_dtypes[name]))
        for name, state in states.items()
    }


def start_model(model):
    """The part of a model for clips that gives the states to start with.

    Args:
        model: a model of `cham_keras.models`.

    Returns:
        a functional `keras.Model` from `features` and, where the model takes them,
        `lengths`, by name, to the states by name; the number of frames is free, and
        trained states are the same whatever the features. None for a model that
        starts from zeros.
    """
    layers = start_layers(model)
    if layers is None:
        return None
    features = features_input(model)
    inputs = {"features": keras.Input((None, *features.shape[2:]), name="features")}
    if isinstance(model.input, dict):
        inputs["lengths"] = keras.Input((), dtype="int32", name="lengths")
    states = run_again(
        model.input,
        {name: layer.output for name, layer in layers.items()},
        inputs if isinstance(model.input, dict) else inputs["features"],
    )
    if isinstance(recurrent_layer(model), HierarchicalSkipRNN):
        # A clip's start, for every clip of the batch.
        states["phase"] = ops.zeros_like(inputs["features"][:, 0, 0, 0, 0], dtype="int32")
    if differences_layer(model) is not None:
        first = inputs["features"][:, 0]
        zeros = (ops.zeros_like(first), ops.zeros_like(first[:, 0, 0, 0], dtype="int32"))
        states |= dict(zip(STATES_OF_DIFFERENCES, zeros, strict=True))
    return keras.Model(inputs, states, name=f"{model.name}_start")


def _checked_lengths(model, features, lengths):
    """The lengths of the clips, int32; None for a model that takes none."""
    if not isinstance(model.input, dict):
        if lengths is not None:
            raise ValueError(
                "`lengths` go with a model that was built with lengths=True. "
                "Received: lengths with a model without."
            )
        return None
    batch, time = features.shape[:2]
    lengths = np.full(batch, time) if lengths is None else np.asarray(lengths)
    if lengths.shape != (batch,) or np.any((lengths < 1) | (lengths > time)):
        raise ValueError(
            f"`lengths` must be {batch} number(s) from 1 to {time}, one for each clip of "
            f"`features`. Received: lengths={lengths.tolist()}"
        )
    return lengths.astype("int32")
