"""Softmax regression on the features of every frame: no attention, no memory."""

import keras

from cham_keras.models.classification_head import flatten_positions, softmax_of_steps
from cham_keras.models.clip_inputs import clip_inputs


def softmax_regression(
    input_shape,
    num_classes,
    *,
    l2=0.0,
    standardize=False,
    lengths=False,
    seed=None,
    name="softmax_regression",
):
    """Builds the softmax regression of the paper's [10] (Table 4).

    Every frame is scored by itself, from all numbers of its features.

    Args:
        input_shape: `(time or None, height, width, channels)` of the features.
        num_classes: number of classes.
        l2: what the sum of the squared weights, biases excepted, is multiplied by in
            the loss; 0 for none.
        standardize: whether the features are standardized first, channel by channel;
            `set_feature_statistics` sets the statistics.
        lengths: whether the model also takes `lengths`, int32 `(batch,)`: the
            number of valid frames of each clip. They change no score.
        seed: without use, for the model draws nothing; all builders take one.
        name: name of the model.

    Returns:
        a functional `keras.Model` from features `(batch, time, height, width,
        channels)`, or from `{"features", "lengths"}`, to probabilities
        `(batch, time, num_classes)`.

    Raises:
        ValueError: `l2` is negative.

    Example:

    >>> from cham_keras import models
    >>> model = models.softmax_regression((None, 7, 7, 64), num_classes=6)
    >>> model.output_shape
    (None, None, 6)
    """
    if l2 < 0:
        raise ValueError(f"`l2` must not be negative. Received: l2={l2!r}")
    inputs, features, _ = clip_inputs(input_shape, lengths, standardize)
    probabilities = softmax_of_steps(flatten_positions(features), num_classes, l2)
    return keras.Model(inputs, probabilities, name=name)
