"""How sure a score is: scores of clips whose groups are drawn again and again.

Comes in: labels, probabilities and the groups of clips. Goes out: a score for each
draw, and intervals from them. `results` and `paired` call it.

Clips of one source video are alike, so groups are drawn with replacement, as many as
there are, and each clip counts as often as its group was drawn. All scores are sums
over clips, so a draw is a product with the groups' counts.
"""

import dataclasses

import numpy as np

#: Draws, and the share of them that lies in an interval.
NUM_DRAWS = 2000
LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class GroupDraws:
    """Draws of groups with replacement.

    Attributes:
        counts: float `(draws, groups)`, how often each group was drawn.
        group_of_clip: int `(clips,)`, from 0 to groups - 1.
    """

    counts: np.ndarray
    group_of_clip: np.ndarray

    def totals(self, values: np.ndarray) -> np.ndarray:
        """Sum over the drawn clips: from `(clips, ...)` to `(draws, ...)`."""
        order = np.argsort(self.group_of_clip, kind="stable")
        firsts = np.searchsorted(self.group_of_clip[order], np.arange(self.counts.shape[1]))
        of_group = np.add.reduceat(np.asarray(values)[order].astype(float), firsts, axis=0)
        return np.tensordot(self.counts, of_group, axes=1)


def draw_groups(groups: np.ndarray, seed: int, draws: int = NUM_DRAWS) -> GroupDraws:
    """Draws as many groups as there are, with replacement, again and again.

    Args:
        groups: `(clips,)`, the group of each clip.
        seed: seed of the draws.
        draws: number of draws.

    Example:

    >>> draw_groups(np.array(["a", "a", "b"]), seed=0, draws=5).counts.sum(axis=1).tolist()
    [2.0, 2.0, 2.0, 2.0, 2.0]
    """
    names, group_of_clip = np.unique(groups, return_inverse=True)
    drawn = np.random.default_rng(seed).integers(len(names), size=(draws, len(names)))
    cells = (drawn + np.arange(draws)[:, None] * len(names)).ravel()
    counts = np.bincount(cells, minlength=draws * len(names)).reshape(draws, len(names))
    return GroupDraws(counts.astype(float), group_of_clip)


def drawn_accuracies(
    labels: np.ndarray, probabilities: np.ndarray, draws: GroupDraws
) -> np.ndarray:
    """Share of the clips that are recognised, `(draws,)`."""
    hits = probabilities.argmax(axis=1) == labels
    return draws.totals(hits) / draws.totals(np.ones(len(hits)))


def drawn_frame_accuracies(right: np.ndarray, frames: np.ndarray, draws: GroupDraws) -> np.ndarray:
    """Share of the drawn clips' frames that are recognised, `(draws,)`.

    Frames of one clip are more alike still than clips of one group, so whole clips are drawn.

    Args:
        right: int `(clips,)`, how many of each clip's frames are recognised.
        frames: int `(clips,)`, how many it has.
        draws: of the clips' groups.
    """
    return draws.totals(right) / draws.totals(frames)


def drawn_class_accuracies(
    labels: np.ndarray, probabilities: np.ndarray, draws: GroupDraws
) -> np.ndarray:
    """Mean class accuracy, `(draws,)`: over the classes that a draw has clips of."""
    of_class = np.eye(probabilities.shape[1])[labels]
    hits = of_class * (probabilities.argmax(axis=1) == labels)[:, None]
    return _mean_over_present(draws.totals(hits), draws.totals(of_class))


def drawn_class_average_precisions(
    labels: np.ndarray, probabilities: np.ndarray, draws: GroupDraws
) -> np.ndarray:
    """Average precision of each class, `(draws, classes)`; nan where a draw has no clips of it.

    A clip drawn twice stands twice in the ranking, on one rank with itself, as clips of
    equal scores do in `scores.average_precision`.
    """
    of_classes = []
    for label in range(probabilities.shape[1]):
        is_of_class = labels == label
        scores = probabilities[:, label]
        # (clips, clips of the class): which ones stand at the clip's rank or above it.
        above = scores[:, None] >= scores[is_of_class]
        ranks, found = draws.totals(above), draws.totals(above & is_of_class[:, None])
        precision = np.divide(found, ranks, out=np.zeros_like(found), where=ranks > 0)
        times = draws.counts[:, draws.group_of_clip[is_of_class]]
        gained, clips = (precision * times).sum(axis=1), times.sum(axis=1)
        nothing = np.full(len(clips), np.nan)
        of_classes.append(np.divide(gained, clips, out=nothing, where=clips > 0))
    return np.stack(of_classes, axis=1)


def drawn_average_precisions(
    labels: np.ndarray, probabilities: np.ndarray, draws: GroupDraws
) -> np.ndarray:
    """Mean average precision, `(draws,)`: over the classes that a draw has clips of."""
    return np.nanmean(drawn_class_average_precisions(labels, probabilities, draws), axis=1)


#: The scores of clips that get an interval, each from (labels, probabilities, draws) to
#: `(draws,)`. `Results.drawn_score` gives these and the frame accuracy.
DRAWN_SCORES = {
    "clip_accuracy": drawn_accuracies,
    "mean_class_accuracy": drawn_class_accuracies,
    "mean_average_precision": drawn_average_precisions,
}


def interval(drawn: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Lower and upper end of the middle `level` of the draws."""
    lower, upper = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)


def bootstrap_interval(
    values: np.ndarray,
    groups: np.ndarray,
    seed: int,
    samples: int = NUM_DRAWS,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Interval of a mean over clips, by drawing groups of clips with replacement.

    Args:
        values: `(clips,)`, for example 1 where a clip was recognised.
        groups: `(clips,)`, the group of each clip.
        seed: seed of the draws.
        samples: number of draws.
        level: share of the draws that lie inside the interval.

    Returns:
        lower and upper end.
    """
    draws = draw_groups(groups, seed, samples)
    return interval(draws.totals(values) / draws.totals(np.ones(len(values))), level)


def _mean_over_present(totals: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """Means `(draws,)` over the classes `(draws, classes)` that have clips in the draw."""
    shares = np.divide(totals, clips, out=np.zeros_like(totals), where=clips > 0)
    return shares.sum(axis=1) / (clips > 0).sum(axis=1)
