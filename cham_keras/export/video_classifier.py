"""From a video file to class probabilities and attention, by a run, an export or a server.

Comes in: a video, and a run, an export or a server. Goes out: a `Prediction`. Frames are
decoded, chosen, resized and turned into features as they were for the shards that
the run was trained on, so a video gets the score that `cham evaluate` gives it.
`cham predict` calls it.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

from cham_keras.data import Backbone, load_backbone_from_spec
from cham_keras.data.frames import Resizing, read_clip_frames
from cham_keras.data.reading.frame_sampling import repeat_last, uniform
from cham_keras.data.shards.stored_features import as_stored
from cham_keras.export.description import preparation_of_run
from cham_keras.export.export_folder import Export
from cham_keras.export.inference import KerasScorer
from cham_keras.export.loading import LoadedSavedModel
from cham_keras.export.prediction import Prediction
from cham_keras.export.served_source import ServedSource
from cham_keras.runs import Run

#: What videos can be classified by.
Source = Run | Export | ServedSource


class VideoClassifier:
    """Classifies videos; backbone and model are loaded once, with the first video.

    Args:
        source: a run; an export, for which the run is not needed; or a model on a server.
        weights: where the backbone's weights file lies now, if it was moved.
    """

    def __init__(self, source: Source, weights: Path | None = None) -> None:
        """Loads nothing yet: a video that cannot be read should say so at once."""
        self.source = source
        self.weights = weights
        if isinstance(source, Run):
            self.classes = source.manifest.classes
            self.preparation = preparation_of_run(source)
        else:
            self.classes = source.description.classes
            self.preparation = source.description.preparation

    def predict(self, video: Path) -> Prediction:
        """Scores a video; see `predict`."""
        video = Path(video)
        frames = self._chosen_frames(video)
        outputs = self._outputs(video, frames)
        return Prediction(
            video=video,
            classes=self.classes,
            frame_numbers=frames * self.preparation.frame_stride,
            probabilities=outputs["probabilities"][0],
            clip_probabilities=outputs["clip_probabilities"][0],
            attention=outputs["attention"][0] if "attention" in outputs else None,
        )

    def _outputs(self, video: Path, frames: np.ndarray) -> dict[str, np.ndarray]:
        """What the model says of the chosen frames, as a batch of one clip."""
        if isinstance(self.source, ServedSource) and self.source.wire == "jpeg":
            backbone = self.preparation.backbone
            resizing = Resizing(backbone.image_size, backbone.interpolation)
            resized, position = self._resized(video, frames, resizing)
            return self.source.score_frames(resized[position])
        # (1, steps, height, width, channels)
        return self._score(self._features(video, frames)[None])

    @cached_property
    def _backbone(self) -> Backbone:
        return load_backbone_from_spec(self.preparation.backbone, self.weights)

    @cached_property
    def _score(self) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        if isinstance(self.source, Run):
            return KerasScorer(self.source)
        if isinstance(self.source, ServedSource):
            return self.source.score_features
        return LoadedSavedModel(self.source.folder)

    def _chosen_frames(self, video: Path) -> np.ndarray:
        """Which of the video's frames, counted after the stride, the model sees: (steps,) ints."""
        preparation = self.preparation
        # Decoded once to be counted, for containers state wrong numbers; that costs less
        # than the memory of all frames of a long video.
        decoded = read_clip_frames(video, preparation.frame_stride, preparation.max_frames)
        frames = uniform(sum(1 for _ in decoded), preparation.num_frames)
        if preparation.short_clips == "repeat":
            frames = repeat_last(frames, preparation.num_frames)
        return frames.numpy()

    def _features(self, video: Path, frames: np.ndarray) -> np.ndarray:
        """Features of the chosen frames: (steps, height, width, channels) float32."""
        preparation = self.preparation
        resized, position = self._resized(video, frames, self._backbone.resizing)
        features = self._backbone.features_of_resized(resized)
        try:
            features = as_stored(features, preparation.feature_dtype)
        except ValueError as error:
            raise ValueError(
                f"{str(error).removesuffix('.')} in {video}; the model was trained on "
                f"{preparation.feature_dtype}."
            ) from None
        return features[position]

    def _resized(
        self, video: Path, frames: np.ndarray, resizing: Resizing
    ) -> tuple[np.ndarray, np.ndarray]:
        """The chosen frames, each once, and where each step finds its own among them."""
        chosen, position = np.unique(frames, return_inverse=True)
        wanted = set(chosen.tolist())
        decoded = read_clip_frames(
            video, self.preparation.frame_stride, int(chosen[-1]) + 1, resizing=resizing
        )
        resized = [frame for number, frame in enumerate(decoded) if number in wanted]
        return np.stack(resized), position


def predict(video: Path, source: Source, weights: Path | None = None) -> Prediction:
    """Says what a video shows. `VideoClassifier` does the same for many videos.

    Args:
        video: a video file.
        source: a run, as `open_run` gives it; an export, as `open_export` does; or a model
            on a server, as `open_served` does.
        weights: where the backbone's weights file lies now, if it was moved.

    Returns:
        probabilities of the classes after each of T evenly spaced frames and for
        the whole video, and where the model looked.

    Raises:
        FileNotFoundError: there is no such video, or the backbone's weights are gone.
        ValueError: the video cannot be read to its end, or the weights are others.
    """
    return VideoClassifier(source, weights).predict(video)
