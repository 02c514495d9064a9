"""Clips that are held out in turn, by whole groups, as pairs of index arrays.

Comes in: labels and groups of training clips. Goes out: for each fold the clips to fit on and
those held out. `linear_classifiers` and `trajectories/chi_square_svm` choose by these.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from cham_keras.data import grouped_folds


@dataclasses.dataclass(frozen=True)
class _TrainingClip:
    label: str
    group: str


def held_out_folds(
    labels: np.ndarray, groups: np.ndarray, classes: Sequence[str], num_folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cuts clips into folds whose groups never cross.

    Args:
        labels: int `(clips,)`.
        groups: `(clips,)`; the clips of a group are alike and stay together.
        classes: names of the classes.
        num_folds: number of folds.
        seed: of the order in which groups are placed.

    Returns:
        for each fold, the indices of the clips to fit on, among which is every class, and of
        those held out.

    Raises:
        ValueError: all clips are of one class, there are fewer groups than folds, or a class
            comes from one group only.

    Example:

    >>> labels, groups = np.array([0, 0, 1, 1]), np.array(["a", "b", "c", "d"])
    >>> folds = held_out_folds(labels, groups, ("hop", "run"), num_folds=2, seed=0)
    >>> sorted(sorted(labels[held_out].tolist()) for _, held_out in folds)
    [[0, 1], [0, 1]]
    """
    present = np.unique(labels)
    if len(present) < 2:
        raise ValueError(
            "Clips to fit on must be of at least two classes. "
            f"Received: {', '.join(classes[label] for label in present) or 'no clip'}."
        )
    clips = [
        _TrainingClip(classes[label], str(group))
        for label, group in zip(labels, groups, strict=True)
    ]
    fold_of_clip = np.array(grouped_folds(clips, num_folds, seed))
    return [
        (np.flatnonzero(fold_of_clip != fold), np.flatnonzero(fold_of_clip == fold))
        for fold in range(num_folds)
    ]
