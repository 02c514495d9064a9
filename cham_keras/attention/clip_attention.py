"""The attention of one model on one clip: what pictures and scores are made from.

`AttentionReader` makes it from a run and a video; whoever has frames, maps and
probabilities from elsewhere can make it too. Holds no file and no model.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from cham_keras.data import FeatureGrid


@dataclasses.dataclass(frozen=True)
class ClipAttention:
    """What a model saw at each step, where it looked, and what it took the clip for.

    Attributes:
        frames: uint8 `(time, frame_height, frame_width, 3)`, RGB: the frames of the
            steps, as the video has them.
        maps: `(time, height, width)`, the attention maps over the grid of features;
            each sums to 1, whatever the model's `attention_scale`.
        probabilities: `(time, classes)`, the softmax of each step.
        frame_numbers: int `(time,)`, the frames' places in the clip, from 0 on; of a part of a
            video, from the part's first frame on.
        frame_rate_hz: frames per second of the video; 0 where it is not known, as of a folder
            of images.
        classes: names of the classes.
        name: what the clip is called above pictures.
        label: index of the clip's class; None where it is not known.
        grid: where in a frame the cells of the maps lie; None where they share it evenly.
        layer_maps: by the layer's name, `(time, height, width)`: where the energy of its
            hidden state lies, each of sum 1. Empty unless they were asked for.

    Raises:
        ValueError: the parts do not fit together.
    """

    frames: np.ndarray
    maps: np.ndarray
    probabilities: np.ndarray
    frame_numbers: np.ndarray
    frame_rate_hz: float
    classes: tuple[str, ...]
    name: str
    label: int | None = None
    grid: FeatureGrid | None = None
    layer_maps: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks that the parts fit together."""
        steps = len(self.frames)
        if steps == 0 or self.frames.ndim != 4 or self.frames.shape[3] != 3:
            raise ValueError(
                "`frames` must be of shape (time, height, width, 3) and not empty. "
                f"Received: shape {self.frames.shape}."
            )
        if self.frames.dtype != np.uint8:
            raise ValueError(f"`frames` must be uint8. Received: {self.frames.dtype}.")
        expected = {
            "maps": (steps, *self.maps.shape[1:3]) if self.maps.ndim == 3 else None,
            "probabilities": (steps, len(self.classes)),
            "frame_numbers": (steps,),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                wanted = "(time, height, width)" if name == "maps" else shape
                raise ValueError(
                    f"`{name}` must be of shape {wanted} for {steps} frames and "
                    f"{len(self.classes)} classes. Received: shape {getattr(self, name).shape}."
                )
        for name, maps in (("maps", self.maps), *self.layer_maps.items()):
            if maps.shape != self.maps.shape:
                raise ValueError(
                    f"`layer_maps` must be of the shape of `maps`, {self.maps.shape}. "
                    f"Received: shape {maps.shape} of {name!r}."
                )
            sums = maps.sum(axis=(1, 2))
            if not np.allclose(sums, 1, atol=1e-3):
                raise ValueError(
                    f"Each of `{name}` must sum to 1. "
                    f"Received: sums from {sums.min():g} to {sums.max():g}."
                )
        if self.label is not None and not 0 <= self.label < len(self.classes):
            raise ValueError(
                f"`label` must be from 0 to {len(self.classes) - 1}. Received: {self.label}."
            )

    @property
    def relative_maps(self) -> np.ndarray:
        """The maps relative to uniform attention: 1 where a cell gets its even share."""
        return self.maps * self.maps[0].size

    @property
    def seconds(self) -> np.ndarray:
        """When the frames are shown in the clip: `(time,)`; nan where the rate is not known."""
        if self.frame_rate_hz == 0:
            return np.full(len(self.frame_numbers), np.nan)
        return self.frame_numbers / self.frame_rate_hz

    @property
    def clip_probabilities(self) -> np.ndarray:
        """The clip's score: the mean of the steps' softmax, `(classes,)`."""
        return self.probabilities.mean(axis=0)

    @property
    def predicted(self) -> int:
        """Index of the class that the clip is taken for."""
        return int(self.clip_probabilities.argmax())
