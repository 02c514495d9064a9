"""Running a SavedModel with TensorFlow alone: neither Keras nor this package is needed.

Comes in: the folder of one version and arrays. Goes out: arrays. `video_classifier`
uses it for exports. As a program, `python loading.py VERSION REQUESTS.pickle ANSWERS.pickle`,
it answers requests where Keras and this package cannot be imported at all; `parity`
starts it so. For that, nothing of the package may be imported here.
"""

import pickle
import sys
from pathlib import Path

if __name__ == "__main__":
    # TensorFlow itself would import Keras where it finds it. None makes the import fail.
    sys.modules.update({"keras": None, "cham_keras": None})  # type: ignore[dict-item]

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

SIGNATURE = "serving_default"


class LoadedSavedModel:
    """The signature `serving_default` of a SavedModel, called with arrays.

    Args:
        folder: folder of one version, with `saved_model.pb` in it.

    Raises:
        ValueError: TensorFlow cannot load it, or it has no such signature.
    """

    def __init__(self, folder: Path) -> None:
        """Loads graph and weights."""
        try:
            # Kept: the signature does not keep the variables alive.
            self._loaded = tf.saved_model.load(str(folder))
        # IndexError is what TensorFlow makes of a file that is too short.
        except (OSError, IndexError, tf.errors.OpError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(
                f"{folder} must be a whole SavedModel. TensorFlow says: {reason}. "
                "Run `cham export` again."
            ) from error
        if SIGNATURE not in self._loaded.signatures:
            raise ValueError(
                f"The SavedModel {folder} must have the signature {SIGNATURE}. "
                f"Received: {sorted(self._loaded.signatures)}."
            )
        self._signature = self._loaded.signatures[SIGNATURE]
        #: (batch, time, height, width, channels) with None for what is free.
        self.features_shape = self._signature.structured_input_signature[1]["features"].shape

    def call(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls any signature with arrays; strings go in as arrays of `bytes` objects."""
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        outputs = self._loaded.signatures[signature](**tensors)
        return {name: _array(output) for name, output in outputs.items()}

    def __call__(
        self, features: np.ndarray, lengths: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Scores clips.

        Args:
            features: (batch, time, height, width, channels), rounded to float32.
            lengths: (batch,), the number of valid steps of each clip; all by default.

        Returns:
            the signature's outputs by name, each with the batch first; strings as str.

        Raises:
            ValueError: the features have another shape than the model's, or a
                length is not from 1 to the number of steps.
        """
        features = np.asarray(features, "float32")
        if not self.features_shape.is_compatible_with(features.shape):
            raise ValueError(
                f"`features` must be of shape {self.features_shape.as_list()}. "
                f"Received: {list(features.shape)}."
            )
        num_clips, num_steps = features.shape[:2]
        lengths = np.full(num_clips, num_steps) if lengths is None else np.asarray(lengths)
        # The graph checks the same, for whoever serves it, with TensorFlow's words around it.
        if lengths.shape != (num_clips,) or np.any((lengths < 1) | (lengths > num_steps)):
            raise ValueError(
                f"`lengths` must be {num_clips} number(s) from 1 to {num_steps}, one for each "
                f"clip of `features`. Received: {lengths.tolist()}."
            )
        outputs = self._signature(
            features=tf.constant(features), lengths=tf.constant(lengths, tf.int32)
        )
        return {name: _array(output) for name, output in outputs.items()}


def _array(output: tf.Tensor) -> np.ndarray:
    array = output.numpy()
    if output.dtype == tf.string:
        return np.array([text.decode() for text in array.ravel()]).reshape(array.shape)
    return array


def signatures_of(folder: Path) -> list[str]:
    """Names of a SavedModel's signatures, sorted; read from its file, without loading it."""
    content = (Path(folder) / "saved_model.pb").read_bytes()
    definitions = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].signature_def
    return sorted(name for name in definitions if not name.startswith("__"))


def main(folder: str, requests_file: str, answers_file: str, repeats: str = "0") -> None:
    """Answers the requests of a file.

    Args:
        folder: folder of one version.
        requests_file: a pickled list of (signature, {input: array}).
        answers_file: gets a pickled dictionary; `answers`, a dictionary of arrays for each
            request.
        repeats: of no use here; the program of the C library takes times.
    """
    del repeats
    loaded = LoadedSavedModel(Path(folder))
    answers = []
    # Written by the process that started this one.
    for signature, inputs in pickle.loads(Path(requests_file).read_bytes()):
        answers.append(loaded.call(signature, inputs))
    Path(answers_file).write_bytes(pickle.dumps({"answers": answers, "seconds": []}))


if __name__ == "__main__":
    main(*sys.argv[1:])
