"""Scores from predictions, in NumPy: accuracies, average precision, likelihood.

Comes in: the probabilities of clips and their labels. Called by `evaluation.results`;
of use on any predictions. How sure a score is says `bootstrap`, and whether the
probabilities can be believed, `calibration`.
"""

import numpy as np

#: A smaller probability counts as this one, so that one clip cannot make a mean infinite.
SMALLEST_PROBABILITY = 1e-15


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the labels that are predicted."""
    return float(np.mean(np.asarray(labels) == np.asarray(predicted)))


def top_k_accuracy(labels: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    """Share of the clips whose class is among the k most probable ones.

    Of equally probable classes the one of lower index comes first, as for `argmax`, so
    that k = 1 gives the accuracy.

    Args:
        labels: int `(clips,)`.
        probabilities: `(clips, classes)`.
        k: how many classes a clip may name, from 1 to the number of classes.

    Raises:
        ValueError: there are not as many classes.

    Example:

    >>> probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    >>> top_k_accuracy(np.array([1, 2]), probabilities, k=2)
    0.5
    """
    num_classes = probabilities.shape[1]
    if not 1 <= k <= num_classes:
        raise ValueError(f"`k` must be from 1 to the {num_classes} classes. Received: {k}.")
    order = np.argsort(-probabilities, axis=1, kind="stable")
    return float((order[:, :k] == np.asarray(labels)[:, None]).any(axis=1).mean())


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts `(num_classes, num_classes)`: rows are the labels, columns what was predicted.

    Example:

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    matrix = np.zeros((num_classes, num_classes), dtype=int)
    np.add.at(matrix, (labels, predicted), 1)
    return matrix


def class_accuracies(confusion: np.ndarray) -> np.ndarray:
    """Share of each class's clips that are recognised, `(classes,)`; nan where it has none.

    Example:

    >>> class_accuracies(np.array([[1, 1], [0, 0]])).tolist()
    [0.5, nan]
    """
    clips = confusion.sum(axis=1)
    return np.divide(np.diag(confusion), clips, out=np.full(len(clips), np.nan), where=clips > 0)


def negative_log_likelihood(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over the clips of -log of the probability of the clip's class, in nats.

    A probability below 1e-15 counts as 1e-15: one clip adds 34.5 at most.

    Example:

    >>> round(negative_log_likelihood(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])), 4)
    0.6931
    """
    of_class = np.asarray(probabilities, float)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_class, SMALLEST_PROBABILITY)).mean())


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
    precision, recall = precision_and_recall(is_of_class, scores)
    return float((precision * np.diff(recall, prepend=0)).sum())


def precision_and_recall(
    is_of_class: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall of one class, from the highest threshold to the lowest.

    Args:
        is_of_class: bool `(clips,)`.
        scores: `(clips,)`, the higher the more likely of the class.

    Returns:
        precision and recall `(thresholds,)`, one of each for every different score;
        recall is nan where no clip is of the class.

    Example:

    >>> precision, recall = precision_and_recall([True, False, True], [0.9, 0.5, 0.5])
    >>> recall.tolist()
    [0.5, 1.0]
    """
    is_of_class, scores = np.asarray(is_of_class, bool), np.asarray(scores, float)
    order = np.argsort(-scores, kind="stable")
    last_of_score = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(is_of_class[order])[last_of_score]
    of_class = is_of_class.sum()
    recall = found / of_class if of_class else np.full(len(found), np.nan)
    return found / (last_of_score + 1), recall
