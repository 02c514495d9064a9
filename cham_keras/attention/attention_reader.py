"""From a run and a video to its attention: the model sees what evaluation shows it.

Comes in: a `Run` and video files. Goes out: `ClipAttention`. `explain` and the
demo call it. Frames are decoded, chosen, resized and stored as `cham extract`
and `cham evaluate` do, so the scores in a picture are those of the tables.
"""

import itertools
from pathlib import Path

import keras
import numpy as np

from cham_keras import models
from cham_keras.attention.clip_attention import ClipAttention
from cham_keras.data import load_backbone_from_spec
from cham_keras.data.frames import Resizing, probe_clip, read_clip_frames
from cham_keras.data.reading import frame_sampling
from cham_keras.data.shards.stored_features import as_stored
from cham_keras.models.attention_maps import RECURRENT_LAYER_NAME
from cham_keras.runs import Run

#: From and to which second of its file a clip goes.
_Part = tuple[float | None, float | None]


class AttentionReader:
    """A run's model and backbone, loaded once for any number of videos.

    Args:
        run: a finished run of a model with attention.
        weights: where the backbone's weights file lies now, if it was moved.
        layers: whether the maps of the recurrent layers' hidden states are read too.

    Raises:
        FileNotFoundError: the model or the backbone's weights are gone.
        ValueError: the model has no attention, its states have no places, or the weights are
            other ones.
    """

    def __init__(self, run: Run, weights: Path | None = None, *, layers: bool = False) -> None:
        """Loads both."""
        self.run = run
        model = run.load_model()
        self.model = models.with_attention(model)
        self.states = _states_of_layers(model) if layers else None
        self.backbone = load_backbone_from_spec(run.manifest.backbone, weights)

    def read(
        self,
        video: Path | str,
        num_frames: int | None = None,
        *,
        label: int | None = None,
        name: str | None = None,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
    ) -> ClipAttention:
        """Shows a video to the model.

        Args:
            video: a video file, a Norpix sequence or a folder of numbered images.
            num_frames: number of evenly spaced frames T; the run's own by default. A
                shorter clip repeats its last frame, or ends early, as the run's
                `data.short_clips` says.
            label: index of the clip's class, if it is known.
            name: what the clip is called; the file's name by default.
            start_seconds: where the clip begins in its file; its beginning by default.
            end_seconds: where the clip ends in its file; its end by default.

        Returns:
            the attention, with one step a frame. Frames are counted from the clip's first.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file cannot be read to its end, or `num_frames` is below 1.
        """
        num_frames = self.run.num_frames if num_frames is None else num_frames
        if num_frames < 1:
            raise ValueError(f"`num_frames` must be at least 1. Received: {num_frames}.")
        part = (start_seconds, end_seconds)
        indices = self._chosen_numbers(video, num_frames, part)
        features = self._features(video, indices, part)
        maps, probabilities = self.attention_of_features(features)
        return ClipAttention(
            frames=self._frames(video, indices, part),
            maps=maps,
            probabilities=probabilities,
            frame_numbers=indices * self.run.manifest.frame_stride,
            frame_rate_hz=probe_clip(video).frame_rate_hz,
            classes=self.run.manifest.classes,
            name=Path(video).name if name is None else name,
            label=label,
            grid=self.backbone.grid,
            layer_maps=self._layer_maps(features),
        )

    def attention_of_features(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Attention maps and probabilities for the features of one clip.

        Args:
            features: `(time, height, width, channels)` float32.

        Returns:
            the maps `(time, height, width)`, each of sum 1, and the probabilities
            `(time, classes)`.
        """
        inputs = {"features": features[None], "lengths": np.array([len(features)], "int32")}
        outputs = self.model.predict_on_batch(inputs)
        maps = keras.ops.convert_to_numpy(outputs["attention"])[0]
        probabilities = keras.ops.convert_to_numpy(outputs["probabilities"])[0]
        return maps / maps.sum(axis=(1, 2), keepdims=True), probabilities

    def _layer_maps(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """By layer, `(time, height, width)`: each cell's share of the hidden state's energy."""
        if self.states is None:
            return {}
        inputs = {"features": features[None], "lengths": np.array([len(features)], "int32")}
        found = {}
        for name, states in self.states.predict_on_batch(inputs).items():
            energy = np.square(keras.ops.convert_to_numpy(states)[0]).sum(axis=-1)
            sums = energy.sum(axis=(1, 2), keepdims=True)
            # Before a layer's first update its state is nought everywhere.
            uniform = np.full_like(energy, 1 / energy[0].size)
            found[name] = np.where(sums > 0, energy / np.where(sums > 0, sums, 1), uniform)
        return found

    def _chosen_numbers(self, video: Path | str, num_frames: int, part: _Part) -> np.ndarray:
        """Places of the chosen frames among those that shards hold: (time,) ints."""
        manifest = self.run.manifest
        # Decoding several times holds T frames in memory and not the whole video; what the
        # file states of its length is not always true.
        decoded = read_clip_frames(video, manifest.frame_stride, manifest.max_frames, *part)
        indices = frame_sampling.uniform(sum(1 for _ in decoded), num_frames)
        if self.run.settings.data.short_clips == "repeat":
            indices = frame_sampling.repeat_last(indices, num_frames)
        return indices.numpy()

    def _frames(
        self,
        video: Path | str,
        indices: np.ndarray,
        part: _Part,
        resizing: Resizing | None = None,
    ) -> np.ndarray:
        """The chosen frames, `(time, height, width, 3)`."""
        wanted = set(indices.tolist())
        decoded = read_clip_frames(
            video, self.run.manifest.frame_stride, max(wanted) + 1, *part, resizing=resizing
        )
        chosen = {number: frame for number, frame in enumerate(decoded) if number in wanted}
        return np.stack([chosen[index] for index in indices.tolist()])

    def _features(self, video: Path | str, indices: np.ndarray, part: _Part) -> np.ndarray:
        """Features as they come out of shards: float32, by way of the stored dtype."""
        resized = self._frames(video, indices, part, self.backbone.resizing)
        features = self.backbone.features_of_resized(resized)
        return as_stored(features, self.run.manifest.feature_dtype)


def attention_of_video(
    run: Run,
    video: Path | str,
    num_frames: int | None = None,
    *,
    label: int | None = None,
    name: str | None = None,
) -> ClipAttention:
    """Shows one video to a run's model; `AttentionReader` loads once for several.

    Args:
        run: a finished run of a model with attention.
        video: a video file.
        num_frames: number of evenly spaced frames; the run's own by default.
        label: index of the clip's class, if it is known.
        name: what the clip is called; the file's name by default.

    Returns:
        the frames that the model saw, its maps and its probabilities.

    Raises:
        FileNotFoundError: the video, the model or the backbone's weights are gone.
        ValueError: the video cannot be read to its end, or the model has no attention.
    """
    return AttentionReader(run).read(video, num_frames, label=label, name=name)


def _states_of_layers(model: keras.Model) -> keras.Model:
    """A model of the same inputs that gives `(batch, time, height, width, filters)` by layer."""
    layer = model.get_layer(RECURRENT_LAYER_NAME)
    states = layer.output[0]
    if len(states.shape) != 5:
        raise ValueError(
            "The hidden states must be maps for pictures of them, as those of cham, "
            f"conv_attention and conv_alstm are. Received: {model.name!r}, whose states are of "
            f"shape {states.shape}. Leave out `layers`."
        )
    cells = getattr(layer, "cells", None) or [layer.cell]
    filters = np.cumsum([0, *(cell.filters for cell in cells)]).tolist()
    return keras.Model(
        model.input,
        {
            f"layer {n}": states[..., low:high]
            for n, (low, high) in enumerate(itertools.pairwise(filters), 1)
        },
    )
