"""Accuracy over frames and over clips, without the padding."""

import keras
from keras import ops

from cham_keras.losses import PADDING_LABEL, labels_of_steps


@keras.saving.register_keras_serializable("cham_keras")
class FrameAccuracy(keras.metrics.Mean):
    """Share of the frames whose most probable class is the right one.

    Args:
        name, dtype: of `keras.metrics.Metric`.

    Example:

    >>> import numpy as np
    >>> from cham_keras.metrics import FrameAccuracy
    >>> probabilities = np.array([[[0.9, 0.1], [0.2, 0.8], [0.9, 0.1]]])
    >>> float(FrameAccuracy()(np.array([[0, 0, -1]]), probabilities))
    0.5
    """

    def __init__(self, name="frame_accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts the steps whose label is not -1; a weight a clip is taken where given."""
        labels = labels_of_steps(y_true, y_pred)
        weight = ops.cast(ops.not_equal(labels, PADDING_LABEL), self.dtype)
        if sample_weight is not None:
            weight = weight * ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1))
        right = ops.equal(labels, ops.cast(ops.argmax(y_pred, axis=-1), "int32"))
        super().update_state(ops.cast(right, self.dtype), sample_weight=weight)

    def get_config(self):
        """The constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype}


@keras.saving.register_keras_serializable("cham_keras")
class ClipAccuracy(keras.metrics.Mean):
    """Share of the clips whose mean probabilities over their frames name the right class.

    Args:
        name, dtype: of `keras.metrics.Metric`.

    Example:

    >>> import numpy as np
    >>> from cham_keras.metrics import ClipAccuracy
    >>> probabilities = np.array([[[0.9, 0.1], [0.2, 0.8], [0.0, 1.0]]])
    >>> float(ClipAccuracy()(np.array([[0, 0, -1]]), probabilities))
    1.0
    """

    def __init__(self, name="clip_accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a clip once, over its steps whose label is not -1."""
        # PyTorch multiplies no NumPy array with a tensor.
        y_pred = ops.convert_to_tensor(y_pred)
        labels = labels_of_steps(y_true, y_pred)
        valid = ops.cast(ops.not_equal(labels, PADDING_LABEL), y_pred.dtype)
        # The sum names the same class as the mean.
        scores = ops.sum(y_pred * ops.expand_dims(valid, -1), axis=1)
        right = ops.equal(ops.max(labels, axis=1), ops.cast(ops.argmax(scores, -1), "int32"))
        super().update_state(ops.cast(right, self.dtype), sample_weight=sample_weight)

    def get_config(self):
        """The constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype}
