"""What every method's evaluation comes to: the clips' probabilities and their scores.

Comes in: ids, labels, groups and probabilities of the clips of a split, from a Keras
model or from anything else. Goes out: their scores, and by `results_files` the files of
an `evaluation/` folder. `evaluate` makes one for a run.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from cham_keras.data import ClipRecord
from cham_keras.evaluation.bootstrap import (
    DRAWN_SCORES,
    GroupDraws,
    draw_groups,
    drawn_frame_accuracies,
    interval,
)
from cham_keras.evaluation.calibration import Calibration, calibration
from cham_keras.evaluation.frames_seen import REACHED_SHARES, FrameFigures, share_reached
from cham_keras.evaluation.scores import (
    accuracy,
    average_precision,
    class_accuracies,
    confusion_matrix,
    negative_log_likelihood,
    top_k_accuracy,
)

#: k of the top-k accuracies beside the clip accuracy, which is that of k = 1. Given where
#: there are more than k classes.
TOP_K = (3, 5)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """Probabilities of the clips of one split, and the scores that follow from them.

    Attributes:
        classes: names of the classes.
        clip_ids: paths of the clips as in the clip list, each once.
        labels: int `(clips,)`.
        groups: str `(clips,)`, what must not stand on both sides of a split; a clip
            that is like no other has a group of its own.
        probabilities: float64 `(clips, classes)`; a row sums to 1.
        split: name of the split.
        frames: figures of single frames; None for a method that scores whole clips.
        seed: seed of the run, and of the draws behind the intervals.
        model_sha256: checksum of the run's model that gave them, by which a later one is told
            from it; empty where there is none.

    Raises:
        ValueError: the arrays are not of one length, an id comes twice, a label is of no
            class, or a row is no distribution.

    Example:

    >>> results = Results(classes=("hop", "run"), clip_ids=("a.mp4", "b.mp4"), labels=[0, 1],
    ...                   groups=["a", "b"], probabilities=[[0.9, 0.1], [0.6, 0.4]])
    >>> results.scores["clip_accuracy"], results.per_class["run"]["average_precision"]
    (0.5, 1.0)
    """

    classes: tuple[str, ...]
    clip_ids: tuple[str, ...]
    labels: np.ndarray
    groups: np.ndarray
    probabilities: np.ndarray
    split: str = "test"
    frames: FrameFigures | None = None
    seed: int = 0
    model_sha256: str = ""

    def __post_init__(self) -> None:
        for name, value in (
            ("classes", tuple(self.classes)),
            ("clip_ids", tuple(self.clip_ids)),
            ("labels", np.asarray(self.labels)),
            ("groups", np.asarray(self.groups, dtype=str)),
            ("probabilities", np.asarray(self.probabilities, dtype=np.float64)),
        ):
            object.__setattr__(self, name, value)
        _check(self)

    @functools.cached_property
    def predicted(self) -> np.ndarray:
        """The most probable class of each clip, int `(clips,)`; of equal ones the first."""
        return self.probabilities.argmax(axis=1)

    @functools.cached_property
    def confusion(self) -> np.ndarray:
        """Counts `(classes, classes)`; rows are labels."""
        return confusion_matrix(self.labels, self.predicted, len(self.classes))

    @functools.cached_property
    def per_class(self) -> dict[str, dict[str, float]]:
        """Clips, accuracy and average precision by class; nan where a class has no clips."""
        accuracies = class_accuracies(self.confusion)
        return {
            name: {
                "clips": int((self.labels == index).sum()),
                "accuracy": float(accuracies[index]),
                "average_precision": average_precision(
                    self.labels == index, self.probabilities[:, index]
                ),
            }
            for index, name in enumerate(self.classes)
        }

    @functools.cached_property
    def calibration(self) -> Calibration:
        """Clips by their confidence."""
        return calibration(self.labels, self.probabilities)

    @functools.cached_property
    def point_scores(self) -> dict[str, float]:
        """The scores that are one number each; means are over the classes that have clips."""
        values = {"clip_accuracy": accuracy(self.labels, self.predicted)}
        for k in TOP_K:
            if k < len(self.classes):
                values[f"top_{k}_accuracy"] = top_k_accuracy(self.labels, self.probabilities, k)
        values["mean_class_accuracy"] = self._mean_over_classes("accuracy")
        values["mean_average_precision"] = self._mean_over_classes("average_precision")
        if self.frames is not None:
            values["frame_accuracy"] = self.frames.right / self.frames.frames
        values["negative_log_likelihood"] = negative_log_likelihood(self.labels, self.probabilities)
        values["calibration_error"] = self.calibration.error
        values["majority_accuracy"] = float(np.bincount(self.labels).max() / len(self.labels))
        return values

    @functools.cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals by drawing groups of clips; nan where all clips are of one group."""
        if self.num_groups < 2:
            return {name: (float("nan"), float("nan")) for name in self.names_of_drawn_scores}
        draws = draw_groups(self.groups, self.seed)
        names = self.names_of_drawn_scores
        return {name: interval(self.drawn_score(name, draws)) for name in names}

    @property
    def names_of_drawn_scores(self) -> tuple[str, ...]:
        """The scores that can be drawn; of single frames only where each clip's are counted."""
        counted = self.frames is not None and bool(self.frames.frames_of_clips)
        return (*DRAWN_SCORES, "frame_accuracy") if counted else tuple(DRAWN_SCORES)

    def drawn_score(self, name: str, draws: GroupDraws) -> np.ndarray:
        """A score in each draw, `(draws,)`.

        Args:
            name: one of `names_of_drawn_scores`.
            draws: from `draw_groups`, of these clips in this order.

        Raises:
            ValueError: the score cannot be drawn.
        """
        if name not in self.names_of_drawn_scores:
            raise ValueError(
                f"`name` must be one of {', '.join(self.names_of_drawn_scores)}. "
                f"Received: {name!r}."
            )
        if name in DRAWN_SCORES:
            return DRAWN_SCORES[name](self.labels, self.probabilities, draws)
        figures = cast(FrameFigures, self.frames)
        right, frames = np.array(figures.right_of_clips), np.array(figures.frames_of_clips)
        return drawn_frame_accuracies(right, frames, draws)

    @functools.cached_property
    def scores(self) -> dict[str, Any]:
        """All figures by name, as they stand in the JSON."""
        values: dict[str, Any] = {
            "split": self.split,
            "seed": self.seed,
            "clips": len(self.labels),
            "groups": self.num_groups,
            "classes_without_clips": [
                name for name, row in self.per_class.items() if not row["clips"]
            ],
        }
        if self.frames is not None:
            values["frames"] = self.frames.frames
            values["windows"] = self.frames.windows
        if self.model_sha256:
            values["model_sha256"] = self.model_sha256
        for name, value in self.point_scores.items():
            values[name] = value
            if name in self.intervals:
                values[f"{name}_interval"] = self.intervals[name]
        if self.frames is not None and self.frames.accuracy_by_frames_seen:
            values["share_of_clip_for_share_of_accuracy"] = {
                f"{share:g}": share_reached(self.frames.accuracy_by_frames_seen, share)
                for share in REACHED_SHARES
            }
        return values

    @property
    def num_groups(self) -> int:
        """Number of different groups."""
        return len(np.unique(self.groups))

    def _mean_over_classes(self, name: str) -> float:
        return float(np.nanmean([row[name] for row in self.per_class.values()]))

    def write(self, folder: Path, *, pictures: bool = True) -> None:
        """Writes `<split>.json`, `<split>.csv` (a row a clip), `<split>.md` and the pictures.

        Args:
            folder: where.
            pictures: whether to draw the pictures, which takes seconds; without them, those
                of an earlier evaluation of the split are removed.
        """
        from cham_keras.evaluation.results_files import write_results

        write_results(self, Path(folder), pictures=pictures)

    def to_markdown(self) -> str:
        """The figures, the accuracy against frames seen, and the per-class table."""
        from cham_keras.evaluation.report import results_as_markdown

        return results_as_markdown(self)


