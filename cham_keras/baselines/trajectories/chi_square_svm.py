"""A support vector machine with a chi-square kernel over several channels of histograms.

Comes in: histograms, labels and groups of training clips. Goes out: a classifier that gives
probabilities. `trajectory_baseline` calls this.

    K(i, j) = exp(-mean over channels c of D_c(i, j) / A_c)
    D_c(i, j) = sum over words w of (h_iw - h_jw)^2 / (h_iw + h_jw)

A_c is the mean distance between different training clips (Zhang et al., "Local features and
kernels for classification of texture and object categories", IJCV 2007). The penalty C and
the softmax's sharpness are chosen on clips that are held out by whole groups.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from sklearn.metrics.pairwise import additive_chi2_kernel
from sklearn.svm import SVC

from cham_keras.baselines.held_out import held_out_folds
from cham_keras.baselines.held_out_choice import HeldOutChoice, choose, softmax

#: The penalties that are tried.
PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)

Histograms = dict[str, np.ndarray]


def chi_square_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distances between histograms.

    Args:
        first: `(clips, words)`, no number below 0.
        second: `(other clips, words)`.

    Returns:
        `(clips, other clips)`: sums of (a - b)^2 / (a + b), where 0 / 0 is 0.

    Example:

    >>> chi_square_distances(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0], [0.5, 0.5]]))
    array([[0.666..., 0.        ]])
    """
    # Adding zero turns -0 into 0.
    return -additive_chi2_kernel(first, second) + 0.0


@dataclasses.dataclass(frozen=True)
class ChiSquareSVM:
    """A fitted classifier.

    Attributes:
        histograms: of the training clips, by channel `(clips, words)`.
        mean_distances: A_c of each channel.
        penalty: C, as chosen.
        choice: how it did on held-out clips, and the softmax's sharpness.
        machine: the fitted machine.
        num_classes: number of classes.
    """

    histograms: Histograms
    mean_distances: dict[str, float]
    penalty: float
    choice: HeldOutChoice
    machine: SVC
    num_classes: int

    def probabilities(self, histograms: Histograms) -> np.ndarray:
        """Probabilities `(clips, classes)` of histograms, by channel `(clips, words)`."""
        kernel = _kernel(histograms, self.histograms, self.mean_distances)
        decisions = _decisions(self.machine, kernel, self.num_classes)
        return softmax(self.choice.sharpness * decisions)


def fit_chi_square_svm(
    histograms: Histograms,
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    num_folds: int = 5,
    seed: int = 0,
) -> ChiSquareSVM:
    """Chooses C by grouped cross-validation and fits on all clips.

    Args:
        histograms: of the training clips, by channel `(clips, words)`.
        labels: int `(clips,)`.
        groups: `(clips,)`; a group is never on both sides of a fold.
        classes: names of the classes, also of those without a clip here.
        num_folds: number of folds.
        seed: of the folds.

    Raises:
        ValueError: all clips are of one class, or the groups cannot be cut into such folds.
    """
    mean_distances = {name: _mean_distance(values) for name, values in histograms.items()}
    kernel = _kernel(histograms, histograms, mean_distances)
    held_out = np.empty((len(PENALTIES), len(labels), len(classes)))
    for fitted_on, left in held_out_folds(labels, groups, classes, num_folds, seed):
        for number, penalty in enumerate(PENALTIES):
            machine = _fit(kernel[np.ix_(fitted_on, fitted_on)], labels[fitted_on], penalty)
            rows = kernel[np.ix_(left, fitted_on)]
            held_out[number, left] = _decisions(machine, rows, len(classes))
    choice = choose(held_out, labels)
    penalty = PENALTIES[choice.index]
    machine = _fit(kernel, labels, penalty)
    return ChiSquareSVM(histograms, mean_distances, penalty, choice, machine, len(classes))


def _fit(kernel: np.ndarray, labels: np.ndarray, penalty: float) -> SVC:
    return SVC(C=penalty, kernel="precomputed", class_weight="balanced").fit(kernel, labels)


def _decisions(machine: SVC, kernel: np.ndarray, num_classes: int) -> np.ndarray:
    """Decisions `(clips, classes)`; minus infinity for a class without training clips."""
    found = machine.decision_function(kernel)
    if found.ndim == 1:  # of two classes scikit-learn states the second one's alone
        found = np.stack([-found / 2, found / 2], axis=1)
    decisions = np.full((len(kernel), num_classes), -np.inf)
    decisions[:, machine.classes_] = found
    return decisions


def _mean_distance(histograms: np.ndarray) -> float:
    """The mean over pairs of different clips; 1 where all clips are alike."""
    distances = chi_square_distances(histograms, histograms)
    number = len(histograms)
    return float(distances.sum() / (number * (number - 1))) or 1.0


def _kernel(first: Histograms, second: Histograms, mean_distances: dict[str, float]) -> np.ndarray:
    distances = [
        chi_square_distances(first[name], second[name]) / scale
        for name, scale in mean_distances.items()
    ]
    return np.exp(-np.mean(distances, axis=0))
