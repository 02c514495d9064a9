"""Figures from the probabilities of single frames: how many are right, how early a clip is.

Comes in: for each clip its frames' probabilities in the order of time, as `scoring`
gives them. Goes out: `FrameFigures`, which `Results` keep beside the clips' scores.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
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
        frames_of_clips: how many of them each clip has, in the order of the clips; empty
            where it is not known. The frame accuracy has an interval only with these.
        right_of_clips: how many of each clip's were recognised; empty likewise.
        accuracy_by_frames_seen: clip accuracy after the first t of T evenly spaced frames,
            for t = 1 ... T; empty where it is not known.
        sees_later_frames: whether the first steps depend on later frames, as where the
            recurrence starts from the clip's mean. Then the curve does not tell how early
            the model would be right on a stream.
        windows: number of windows that a clip's score is the mean of, or "all".

    Raises:
        ValueError: the counts of the clips do not make those of all.

    Example:

    >>> FrameFigures.of_clips(frames_of_clips=[3, 2], right_of_clips=[3, 0]).right
    3
    """

    frames: int
    right: int
    accuracy_by_frames_seen: tuple[float, ...] = ()
    sees_later_frames: bool = False
    windows: int | str = 1
    frames_of_clips: tuple[int, ...] = ()
    right_of_clips: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not (self.frames_of_clips or self.right_of_clips):
            return
        counts = tuple(zip(self.frames_of_clips, self.right_of_clips, strict=False))
        if (
            len(self.frames_of_clips) != len(self.right_of_clips)
            or any(not 0 <= right <= frames or frames < 1 for frames, right in counts)
            or (sum(self.frames_of_clips), sum(self.right_of_clips)) != (self.frames, self.right)
        ):
            raise ValueError(
                "`frames_of_clips` and `right_of_clips` must be of the same clips, with at least "
                f"one frame each, and add up to `frames` and `right`, {self.frames} and "
                f"{self.right}. Received: {len(self.frames_of_clips)} and "
                f"{len(self.right_of_clips)} clips with {sum(self.frames_of_clips)} and "
                f"{sum(self.right_of_clips)} frames."
            )

    @classmethod
    def of_clips(
        cls, frames_of_clips: Sequence[int], right_of_clips: Sequence[int], **others: Any
    ) -> "FrameFigures":
        """Figures from the counts of each clip, and any of the other attributes."""
        return cls(
            frames=sum(frames_of_clips),
            right=sum(right_of_clips),
            frames_of_clips=tuple(frames_of_clips),
            right_of_clips=tuple(right_of_clips),
            **others,
        )

    def in_order(self, order: Iterable[int]) -> "FrameFigures":
        """The same figures with the clips' counts in another order of the clips."""
        if not self.frames_of_clips:
            return self
        order = tuple(order)
        return dataclasses.replace(
            self,
            frames_of_clips=tuple(self.frames_of_clips[index] for index in order),
            right_of_clips=tuple(self.right_of_clips[index] for index in order),
        )

    def to_dict(self) -> dict[str, Any]:
        """The attributes as plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "FrameFigures":
        """The reverse of `to_dict`; what was written without the clips' counts is read, too."""
        lists = ("accuracy_by_frames_seen", "frames_of_clips", "right_of_clips")
        values = {"frames_of_clips": (), "right_of_clips": (), **values}
        return cls(**{**values, **{name: tuple(values[name]) for name in lists}})


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
