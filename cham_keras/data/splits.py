"""Splits: which clips train, which validate, which test.

`prepare` calls `assign_splits` for data sets that come without a split, `fold_views` calls
`grouped_folds` for cross-validation. Clips of one group (cut from one source video, say) look
alike, so a group is never cut: a model that has seen one half would be tested on what it knows.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from cham_keras.data.clip_list import SPLITS

# A class that is missing in a split outweighs any deviation from the fractions.
_PENALTY_OF_A_MISSING_CLASS = 1e6
# Beginnings that are tried until every class stands in two folds.
_MOST_ATTEMPTS = 50


def assign_splits(
    labels: Sequence[str],
    groups: Sequence[str],
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
) -> list[str]:
    """Splits clips by whole groups, each class as near to the fractions as it goes.

    Groups are shuffled, then placed from the largest to the smallest where
    their classes lack most, then moved one at a time as long as that helps.

    Args:
        labels: the class of each clip.
        groups: the group of each clip.
        test_fraction: fraction of all clips to test on, in [0, 1).
        validation_fraction: fraction of all clips to validate on, in [0, 1).
        seed: the same seed gives the same split.

    Returns:
        the split of each clip: "train", "validation" or "test".

    Raises:
        ValueError: a fraction is out of range, the two leave nothing to train
            on, there are no clips, or a class would be missing in a split.

    Example:
    >>> labels = ["run", "run", "run", "hop", "hop", "hop"]
    >>> groups = ["a", "a", "b", "c", "d", "d"]
    >>> splits = assign_splits(labels, groups, test_fraction=0.4, validation_fraction=0)
    >>> splits.count("test"), splits[0] == splits[1]
    (2, True)
    """
    fractions = _checked_fractions(test_fraction, validation_fraction)
    if not labels or len(labels) != len(groups):
        raise ValueError(
            "There must be at least one clip, and one group for each. "
            f"Received: {len(labels)} labels and {len(groups)} groups."
        )
    names, classes, counts = _clips_of_groups(labels, groups)
    sides = [split for split in SPLITS if fractions[split] > 0]
    wanted = np.array([fractions[split] for split in sides])
    side_of_group = _place_groups(counts, wanted, np.random.default_rng(seed))
    _check_every_class_everywhere(counts, side_of_group, sides, classes)
    split_of_group = {name: sides[side_of_group[row]] for row, name in enumerate(names)}
    return [split_of_group[group] for group in groups]


def hold_out_validation(
    labels: Sequence[str],
    groups: Sequence[str],
    splits: Sequence[str],
    validation_fraction: float = 0.15,
    seed: int = 0,
) -> list[str]:
    """Takes clips to validate on out of the training clips, by whole groups.

    For data sets whose owners say what to train and to test on, and nothing
    more. What is tested on stays as it is, whatever the fraction and the seed.

    Args:
        labels: the class of each clip.
        groups: the group of each clip.
        splits: the split of each clip, "train" or "test".
        validation_fraction: fraction of the training clips, in [0, 1).
        seed: the same seed gives the same choice.

    Returns:
        the split of each clip: "train", "validation" or "test".

    Raises:
        ValueError: the lengths differ, clips are validated on already, the
            fraction is out of range, or a class would be missing in one of the
            two parts.

    Example:
    >>> splits = ["train"] * 4 + ["test"]
    >>> hold_out_validation(["a", "a", "b", "b", "a"], list("vwxyz"), splits, 0.5).count("train")
    2
    """
    if not len(labels) == len(groups) == len(splits):
        raise ValueError(
            "There must be one group and one split for each clip. "
            f"Received: {len(labels)} labels, {len(groups)} groups and {len(splits)} splits."
        )
    if unknown := sorted(set(splits) - {"train", "test"}):
        raise ValueError(
            "Clips to validate on are taken where a data set states train and test only. "
            f"Received: {', '.join(unknown)}."
        )
    rows = [row for row, split in enumerate(splits) if split == "train"]
    held_out = assign_splits(
        [labels[row] for row in rows], [groups[row] for row in rows], 0.0, validation_fraction, seed
    )
    result = list(splits)
    for row, split in zip(rows, held_out, strict=True):
        result[row] = split
    return result


class GroupedClip(Protocol):
    """A clip with a class and a group: a `Clip`, or a `ClipRecord`."""

    @property
    def label(self) -> str | int:
        """Its class."""

    @property
    def group(self) -> str:
        """What must not stand on both sides of a split."""


def grouped_folds(clips: Sequence[GroupedClip], num_folds: int = 5, seed: int = 0) -> list[int]:
    """Divides clips into folds of whole groups, each with its share of every class.

    For cross-validation: each fold is tested on once, with the others to train on. Groups are
    placed as in `assign_splits`, and no clip is left out.

    scikit-learn's `StratifiedGroupKFold` has no last step that moves groups as long as that
    helps, and came out no nearer to equal shares; nor does it promise the same folds in every
    version, which a table of results needs.

    Args:
        clips: the clips, of any kind that has a label and a group.
        num_folds: how many folds, at least 2.
        seed: the same seed gives the same folds.

    Returns:
        the fold of each clip, from 0 to `num_folds` - 1; every fold has clips.

    Raises:
        ValueError: there are fewer groups than folds, or a class has the clips of one group
            only or of one fold, so that there would be none to train on when that is tested.

    Example:
    >>> from cham_keras.data.clip_list import Clip
    >>> clips = [Clip(f"{i}.mp4", "ab"[i % 2], "train", f"film {i // 2}") for i in range(6)]
    >>> folds = grouped_folds(clips, num_folds=3)
    >>> folds[0] == folds[1], sorted(folds)
    (True, [0, 0, 1, 1, 2, 2])
    """
    if num_folds < 2:
        raise ValueError(f"`num_folds` must be at least 2. Received: {num_folds}.")
    names, classes, counts = _clips_of_groups(
        [clip.label for clip in clips], [clip.group for clip in clips]
    )
    _check_classes_have_two_groups(counts, classes)
    if len(names) < num_folds:
        raise ValueError(
            f"There must be a group for each fold. Received: {len(names)} group(s) of "
            f"{len(clips)} clip(s) for {num_folds} folds. Take fewer folds."
        )
    # All clips as a class of their own: no fold stays empty, and where a group's classes leave the
    # choice it goes where there are fewest clips.
    with_all = np.concatenate([counts, counts.sum(axis=1, keepdims=True)], axis=1)
    wanted = np.full(num_folds, 1 / num_folds)
    for attempt in range(_MOST_ATTEMPTS):
        rng = np.random.default_rng((seed, attempt))
        folds = _place_groups(with_all, wanted, rng, largest_first=attempt == 0)
        of_fold = np.stack([counts[folds == fold].sum(axis=0) for fold in range(num_folds)])
        only_here = (of_fold > 0).sum(axis=0) < 2
        if not only_here.any():
            fold_of_group = dict(zip(names, folds.tolist(), strict=True))
            return [fold_of_group[clip.group] for clip in clips]
    missing = classes[int(np.flatnonzero(only_here)[0])]
    raise ValueError(
        f"Every class must stand in at least two of the {num_folds} folds, so that some of its "
        f"clips are left to train on. The class {missing!r} stands in one. Try another seed or "
        "another number of folds, or add clips from other sources."
    )


def leave_one_out_folds(clips: Sequence[GroupedClip]) -> list[int]:
    """Makes each group a fold of its own; a clip where it is the only one of its group.

    Args:
        clips: the clips, of any kind that has a label and a group.

    Returns:
        the fold of each clip, counted from 0 in the order of the groups' first clips.

    Raises:
        ValueError: there is one group only, or a class has the clips of one group only.

    Example:
    >>> from cham_keras.data.clip_list import Clip
    >>> clips = [Clip(f"{i}.mp4", "ab"[i % 2], "train", "xyzz"[i]) for i in range(4)]
    >>> leave_one_out_folds(clips)
    [0, 1, 2, 2]
    """
    names, classes, counts = _clips_of_groups(
        [clip.label for clip in clips], [clip.group for clip in clips]
    )
    _check_classes_have_two_groups(counts, classes)
    fold_of_group = {name: fold for fold, name in enumerate(names)}
    return [fold_of_group[clip.group] for clip in clips]


def _clips_of_groups(
    labels: Sequence[str | int], groups: Sequence[str]
) -> tuple[list[str], list[str | int], np.ndarray]:
    """The groups, in the order of their first clips, the classes, and (group, class) counts."""
    classes = sorted(set(labels))
    # dict.fromkeys keeps the order of the clips; a set's order changes from run to run.
    names = list(dict.fromkeys(groups))
    counts = np.zeros((len(names), len(classes)))
    row_of_group = {name: row for row, name in enumerate(names)}
    column_of_class = {name: column for column, name in enumerate(classes)}
    for label, group in zip(labels, groups, strict=True):
        counts[row_of_group[group], column_of_class[label]] += 1
    return names, classes, counts


def _check_classes_have_two_groups(counts: np.ndarray, classes: list[str | int]) -> None:
    if not classes:
        raise ValueError("There must be at least one clip. Received none.")
    lonely = [
        repr(classes[column]) for column in np.flatnonzero((counts > 0).sum(axis=0) < 2).tolist()
    ]
    if lonely:
        raise ValueError(
            "Every class must have clips of at least two groups, so that some are left to train "
            f"on when one group is tested. {len(lonely)} class(es) have one group: "
            f"{', '.join(lonely[:5])}. Add clips from other sources."
        )


def _checked_fractions(test_fraction: float, validation_fraction: float) -> dict[str, float]:
    for name, value in (
        ("test_fraction", test_fraction),
        ("validation_fraction", validation_fraction),
    ):
        if not 0 <= value < 1:
            raise ValueError(f"`{name}` must be at least 0 and below 1. Received: {value}.")
    train_fraction = 1 - test_fraction - validation_fraction
    if train_fraction < 1e-9:
        raise ValueError(
            "`test_fraction` and `validation_fraction` must add up to less than 1, so that clips "
            f"are left to train on. Received: {test_fraction} and {validation_fraction}."
        )
    return {"train": train_fraction, "validation": validation_fraction, "test": test_fraction}


def _place_groups(
    counts: np.ndarray, wanted: np.ndarray, rng: np.random.Generator, largest_first: bool = True
) -> np.ndarray:
    """Chooses a side for each group; returns (group,) indices into `wanted`.

    Groups are moved from where they are placed first: from the largest to the smallest where
    they do best, or else anywhere.
    """
    totals = counts.sum(axis=0)
    shares = counts / totals  # (group, class): what part of the class lies in the group
    placed = np.zeros((len(wanted), counts.shape[1]))  # (side, class): part of the class there
    sides = np.full(len(counts), -1)
    shuffled = rng.permutation(len(counts))
    order = shuffled[np.argsort(-counts.sum(axis=1)[shuffled], kind="stable")]

    def best_side(share: np.ndarray, penalty: float) -> int:
        """The side that the group makes least worse: squared distance to the fractions."""
        columns = share > 0
        before = placed[:, columns]
        after = before + share[columns]
        change = (after - wanted[:, None]) ** 2 - (before - wanted[:, None]) ** 2
        # Sums of shares carry rounding, so "none there" is "less than half of a clip".
        none_there = before < 0.5 / totals[columns]
        return int(np.argmin((change - penalty * none_there).sum(axis=1)))

    for row in order:
        # Without the penalty here: the largest groups would else fill the small sides.
        anywhere = int(rng.integers(len(wanted))) if not largest_first else None
        sides[row] = best_side(shares[row], penalty=0.0) if anywhere is None else anywhere
        placed[sides[row]] += shares[row]
    for _ in range(20):  # each pass lowers the cost; a few passes reach the end
        before = sides.copy()
        for row in order[::-1]:  # small groups first: they disturb least
            placed[sides[row]] -= shares[row]
            sides[row] = best_side(shares[row], penalty=_PENALTY_OF_A_MISSING_CLASS)
            placed[sides[row]] += shares[row]
        if np.array_equal(before, sides):
            break
    return sides


def _check_every_class_everywhere(
    counts: np.ndarray, side_of_group: np.ndarray, sides: list[str], classes: list[str | int]
) -> None:
    for side, split in enumerate(sides):
        missing = counts[side_of_group == side].sum(axis=0) == 0
        for column in np.flatnonzero(missing):
            num_groups = int((counts[:, column] > 0).sum())
            raise ValueError(
                f"Every class must stand in every split. The class {classes[column]!r} would be "
                f"missing in {split}: its clips form {num_groups} group(s), for {len(sides)} "
                f"splits ({', '.join(sides)}). Add clips from other "
                "sources, try another seed, or set a fraction to 0."
            )