def summarize(
    clips: Sequence[ClipRecord],
    probabilities: np.ndarray,
    *,
    classes: Sequence[str],
    split: str = "test",
    frames: FrameFigures | None = None,
    seed: int = 0,
    model_sha256: str = "",
) -> Results:
    """Results from the clips of a split, as `data.clips_in_split` gives them.

    Args:
        clips: the clips, each with its id, label and group.
        probabilities: `(clips, classes)`, in the same order.
        classes: names of the classes.
        split: name of the split.
        frames: figures of single frames, where they are known.
        seed: seed of the run, and of the intervals' draws.
        model_sha256: as in `Results`.

    Raises:
        ValueError: as `Results`.
    """
    return Results(
        classes=tuple(classes),
        clip_ids=tuple(clip.id for clip in clips),
        labels=np.array([clip.label for clip in clips], dtype=int),
        groups=np.array([clip.group for clip in clips], dtype=str),
        probabilities=probabilities,
        split=split,
        frames=frames,
        seed=seed,
        model_sha256=model_sha256,
    )


def _check(results: Results) -> None:
    clips, classes = len(results.clip_ids), len(results.classes)
    if clips == 0:
        raise ValueError("Results must have at least one clip. Received: none.")
    shapes = {
        "labels": (results.labels.shape, (clips,)),
        "groups": (results.groups.shape, (clips,)),
        "probabilities": (results.probabilities.shape, (clips, classes)),
    }
    for name, (shape, wanted) in shapes.items():
        if shape != wanted:
            raise ValueError(
                f"`{name}` must be of shape {wanted} for {clips} clips of {classes} classes. "
                f"Received: {shape}."
            )
    counted = 0 if results.frames is None else len(results.frames.frames_of_clips)
    if counted not in (0, clips):
        raise ValueError(
            f"`frames` must count the frames of each clip or of none. Received: counts of "
            f"{counted} clips for {clips} clips."
        )
    if len(set(results.clip_ids)) < clips:
        twice = next(clip for clip in results.clip_ids if results.clip_ids.count(clip) > 1)
        raise ValueError(f"`clip_ids` must hold each clip once. Received: {twice!r} twice.")
    if (
        not np.issubdtype(results.labels.dtype, np.integer)
        or not ((results.labels >= 0) & (results.labels < classes)).all()
    ):
        raise ValueError(
            f"`labels` must be whole numbers from 0 to {classes - 1}. "
            f"Received: {np.unique(results.labels).tolist()}."
        )
    rows = results.probabilities
    broken = ~np.isfinite(rows).all(axis=1) | (rows < 0).any(axis=1)
    broken |= ~np.isclose(rows.sum(axis=1), 1, rtol=0, atol=1e-3)
    if broken.any():
        clip = int(np.flatnonzero(broken)[0])
        raise ValueError(
            "`probabilities` must be finite, at least 0, and sum to 1 in each row. "
            f"Received: {rows[clip].tolist()} for {results.clip_ids[clip]}. "
            "A softmax makes probabilities of other scores."
        )
