"""Results of several runs brought together: the same clips in one order, folds in one table.

Comes in: `Results` of runs that saw the same data. Goes out: `Results` whose rows can be
compared one by one. `seeds` and `paired` call it, and whoever does cross-validation.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from cham_keras.evaluation.frames_seen import FrameFigures
from cham_keras.evaluation.results import Results


def align(results: Results, reference: Results) -> Results:
    """Puts the clips of `results` into the order of those of `reference`.

    Raises:
        ValueError: they are not the same clips with the same classes, labels and groups.
    """
    if results.classes != reference.classes:
        raise ValueError(
            f"Results must have the same classes. Received: {', '.join(results.classes)} and "
            f"{', '.join(reference.classes)}."
        )
    position = {clip: index for index, clip in enumerate(results.clip_ids)}
    for here, there in ((reference, position), (results, set(reference.clip_ids))):
        missing = [clip for clip in here.clip_ids if clip not in there]
        if missing:
            raise ValueError(
                f"Results must be of the same clips. Received: {len(results.clip_ids)} and "
                f"{len(reference.clip_ids)} clips; {missing[0]} is in one of them only. "
                "`pool_folds` joins the folds of a cross-validation."
            )
    order = np.array([position[clip] for clip in reference.clip_ids])
    for name in ("labels", "groups"):
        ours, theirs = getattr(results, name)[order], getattr(reference, name)
        if (ours != theirs).any():
            clip = int(np.flatnonzero(ours != theirs)[0])
            raise ValueError(
                f"Results must have the same {name}. Received: {ours[clip]} and {theirs[clip]} "
                f"for {reference.clip_ids[clip]}."
            )
    return dataclasses.replace(
        results,
        clip_ids=reference.clip_ids,
        labels=reference.labels,
        groups=reference.groups,
        probabilities=results.probabilities[order],
        frames=None if results.frames is None else results.frames.in_order(order),
    )


def pool_folds(folds: Sequence[Results]) -> Results:
    """Joins the results of a cross-validation's folds: every clip once.

    Average precision then ranks clips by probabilities of different models, one a fold,
    as a user of the whole procedure would.

    Args:
        folds: results with the same classes, no clip in two of them.

    Returns:
        the clips of the first fold, then those of the second, and so on. Frames are
        counted together where every fold has them; accuracies against frames seen are
        joined where all folds have them for the same number of steps.

    Raises:
        ValueError: there are none, classes or windows differ, or a clip is in two folds.

    Example:

    >>> folds = [
    ...     Results(classes=("hop", "run"), clip_ids=(f"{fold}.mp4",), labels=[fold],
    ...             groups=[fold], probabilities=[[0.7, 0.3]])
    ...     for fold in range(2)
    ... ]
    >>> pool_folds(folds).scores["clip_accuracy"]
    0.5
    """
    if not folds:
        raise ValueError("`folds` must hold at least one result. Received: none.")
    first = folds[0]
    for name in ("classes", "split"):
        for fold in folds[1:]:
            if getattr(fold, name) != getattr(first, name):
                raise ValueError(
                    f"Folds must have the same {name}. Received: {getattr(first, name)} and "
                    f"{getattr(fold, name)}."
                )
    seen: set[str] = set()
    for fold in folds:
        both = seen.intersection(fold.clip_ids)
        if both:
            raise ValueError(f"No clip must be in two folds. Received: {min(both)} in two.")
        seen.update(fold.clip_ids)
    return dataclasses.replace(
        first,
        clip_ids=tuple(clip for fold in folds for clip in fold.clip_ids),
        labels=np.concatenate([fold.labels for fold in folds]),
        groups=np.concatenate([fold.groups for fold in folds]),
        probabilities=np.concatenate([fold.probabilities for fold in folds]),
        frames=_pool_frames(folds),
    )


def pool_runs(results: Sequence[Results]) -> tuple[Results, ...]:
    """Sorts runs by their clips: runs on the same clips are seeds, on others are folds.

    Args:
        results: one seed or several, of one fold or several, in any order; the first
            given of each fold make the first seed, and so on.

    Returns:
        for each seed its folds pooled, all in the same order of clips.

    Raises:
        ValueError: folds share some of their clips, or do not have as many seeds each.
    """
    folds: dict[frozenset[str], list[Results]] = {}
    for result in results:
        folds.setdefault(frozenset(result.clip_ids), []).append(result)
    counts = [len(seeds) for seeds in folds.values()]
    if len(set(counts)) > 1:
        raise ValueError(
            "Every fold must have as many runs as the others. Received: "
            f"{', '.join(map(str, counts))} runs. Runs on the same clips are seeds of one fold."
        )
    pooled = [pool_folds(seed) for seed in zip(*folds.values(), strict=True)]
    return tuple(align(seed, pooled[0]) for seed in pooled)


def _pool_frames(folds: Sequence[Results]) -> FrameFigures | None:
    figures = [fold.frames for fold in folds if fold.frames is not None]
    if len(figures) < len(folds):
        return None
    windows = {figure.windows for figure in figures}
    if len(windows) > 1:
        raise ValueError(
            f"Folds must be scored with the same `windows`. Received: {sorted(map(str, windows))}."
        )
    curves = [figure.accuracy_by_frames_seen for figure in figures]
    curve: list[float] = []
    if len({len(curve) for curve in curves}) == 1:
        clips = [len(fold.clip_ids) for fold in folds]
        curve = np.average(curves, axis=0, weights=clips).tolist()
    return FrameFigures(
        frames=sum(figure.frames for figure in figures),
        right=sum(figure.right for figure in figures),
        accuracy_by_frames_seen=tuple(curve),
        sees_later_frames=any(figure.sees_later_frames for figure in figures),
        windows=figures[0].windows,
        **_pool_counts(figures),
    )


def _pool_counts(figures: Sequence[FrameFigures]) -> dict[str, tuple[int, ...]]:
    """The clips' counts one fold behind the other; none where a fold has none."""
    if not all(figure.frames_of_clips for figure in figures):
        return {}
    return {
        name: tuple(count for figure in figures for count in getattr(figure, name))
        for name in ("frames_of_clips", "right_of_clips")
    }
