"""Figures from the probabilities of single frames: how many are right, how early a clip is.

Comes in: for each clip its frames' probabilities in the order of time, as `scoring`
gives them. Goes out: `FrameFigures`, which `Results` keep beside the clips' scores.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

#: Shares of a clip that stand in the table.
TABLE_SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
#: Shares of the final accuracy whose time is told.
REACHED_SHARES = (0.5, 0.75, 0.9, 0.95)


@dataclasses.dataclass(frozen=True)
class FrameFigures:
    """What is known of single frames; a method that scores whole clips has none of it.

    Attributes:
        frames: how many frames were scored, each once.
        right: how many of them were recognised.
        accuracy_by_frames_seen: clip accuracy after the first t of T evenly spaced frames,
            for t = 1 ... T; empty where it is not known.
        sees_later_frames: whether the first steps depend on later frames, as where the
            recurrence starts from the clip's mean. Then the curve does not tell how early
            the model would be right on a stream.
        windows: number of windows that a clip's score is the mean of, or "all".
    """

    frames: int
    right: int
    accuracy_by_frames_seen: tuple[float, ...] = ()
    sees_later_frames: bool = False
    windows: int | str = 1

    def to_dict(self) -> dict[str, Any]:
        """The attributes as plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "FrameFigures":
        """The reverse of `to_dict`."""
        curve = tuple(values["accuracy_by_frames_seen"])
        return cls(**{**values, "accuracy_by_frames_seen": curve})


def accuracy_by_frames_seen(
    frame_probabilities: Sequence[np.ndarray], labels: np.ndarray, num_points: int
) -> np.ndarray:
    """Clip accuracy of the mean softmax over the first t of T evenly spaced frames.

    A clip that gave m frames in place of T has shown the first t·m / T of them at t,
    rounded up: at every t all clips have shown the same share of themselves, and at T
    all of it.

    Args:
        frame_probabilities: for each clip `(m, classes)`, in the order of time, without
            padding.
        labels: int `(clips,)`.
        num_points: T.

    Returns:
        `(T,)`; the last one is the clip accuracy.

    Example:

    >>> clip = np.array([[0.6, 0.4], [0.1, 0.9]])
    >>> accuracy_by_frames_seen([clip, clip[:1]], np.array([1, 0]), num_points=2).tolist()
    [0.5, 1.0]
    """
    right = np.zeros(num_points)
    seen = np.arange(1, num_points + 1)
    for probabilities, label in zip(frame_probabilities, labels, strict=True):
        shown = -(-seen * len(probabilities) // num_points)
        # The sum names the same class as the mean.
        sums = np.cumsum(probabilities, axis=0, dtype=float)
        right += sums[shown - 1].argmax(axis=1) == label
    return right / len(labels)


def share_reached(curve: Sequence[float], share: float) -> float:
    """Share of the clip from which on the accuracy never again falls below a share of its last.

    Args:
        curve: `(T,)`, from `accuracy_by_frames_seen`.
        share: of the last accuracy, from 0 to 1.

    Returns:
        t / T; nan where the last accuracy is 0.

    Example:

    >>> share_reached([0.2, 0.8, 0.5, 0.8], share=0.9)
    1.0
    """
    values = np.asarray(curve)
    if values[-1] == 0:
        return float("nan")
    # The slack keeps 0.9 of an accuracy from failing itself by rounding.
    below = np.flatnonzero(values < share * values[-1] - 1e-12)
    first = below[-1] + 1 if len(below) else 0
    return float((first + 1) / len(values))


def accuracy_at_share(curve: Sequence[float], share: float) -> tuple[int, float]:
    """Of T evenly spaced frames, how many make at least a share of the clip, and the accuracy.

    Args:
        curve: `(T,)`, from `accuracy_by_frames_seen`.
        share: above 0, at most 1.

    Example:

    >>> accuracy_at_share([0.2, 0.4, 0.6, 0.8], share=0.6)
    (3, 0.6)
    """
    frames = math.ceil(share * len(curve) - 1e-9)
    return frames, float(curve[frames - 1])
