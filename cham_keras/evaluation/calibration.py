"""Whether a model's probabilities can be believed.

Comes in: the probabilities of clips and their labels. Goes out: for clips of like
confidence, how many of them were right. `results` and the reliability diagram use it.
"""

import dataclasses

import numpy as np

#: Bins of equal width between 0 and 1. Test splits of some hundred clips fill no more.
NUM_BINS = 10


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Clips by their confidence, the probability of the class that was named.

    Attributes:
        edges: `(bins + 1,)`; a bin holds its upper edge, not its lower one.
        clips: int `(bins,)`.
        confidence: `(bins,)`, mean over the bin's clips; nan where it has none.
        accuracy: `(bins,)`, share of the bin's clips that are right; nan where it has none.
        error: expected calibration error: the mean over the clips of how far apart
            confidence and accuracy of their bins are.
    """

    edges: np.ndarray
    clips: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


def calibration(
    labels: np.ndarray, probabilities: np.ndarray, num_bins: int = NUM_BINS
) -> Calibration:
    """Sorts clips into bins of equal width by their confidence.

    The expected calibration error of Guo et al., "On calibration of modern neural
    networks", 2017, Eq. 3.

    Args:
        labels: int `(clips,)`.
        probabilities: `(clips, classes)`.
        num_bins: number of bins between 0 and 1.

    Raises:
        ValueError: there is no bin.

    Example:

    >>> probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.3, 0.7]])
    >>> found = calibration(np.array([0, 1, 1]), probabilities)
    >>> found.clips.tolist(), round(found.error, 3)
    ([0, 0, 0, 0, 0, 0, 1, 0, 0, 2], 0.4)
    """
    if num_bins < 1:
        raise ValueError(f"`num_bins` must be at least 1. Received: {num_bins}.")
    probabilities = np.asarray(probabilities, float)
    confidence = probabilities.max(axis=1)
    hits = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, num_bins + 1)
    # The inner edges alone: rounding may leave a confidence of 1 a little above 1.
    bins = np.searchsorted(edges[1:-1], confidence, side="left")
    clips = np.bincount(bins, minlength=num_bins)
    empty = np.full(num_bins, np.nan)
    means = [
        np.divide(np.bincount(bins, values, num_bins), clips, out=empty.copy(), where=clips > 0)
        for values in (confidence, hits)
    ]
    gaps = np.abs(means[0] - means[1])
    error = float(np.nansum(gaps * clips) / len(hits))
    return Calibration(edges, clips, means[0], means[1], error)
