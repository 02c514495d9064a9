"""The loss of the paper, for models that give class probabilities at every step."""

import keras
from keras import ops

#: The label of a step that counts nothing: padding.
PADDING_LABEL = -1


def labels_of_steps(labels, probabilities):
    """Labels as int32 `(batch, time)`: a clip's one label is that of all its steps.

    Args:
        labels: `(batch,)`, `(batch, 1)` or `(batch, time)`; -1 on padding.
        probabilities: `(batch, time, classes)`.

    Returns:
        int32 `(batch, time)`.
    """
    shape = ops.shape(probabilities)[:2]
    # A reshape works where TensorFlow has lost the labels' rank, as `fit` can make it do.
    labels = ops.reshape(ops.cast(labels, "int32"), (shape[0], -1))
    return ops.broadcast_to(labels, shape)


@keras.saving.register_keras_serializable("cham_keras")
class SequenceCrossEntropy(keras.losses.Loss):
    """Eq. 9: cross entropy summed over the steps of a clip, and the mean over the batch.

    Args:
        over_time: `"sum"` as printed, or `"mean"` over the clip's valid steps.
        label_smoothing: share e of each label that is spread over all C classes evenly, so
            that the label's own class has 1 - e + e / C and any other e / C.
        **kwargs: of `keras.losses.Loss`.

    Call arguments:
        y_true: class indices, `(batch,)` for one label a clip or `(batch, time)`
            for one a step; -1 marks padding, which counts nothing.
        y_pred: probabilities, `(batch, time, classes)`.
        sample_weight: `(batch,)`, a weight a clip.

    Raises:
        ValueError: `over_time` is neither, or `label_smoothing` is not in [0, 1).

    Example:

    >>> import numpy as np
    >>> from cham_keras.losses import SequenceCrossEntropy
    >>> probabilities = np.full((1, 3, 4), 0.25, "float32")
    >>> loss = SequenceCrossEntropy()(np.array([[2, 2, -1]]), probabilities)
    >>> print(round(float(loss) / np.log(4), 4))  # two steps count
    2.0
    """

    def __init__(
        self, over_time="sum", label_smoothing=0.0, name="sequence_cross_entropy", **kwargs
    ):
        super().__init__(name=name, **kwargs)
        if over_time not in ("sum", "mean"):
            raise ValueError(
                f"`over_time` must be 'sum' or 'mean'. Received: over_time={over_time!r}"
            )
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                "`label_smoothing` must be at least 0 and below 1. "
                f"Received: label_smoothing={label_smoothing!r}"
            )
        self.over_time = over_time
        self.label_smoothing = label_smoothing

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The loss of a batch; a mask that Keras has hung on `y_pred` marks padding too."""
        mask = getattr(y_pred, "_keras_mask", None)
        if mask is not None:
            labels = labels_of_steps(y_true, y_pred)
            y_true = ops.where(ops.cast(mask, "bool"), labels, PADDING_LABEL)
            # Keras would apply the mask of the steps to the losses of the clips.
            y_pred = ops.copy(y_pred)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        labels = labels_of_steps(y_true, y_pred)
        valid = ops.not_equal(labels, PADDING_LABEL)
        # Padding takes class 0's probability here and is set to zero below.
        of_steps = self._of_steps(ops.where(valid, labels, 0), y_pred)
        total = ops.sum(ops.where(valid, of_steps, 0.0), axis=1)
        if self.over_time == "sum":
            return total
        num_valid = ops.sum(ops.cast(valid, total.dtype), axis=1)
        return total / ops.maximum(num_valid, 1)

    def _of_steps(self, labels, y_pred):
        """The cross entropy of each step, `(batch, time)`."""
        if not self.label_smoothing:
            return ops.sparse_categorical_crossentropy(labels, y_pred)
        num_classes = y_pred.shape[-1]
        own = ops.one_hot(labels, num_classes, dtype=y_pred.dtype)
        share = self.label_smoothing
        return ops.categorical_crossentropy((1 - share) * own + share / num_classes, y_pred)

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "over_time": self.over_time,
            "label_smoothing": self.label_smoothing,
        }
