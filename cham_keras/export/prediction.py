"""What a model says of a video: `VideoClassifier` makes it, `cham predict` prints it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """What a model says of a video.

    Attributes:
        video: the file.
        classes: names of the classes.
        frame_numbers: (steps,) ints, the video's frames that the model saw, counted from 0.
        probabilities: (steps, classes) float32, after each frame.
        clip_probabilities: (classes,) float32, their mean.
        attention: (steps, height, width) float32, where the model looked in each frame;
            None for a model without attention.
    """

    video: Path
    classes: tuple[str, ...]
    frame_numbers: np.ndarray
    probabilities: np.ndarray
    clip_probabilities: np.ndarray
    attention: np.ndarray | None

    def top(self, k: int | None = None) -> list[tuple[str, float]]:
        """The classes with the highest probabilities, best first.

        Args:
            k: how many; all by default.

        Raises:
            ValueError: `k` is not from 1 to the number of classes.
        """
        k = len(self.classes) if k is None else k
        if not 1 <= k <= len(self.classes):
            raise ValueError(
                f"`top_k` must be from 1 to the number of classes, {len(self.classes)}. "
                f"Received: {k}."
            )
        order = np.argsort(-self.clip_probabilities, kind="stable")[:k]
        return [(self.classes[i], float(self.clip_probabilities[i])) for i in order]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "video": str(self.video),
            "classes": list(self.classes),
            "clip_probabilities": self.clip_probabilities.tolist(),
            "frame_numbers": self.frame_numbers.tolist(),
            "probabilities": self.probabilities.tolist(),
            "attention": None if self.attention is None else self.attention.tolist(),
        }
