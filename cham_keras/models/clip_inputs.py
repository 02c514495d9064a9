"""The inputs that all models share: features of the frames and, if wanted, lengths."""

import keras
from keras import ops

from cham_keras.models.feature_standardization import (
    STANDARDIZATION_LAYER_NAME,
    FeatureStandardization,
)
from cham_keras.models.temporal_differences import DIFFERENCES_LAYER_NAME, TemporalDifferences


def clip_inputs(
    input_shape,
    lengths,
    standardize=False,
    *,
    temporal_differences="none",
    feature_dropout=0.0,
    seed=None,
):
    """Makes a model's inputs, and what is done with the features before the model proper.

    Args:
        input_shape: `(time or None, height, width, channels)`.
        lengths: whether the model takes the number of valid frames of each clip.
        standardize: whether the features, or what temporal differences make of them, are
            standardized.
        temporal_differences: `"none"`, or the `kind` of `TemporalDifferences`.
        feature_dropout: share of the channels that training sets to zero, in all frames
            and positions of a clip alike.
        seed: seed of that dropout.

    Returns:
        `(inputs, features, lengths)`: what `keras.Model` takes, the features
        `(batch, time, height, width, channels)` for all that follows, and int32
        `(batch,)` or None.

    Raises:
        ValueError: `input_shape` is not of rank 4, a size other than time is missing, or
            `temporal_differences` is none of these.
    """
    if len(input_shape) != 4 or any(size is None for size in input_shape[1:]):
        raise ValueError(
            "`input_shape` must be (time or None, height, width, channels). "
            f"Received: input_shape={input_shape!r}"
        )
    inputs = features = keras.Input(input_shape, name="features")
    if temporal_differences != "none":
        layer = TemporalDifferences(temporal_differences, name=DIFFERENCES_LAYER_NAME)
        features = layer(features)
    if standardize:
        features = FeatureStandardization(name=STANDARDIZATION_LAYER_NAME)(features)
    if feature_dropout > 0:
        features = keras.layers.SpatialDropout3D(
            feature_dropout, seed=seed, name="feature_dropout", data_format="channels_last"
        )(features)
    if not lengths:
        return inputs, features, None
    num_frames = keras.Input((), dtype="int32", name="lengths")
    return {"features": inputs, "lengths": num_frames}, features, num_frames


def valid_steps(sequences, lengths):
    """Which steps are no padding: bool `(batch, time)`.

    Args:
        sequences: `(batch, time, ...)`.
        lengths: int `(batch,)`.
    """
    steps = ops.arange(ops.shape(sequences)[1], dtype="int32")
    return ops.expand_dims(steps, 0) < ops.expand_dims(ops.cast(lengths, "int32"), 1)


@keras.saving.register_keras_serializable("cham_keras")
class MeanOverTime(keras.layers.Layer):
    """Mean of the features over the valid steps: `(batch, height, width, channels)`."""

    def call(self, features, lengths=None):
        if lengths is None:
            return ops.mean(features, axis=1)
        # (batch, time) -> (batch, time, 1, 1, 1)
        weight = ops.cast(valid_steps(features, lengths), features.dtype)[:, :, None, None, None]
        total = ops.sum(features * weight, axis=1)
        return total / ops.maximum(ops.sum(weight, axis=1), 1)

    def compute_output_shape(self, features_shape, lengths_shape=None):
        """The features' shape without time."""
        return (features_shape[0], *features_shape[2:])
