"""Classifying frames as they come, with memory that does not grow.

Comes in: frames one by one, and a run, an export or a server. Goes out: after each frame the
probabilities and where the model looked. The model's states go from frame to frame.
`cham predict --stream` calls it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cham_keras.data import Backbone, load_backbone_from_spec
from cham_keras.data.shards.stored_features import as_stored
from cham_keras.export.description import preparation_of_run
from cham_keras.export.export_folder import Export
from cham_keras.export.loading import LoadedSavedModel, signatures_of
from cham_keras.export.served_source import ServedSource
from cham_keras.export.streaming import INITIAL_SIGNATURE, STEP_SIGNATURE
from cham_keras.export.video_classifier import Source
from cham_keras.models import start_states, streaming
from cham_keras.runs import Run

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class StreamStep:
    """What a model says after a frame.

    Attributes:
        number: of the frame, from 0.
        probabilities: (classes,) float32, after this frame.
        mean_probabilities: (classes,) float32, their mean since the stream began: a clip's
            score, if it ended here.
        attention: (height, width) float32; None for a model without attention.
    """

    number: int
    probabilities: np.ndarray
    mean_probabilities: np.ndarray
    attention: np.ndarray | None


class StreamClassifier:
    """Classifies a stream, frame by frame.

    Args:
        source: a run, an export, or a model on a server.
        weights: where the backbone's weights file lies now, if it was moved.

    Raises:
        ValueError: the model has no states, or starts from the mean of a whole clip, which a
            stream does not know yet; or the export has no signatures for streams.
        FileNotFoundError: model or weights are gone.
        ServerError: the server cannot be asked.
    """

    def __init__(self, source: Source, weights: Path | None = None) -> None:
        """Loads model and backbone."""
        self._step, self._begin = _calls_of(source)
        if isinstance(source, Run):
            self.classes = source.manifest.classes
            self.preparation = preparation_of_run(source)
        else:
            self.classes = source.description.classes
            self.preparation = source.description.preparation
        loaded = load_backbone_from_spec(self.preparation.backbone, weights)
        # One frame at a time: the usual batches would be filled up with blank ones.
        self._backbone = Backbone(loaded.model, loaded.preprocess, loaded.spec, batch_size=1)
        #: How frames are brought to the size that the backbone takes.
        self.resizing = self._backbone.resizing
        #: Where in a frame the cells of the attention maps lie.
        self.grid = self._backbone.grid
        self.begin()

    def begin(self) -> None:
        """Forgets all frames: the next one is the first of a stream."""
        self._states = self._begin()
        self._number = 0
        self._total = np.zeros(len(self.classes))

    def __call__(self, frame: np.ndarray) -> StreamStep:
        """Takes the next frame.

        Args:
            frame: (height, width, 3) uint8, red, green, blue. One of another size than the
                backbone's is brought to it; one that `resizing` gave stays as it is.
        """
        features = as_stored(self._backbone.features(frame[None]), self.preparation.feature_dtype)
        outputs = self._step({"features": features, **self._states})
        self._states = {name: outputs[name] for name in self._states}
        probabilities = np.asarray(outputs["probabilities"][0], "float32")
        self._total += probabilities
        self._number += 1
        attention = outputs.get("attention")
        return StreamStep(
            number=self._number - 1,
            probabilities=probabilities,
            mean_probabilities=(self._total / self._number).astype("float32"),
            attention=None if attention is None else np.asarray(attention[0], "float32"),
        )


def _calls_of(source: Source) -> tuple[Callable[[Arrays], Arrays], Callable[[], Arrays]]:
    """A function for one step, and one that gives the states before the first."""
    streams = {"streams": np.zeros(1, "int32")}
    if isinstance(source, Run):
        step = streaming(source.load_model())
        states = start_states(step)

        # Traced once, in place of operation by operation.
        return step.predict_on_batch, lambda: dict(states)
    if isinstance(source, ServedSource):
        client = source.client
        _require_streams(set(client.signatures()), "The server's model")
        return (
            lambda inputs: client.predict(STEP_SIGNATURE, inputs),
            lambda: client.predict(INITIAL_SIGNATURE, streams),
        )
    return _calls_of_export(source, streams)


def _calls_of_export(
    export: Export, streams: Arrays
) -> tuple[Callable[[Arrays], Arrays], Callable[[], Arrays]]:
    _require_streams(set(signatures_of(export.folder)), f"The export {export.folder}")
    loaded = LoadedSavedModel(export.folder)
    return (
        lambda inputs: loaded.call(STEP_SIGNATURE, inputs),
        lambda: loaded.call(INITIAL_SIGNATURE, streams),
    )


def _require_streams(signatures: set[str], what: str) -> None:
    if not {STEP_SIGNATURE, INITIAL_SIGNATURE} <= signatures:
        raise ValueError(
            f"{what} must have the signatures {STEP_SIGNATURE} and {INITIAL_SIGNATURE} for a "
            f"stream. Received: {', '.join(sorted(signatures))}. A model without states, or one "
            "that starts from the mean of a whole clip, has none; others get them by exporting "
            "the run again."
        )
