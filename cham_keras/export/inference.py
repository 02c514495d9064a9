"""The inference model of a run, and how it is called with arrays.

Comes in: a run. Goes out: a Keras model with every output that an export has.
`saved_model` exports it; `video_classifier` runs it; `parity` compares with it.
"""

import keras
import numpy as np

from cham_keras.models import has_attention, with_attention
from cham_keras.runs import Run

#: Name of the layer before the softmax, in every model of `cham_keras.models`.
LOGITS_LAYER_NAME = "logits"


def inference_model(run: Run) -> keras.Model:
    """The model of a run with the outputs `probabilities`, `logits` and, of a model that has
    it, `attention`.

    Raises:
        FileNotFoundError: the run has no model.
    """
    model = run.load_model()
    logits = model.get_layer(LOGITS_LAYER_NAME).output
    outputs = {"probabilities": model.output}
    if has_attention(model):
        both = with_attention(model)
        model, outputs = both, both.output
    return keras.Model(model.input, {**outputs, "logits": logits}, name=model.name)


class KerasScorer:
    """The model of a run, called with arrays like a `LoadedSavedModel`.

    Args:
        run: a finished run.
    """

    def __init__(self, run: Run) -> None:
        """Loads the model."""
        self._model = inference_model(run)

    def __call__(
        self, features: np.ndarray, lengths: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Scores clips.

        Args:
            features: (batch, time, height, width, channels).
            lengths: (batch,), the number of valid steps of each clip; all by default.

        Returns:
            `probabilities` (batch, time, classes), `clip_probabilities` (batch,
            classes), `logits` (batch, time, classes), and of a model that has it
            `attention` (batch, time, height, width).
        """
        features = np.asarray(features, "float32")
        if lengths is None:
            lengths = np.full(features.shape[0], features.shape[1])
        inputs = {"features": features, "lengths": np.asarray(lengths, "int32")}
        outputs = {
            name: np.asarray(keras.ops.convert_to_numpy(output), "float32")
            for name, output in self._model(inputs, training=False).items()
        }
        clips = mean_over_valid_steps(outputs["probabilities"], inputs["lengths"])
        return {**outputs, "clip_probabilities": clips}


def mean_over_valid_steps(probabilities: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """A clip's score: the mean of its valid steps.

    Args:
        probabilities: (batch, time, classes).
        lengths: (batch,), the number of valid steps of each clip.

    Returns:
        (batch, classes).

    Example:
    >>> steps = np.array([[[0.2, 0.8], [0.4, 0.6], [9.0, 9.0]]])
    >>> mean_over_valid_steps(steps, np.array([2])).round(6).tolist()
    [[0.3, 0.7]]
    """
    valid = np.arange(probabilities.shape[1]) < np.asarray(lengths)[:, None]
    total = (probabilities * valid[..., None]).sum(axis=1)
    return total / np.asarray(lengths)[:, None].astype(probabilities.dtype)
