"""The top of a CNN that scores every frame: spatial mean, dropout, softmax."""

import keras
from keras import ops

from cham_keras.models.classification_head import softmax_of_steps
from cham_keras.models.clip_inputs import clip_inputs


def spatial_convnet(
    input_shape,
    num_classes,
    *,
    dropout=0.5,
    standardize=False,
    lengths=False,
    seed=None,
    name="spatial_convnet",
):
    """Builds the top of the spatial stream of the paper's [2] (Table 4).

    Every frame is scored by itself. On stored features this trains the last layer
    of the CNN alone; with the CNN below it, the whole is fine-tuned.

    Args:
        input_shape: `(time or None, height, width, channels)` of the features.
        num_classes: number of classes.
        dropout: on the mean over the positions.
        standardize: whether the features are standardized first, channel by channel;
            `set_feature_statistics` sets the statistics.
        lengths: whether the model also takes `lengths`, int32 `(batch,)`: the
            number of valid frames of each clip. They change no score.
        seed: seed of the dropout; weights follow `keras.utils.set_random_seed`.
        name: name of the model.

    Returns:
        a functional `keras.Model` from features `(batch, time, height, width,
        channels)`, or from `{"features", "lengths"}`, to probabilities
        `(batch, time, num_classes)`.

    Example:

    >>> from cham_keras import models
    >>> model = models.spatial_convnet((25, 7, 7, 64), num_classes=6)
    >>> model.output_shape
    (None, 25, 6)
    """
    inputs, features, _ = clip_inputs(input_shape, lengths, standardize)
    # (batch, time, height, width, channels) -> (batch, time, channels)
    pooled = ops.mean(features, axis=(2, 3))
    pooled = keras.layers.Dropout(dropout, seed=seed, name="dropout")(pooled)
    return keras.Model(inputs, softmax_of_steps(pooled, num_classes), name=name)
