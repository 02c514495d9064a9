"""What changes from frame to frame, beside the features or in their place.

Comes in: the features of a clip, or of one frame and the one before it. Goes out: the absolute
differences of successive frames, behind the features or alone. The recurrent models put it
behind their inputs where `temporal_differences` is set, before anything is standardized;
`recurrent_step` runs it frame by frame.

Features of a network for photographs say what stands in a picture. In clips of few places and
people that is learned by heart; what moves is left when what stays is subtracted.
"""

import keras
from keras import ops

#: Name of the layer in every model with temporal differences.
DIFFERENCES_LAYER_NAME = "temporal_differences"

#: The states of a stream: the features of the frame before, and whether there was one, 0 or 1.
STATES_OF_DIFFERENCES = ("previous_features", "has_previous")


@keras.saving.register_keras_serializable("cham_keras")
class TemporalDifferences(keras.layers.Layer):
    """Absolute differences of each frame's features to those of the frame before.

    The first frame has none before it: its differences are zero.

    Args:
        kind: `"beside"`: features and differences, one behind the other in the channels;
            `"only"`: the differences alone.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        features: `(batch, time, height, width, channels)`.

    Returns:
        the same shape, with twice the channels for `"beside"`, in the layer's compute dtype;
        computed in float32 at least.

    Raises:
        ValueError: `kind` is neither.

    Example:

    >>> import numpy as np
    >>> clip = np.array([5.0, 2.0, 3.0], "float32").reshape(1, 3, 1, 1, 1)
    >>> np.array(TemporalDifferences("only")(clip)).ravel()
    array([0., 3., 1.], dtype=float32)
    """

    def __init__(self, kind, **kwargs):
        # Half precision would round large features before they are subtracted.
        super().__init__(autocast=False, **kwargs)
        if kind not in ("beside", "only"):
            raise ValueError(
                "`temporal_differences` must be 'none', 'beside' or 'only'. "
                f"Received: temporal_differences={kind!r}"
            )
        self.kind = kind
        self.built = True

    def call(self, features):
        features = ops.cast(features, self.variable_dtype)
        changes = ops.abs(features[:, 1:] - features[:, :-1])
        changes = ops.pad(changes, ((0, 0), (1, 0), (0, 0), (0, 0), (0, 0)))
        return self._joined(features, changes)

    def step(self, features, previous_features, has_previous):
        """One frame.

        Args:
            features: `(batch, height, width, channels)`.
            previous_features: of the frame before, the same shape.
            has_previous: int `(batch,)`: 0 where this is a clip's first frame.

        Returns:
            `(batch, height, width, channels or 2 * channels)`.
        """
        features = ops.cast(features, self.variable_dtype)
        changes = ops.abs(features - ops.cast(previous_features, self.variable_dtype))
        is_first = ops.reshape(has_previous, (-1, 1, 1, 1)) == 0
        return self._joined(features, ops.where(is_first, ops.zeros_like(changes), changes))

    def _joined(self, features, changes):
        if self.kind == "beside":
            changes = ops.concatenate([features, changes], axis=-1)
        return ops.cast(changes, self.compute_dtype)

    def compute_output_shape(self, features_shape):
        """The features' shape, with twice the channels for `"beside"`."""
        *others, channels = features_shape
        return (*others, channels * (2 if self.kind == "beside" else 1))

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "kind": self.kind}


def split_at_differences(model):
    """Splits a model behind its temporal differences, to look at or to change what they give.

    Args:
        model: a model of this package that takes lengths.

    Returns:
        `(differences, rest)`: a layer or, of a model without differences, a function that gives
        the features as they are; and a model of `[what that gives, lengths]`, with the same
        weights.

    Example:

    >>> import numpy as np
    >>> from cham_keras import models
    >>> kind = {"temporal_differences": "only", "lengths": True}
    >>> model = models.cham((None, 7, 7, 8), num_classes=3, filters=4, **kind)
    >>> differences, rest = split_at_differences(model)
    >>> features, lengths = np.random.rand(1, 4, 7, 7, 8).astype("float32"), np.array([4], "int32")
    >>> whole = model.predict_on_batch({"features": features, "lengths": lengths})
    >>> changes = np.asarray(differences(features))
    >>> bool(np.allclose(rest.predict_on_batch([changes, lengths]), whole, atol=1e-6))
    True
    """
    layer, lengths = differences_layer(model), model.input["lengths"]
    if layer is None:
        return lambda features: features, keras.Model(
            [model.input["features"], lengths], model.output
        )
    return layer, keras.Model([layer.output, lengths], model.output)


def differences_layer(model):
    """The layer that takes the temporal differences; None where a model has none."""
    found = [layer for layer in model.layers if isinstance(layer, TemporalDifferences)]
    return found[0] if found else None
