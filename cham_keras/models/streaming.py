"""A model that runs frame by frame: its states go in and come out.

Comes in: a model for clips. Goes out: a model for one frame, which shares the
weights. Whoever scores a camera or a server's stream calls it; the models for
clips need the whole clip at once.
"""

import keras
from keras import ops

from cham_keras.models.feature_standardization import standardization_layer
from cham_keras.models.model_parts import features_input, recurrent_outputs, run_again
from cham_keras.models.recurrent_step import recurrent_step


def streaming(model):
    """Makes the model of one step from a model for clips.

    Fed with the frames of a clip one by one, each time with the states that it
    gave before, it gives what the model gives for the whole clip. The weights are
    shared, not copied: training one trains both.

    `start_states` gives the states before the first frame, zeros or trained ones.
    Models with `initial_state="mean_conv"` (the default of `conv_alstm`) or `"mean"`
    (of `fc_attention` and `average_pooled_lstm`) start from the mean of the clip's
    features, which a stream does not know yet: `start_states_from_clip` computes
    their states from the whole clip, or from the frames that are taken for it.

    A model with `emit="updates"` streams too, with probabilities at every frame:
    those of its own steps come whenever the new `phase` is 0, the others are what
    `emit="all"` would give.

    Args:
        model: a recurrent model of `cham_keras.models`, new or loaded, with or without
            `lengths`.

    Returns:
        a functional `keras.Model` from a dictionary to a dictionary. In:
        `features` `(batch, height, width, channels)` of one frame, and the states:
        `h1`, `c1`, `h2`, `c2` and `phase`, int32 `(batch,)`, for CHAM, and `h`, `c`
        for the models of one layer; those with temporal differences also take
        `previous_features` and `has_previous`, int32 `(batch,)`. Out: `probabilities`
        `(batch, num_classes)`, `attention` `(batch, height, width)` of a model that has
        it, and the new states under the same names.

    Raises:
        ValueError: the model is none of `cham_keras.models`, or has no recurrence.

    Example:

    >>> import numpy as np
    >>> from cham_keras import models
    >>> model = models.cham((None, 7, 7, 8), num_classes=3, filters=4)
    >>> step = models.streaming(model)
    >>> states = models.start_states(step, batch_size=1)
    >>> for frame in np.ones((5, 7, 7, 8), "float32"):
    ...     outputs = step.predict_on_batch({"features": frame[None], **states})
    ...     states = {name: outputs[name] for name in states}
    >>> outputs["probabilities"].shape, outputs["phase"]
    ((1, 3), array([1], dtype=int32))
    """
    step = recurrent_step(model)  # says what cannot stream
    clips = features_input(model)
    # (batch, time, height, width, channels) -> (batch, height, width, channels)
    features = keras.Input(clips.shape[2:], dtype=clips.dtype, name="features")
    states = {
        name: keras.Input(shape[1:], dtype=step.state_dtypes[name], name=name)
        for name, shape in step.state_shapes(features.shape).items()
    }
    standardize = None if step.differences is not None else standardization_layer(model)
    results = step(features if standardize is None else standardize(features), states)
    # The head knows clips only, so this frame is a clip of one step.
    outputs = ops.expand_dims(results.pop("outputs"), 1)
    probabilities = run_again(recurrent_outputs(model), model.output, outputs)
    return keras.Model(
        {"features": features, **states},
        {"probabilities": ops.squeeze(probabilities, 1), **results},
        name=f"{model.name}_streaming",
    )
