"""Scores from predictions, in NumPy: accuracies, average precision, intervals.

Comes in: the probabilities of clips or frames and their labels. Called by
`evaluation.evaluate`; of use on any predictions.
"""

import numpy as np


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the labels that are predicted."""
    return float(np.mean(np.asarray(labels) == np.asarray(predicted)))


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts `(num_classes, num_classes)`: rows are the labels, columns what was predicted.

    Example:

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    matrix = np.zeros((num_classes, num_classes), dtype=int)
    np.add.at(matrix, (labels, predicted), 1)
    return matrix


def average_precision(is_of_class: np.ndarray, scores: np.ndarray) -> float:
    """Non-interpolated average precision of one class.

    The mean, over the clips of the class, of the precision at the clip's rank.
    Clips with equal scores share one rank, so that the order of the input does
    not matter.

    Args:
        is_of_class: bool `(clips,)`.
        scores: `(clips,)`, the higher the more likely of the class.

    Returns:
        a number from 0 to 1; nan where no clip is of the class.

    Example:

    >>> average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.7]))
    0.8333333333333333
    """
    is_of_class = np.asarray(is_of_class, bool)
    if not is_of_class.any():
        return float("nan")
    scores = np.asarray(scores, float)
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(is_of_class[order])
    last_of_score = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    precision = found[last_of_score] / (last_of_score + 1)
    gained = np.diff(found[last_of_score], prepend=0)
    return float((precision * gained).sum() / is_of_class.sum())


def bootstrap_interval(
    values: np.ndarray, groups: np.ndarray, seed: int, samples: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Interval of a mean over clips, by drawing groups of clips with replacement.

    Clips of one source video are alike, so groups are drawn, not clips.

    Args:
        values: `(clips,)`, for example 1 where a clip was recognised.
        groups: `(clips,)`, the group of each clip.
        seed: seed of the draws.
        samples: number of draws.
        level: share of the draws that lie inside the interval.

    Returns:
        lower and upper end.
    """
    _, of_group = np.unique(groups, return_inverse=True)
    num_groups = of_group.max() + 1
    totals = np.bincount(of_group, weights=np.asarray(values, float), minlength=num_groups)
    counts = np.bincount(of_group, minlength=num_groups)
    drawn = np.random.default_rng(seed).integers(num_groups, size=(samples, num_groups))
    means = totals[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    lower, upper = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)
