"""The inputs that all models share: features of the frames and, if wanted, lengths."""

import keras
from keras import ops

from cham_keras.models.feature_standardization import (
    STANDARDIZATION_LAYER_NAME,
    FeatureStandardization,
)


def clip_inputs(input_shape, lengths, standardize=False):
    """Makes a model's inputs.

    Args:
        input_shape: `(time or None, height, width, channels)`.
        lengths: whether the model takes the number of valid frames of each clip.
        standardize: whether the features are standardized before anything else.

    Returns:
        `(inputs, features, lengths)`: what `keras.Model` takes, the features
        `(batch, time, height, width, channels)` for all that follows, and int32
        `(batch,)` or None.

    Raises:
        ValueError: `input_shape` is not of rank 4, or a size other than time is missing.
    """
    if len(input_shape) != 4 or any(size is None for size in input_shape[1:]):
        raise ValueError(
            "`input_shape` must be (time or None, height, width, channels). "
            f"Received: input_shape={input_shape!r}"
        )
    inputs = features = keras.Input(input_shape, name="features")
    if standardize:
        features = FeatureStandardization(name=STANDARDIZATION_LAYER_NAME)(features)
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
