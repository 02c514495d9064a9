"""Features with mean zero and deviation one in every channel, as the first layer of a model.

Comes in: the features of frames or clips. Goes out: the same, less a mean and divided
by a standard deviation a channel. All builders put it behind the inputs (behind the temporal
differences, where there are some) where `standardize` is set; training measures the statistics
and sets them here.
"""

import keras
import numpy as np
from keras import ops

#: Name of the layer in every model with `standardize=True`.
STANDARDIZATION_LAYER_NAME = "standardization"

#: A deviation below this share of the mean is rounding of float32, not a deviation.
ROUNDING = 1e-6


@keras.saving.register_keras_serializable("cham_keras")
class FeatureStandardization(keras.layers.Layer):
    """Subtracts a mean and divides by a standard deviation, channel by channel.

    The statistics are weights that are not trained: they are saved, streamed and
    exported with the model, and a compiled function sees new ones at once. Before
    they are set the layer changes nothing. A channel that never varied (a deviation
    of zero, or so small beside its mean that it is rounding) is only centred.

    Call arguments:
        features: `(..., channels)`.

    Returns:
        the same shape, in the layer's compute dtype; computed in float32 at least.
    """

    def __init__(self, **kwargs):
        # Half precision would round large features before their mean is subtracted.
        super().__init__(autocast=False, **kwargs)

    def build(self, features_shape):
        """Creates the statistics: mean 0 and variance 1."""
        self.mean, self.variance = [
            self.add_weight(
                name=name,
                shape=(features_shape[-1],),
                initializer=initializer,
                trainable=False,
                autocast=False,
            )
            for name, initializer in (("mean", "zeros"), ("variance", "ones"))
        ]
        self.built = True

    def call(self, features):
        deviation = ops.sqrt(self.variance)
        constant = deviation <= ROUNDING * ops.abs(self.mean)
        deviation = ops.where(constant, 1.0, deviation)
        features = ops.cast(features, self.variable_dtype)
        return ops.cast((features - self.mean) / deviation, self.compute_dtype)

    def compute_output_shape(self, features_shape):
        """The features' shape."""
        return features_shape


def set_feature_statistics(model, mean, variance):
    """Sets what a model with `standardize=True` subtracts and divides by.

    Args:
        model: a model of `cham_keras.models` built with `standardize=True`, new or loaded.
        mean: float32 `(channels,)`, of the training frames' features over frames and positions.
        variance: float32 `(channels,)`, likewise. A channel with variance zero is only
            centred.

    Raises:
        ValueError: the model standardizes nothing, a shape is wrong, or a number is not
            finite or a variance is negative.

    Example:

    >>> import numpy as np
    >>> from cham_keras import models
    >>> model = models.softmax_regression((None, 7, 7, 2), num_classes=3, standardize=True)
    >>> models.set_feature_statistics(model, np.array([5.0, 0.0]), np.array([4.0, 1.0]))
    >>> models.feature_statistics(model)
    (array([5., 0.], dtype=float32), array([4., 1.], dtype=float32))
    """
    layer = _standardization(model)
    statistics = {"mean": mean, "variance": variance}
    for name, values in statistics.items():
        values = np.asarray(values, "float32")
        if values.shape != layer.mean.shape:
            raise ValueError(
                f"`{name}` must have one number for each of the {layer.mean.shape[0]} channels. "
                f"Received: an array of shape {values.shape}"
            )
        wrong = ~np.isfinite(values) | ((values < 0) if name == "variance" else False)
        if wrong.any():
            channel = int(np.argmax(wrong))
            rule = "finite and not negative" if name == "variance" else "finite"
            raise ValueError(
                f"`{name}` must be {rule}. Received: {values[channel]} in channel {channel}"
            )
        statistics[name] = values
    layer.mean.assign(statistics["mean"])
    layer.variance.assign(statistics["variance"])


def feature_statistics(model):
    """What a model with `standardize=True` subtracts and divides by.

    Args:
        model: a model of `cham_keras.models` built with `standardize=True`, new or loaded.

    Returns:
        `(mean, variance)`, NumPy arrays float32 `(channels,)`; 0 and 1 before they are set.

    Raises:
        ValueError: the model standardizes nothing.

    Example:

    >>> from cham_keras import models
    >>> model = models.softmax_regression((None, 7, 7, 2), num_classes=3, standardize=True)
    >>> models.feature_statistics(model)
    (array([0., 0.], dtype=float32), array([1., 1.], dtype=float32))
    """
    layer = _standardization(model)
    return tuple(np.array(ops.convert_to_numpy(x)) for x in (layer.mean, layer.variance))


def standardization_layer(model):
    """The layer that standardizes the features; None where a model has none."""
    found = [layer for layer in model.layers if isinstance(layer, FeatureStandardization)]
    return found[0] if found else None


def _standardization(model):
    layer = standardization_layer(model)
    if layer is None:
        raise ValueError(
            "`model` must be one that was built with standardize=True. "
            f"Received: {model.name!r}, which has no layer {STANDARDIZATION_LAYER_NAME!r}"
        )
    return layer
