"""Linear classifiers on pooled features, with the regularization chosen by cross-validation.

Comes in: vectors, labels and groups of training clips. Goes out: a classifier that gives
probabilities. `pooled_baselines` calls this.

Features are standardised with the mean and deviation of the clips that are fitted on, also
within each fold. The strength is the one with the least log loss over the clips that were
held out. Then all clips are fitted on.
"""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from cham_keras.baselines.held_out import held_out_folds
from cham_keras.baselines.held_out_choice import SHARPNESSES, HeldOutChoice, choose, softmax

Classifier = Literal["logistic", "ridge"]

#: The strengths that are tried. C weighs the loss against the penalty of the logistic
#: regression; alpha weighs the penalty of the ridge regression against its loss.
STRENGTHS: dict[Classifier, tuple[float, ...]] = {
    "logistic": tuple(10.0**exponent for exponent in range(-6, 2)),
    "ridge": tuple(10.0**exponent for exponent in range(-1, 7)),
}
#: How each classifier's strength is called.
STRENGTH_NAMES: dict[Classifier, str] = {"logistic": "C", "ridge": "alpha"}

_MOST_ITERATIONS = 5000
# Of the gradient; at the usual 1e-4, probabilities are off by half a percent.
_TOLERANCE = 1e-6
# With fewer clips, threads for each small product cost twenty times what they bring.
_MANY_CLIPS = 1000

Decide = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class LinearClassifier:
    """A fitted classifier.

    Attributes:
        kind: "logistic" or "ridge".
        strength: C or alpha, as chosen.
        choice: how the strength did on held-out clips, and the softmax's sharpness.
        decide: from vectors `(clips, features)` to decisions `(clips, classes)`; minus
            infinity for a class without training clips.
    """

    kind: Classifier
    strength: float
    choice: HeldOutChoice
    decide: Decide

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Probabilities `(clips, classes)` of vectors `(clips, features)`."""
        return softmax(self.choice.sharpness * self.decide(features))


def fit_linear_classifier(
    kind: Classifier,
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
    num_folds: int = 5,
    seed: int = 0,
) -> LinearClassifier:
    """Chooses the strength by grouped cross-validation and fits on all clips.

    Args:
        kind: "logistic" (multinomial) or "ridge" (regression on -1 and 1, one class against
            the rest; its probabilities are a softmax whose sharpness is fitted to the
            decisions on held-out clips).
        features: `(clips, features)`.
        labels: int `(clips,)`.
        groups: `(clips,)`; a group is never on both sides of a fold.
        classes: names of the classes, also of those without a clip here.
        num_folds: number of folds.
        seed: of the folds; the same seed gives the same classifier.

    Raises:
        ValueError: the kind is not known, all clips are of one class, or the groups cannot
            be cut into such folds.

    Example:

    >>> features = np.array([[0.0], [0.1], [1.0], [1.1]])
    >>> labels, groups = np.array([0, 0, 1, 1]), np.array(["a", "b", "c", "d"])
    >>> fitted = fit_linear_classifier("ridge", features, labels, groups, ("hop", "run"), 2)
    >>> fitted.probabilities(np.array([[-1.0], [2.0]])).argmax(axis=1)
    array([0, 1])
    """
    if kind not in STRENGTHS:
        raise ValueError(f"`kind` must be one of {', '.join(STRENGTHS)}. Received: {kind!r}.")
    strengths, num_classes = STRENGTHS[kind], len(classes)
    held_out = np.empty((len(strengths), len(labels), num_classes))
    for fitted_on, left in held_out_folds(labels, groups, classes, num_folds, seed):
        path = _fit(kind, features[fitted_on], labels[fitted_on], num_classes, strengths)
        for number, decide in enumerate(path):
            held_out[number, left] = decide(features[left])
    # The decisions of the logistic regression are log probabilities already.
    choice = choose(held_out, labels, (1.0,) if kind == "logistic" else SHARPNESSES)
    strength = strengths[choice.index]
    decide = _fit(kind, features, labels, num_classes, (strength,))[0]
    return LinearClassifier(kind, strength, choice, decide)


def _fit(
    kind: Classifier,
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    strengths: tuple[float, ...],
) -> list[Decide]:
    """Fits one classifier for each strength on the same clips."""
    present = np.unique(labels)
    fit = {"logistic": _fit_logistic, "ridge": _fit_ridge}[kind]
    with threadpool_limits(1 if len(features) < _MANY_CLIPS else None):
        coordinates = _Coordinates(features)
        fitted = fit(coordinates(features), labels, present, strengths)
    return [_decisions_of(coordinates, *weights, present, num_classes) for weights in fitted]


Weights = tuple[np.ndarray, np.ndarray]


def _fit_logistic(
    inputs: np.ndarray, labels: np.ndarray, present: np.ndarray, strengths: tuple[float, ...]
) -> list[Weights]:
    """Weights `(classes, features)` and biases `(classes,)` for each strength."""
    # From the strongest penalty on, each fit begins where the one before it ended.
    model = LogisticRegression(warm_start=True, max_iter=_MOST_ITERATIONS, tol=_TOLERANCE)
    fitted = []
    for strength in sorted(strengths):
        model.set_params(C=strength)
        with warnings.catch_warnings():
            # A fit that has not converged after that many steps is nothing to choose by.
            warnings.simplefilter("error", ConvergenceWarning)
            try:
                model.fit(inputs, labels)
            except ConvergenceWarning as warning:
                raise ValueError(
                    f"Logistic regression must converge in {_MOST_ITERATIONS} steps. Received: "
                    f"none at C={strength:g} on {inputs.shape[0]} clips. Take ridge instead."
                ) from warning
        weights, biases = model.coef_.copy(), model.intercept_.copy()
        if len(present) == 2:  # scikit-learn states the second class's decision alone
            weights, biases = np.vstack([-weights / 2, weights / 2]), np.append(-biases, biases) / 2
        fitted.append((weights, biases))
    return [fitted[sorted(strengths).index(strength)] for strength in strengths]


def _fit_ridge(
    inputs: np.ndarray, labels: np.ndarray, present: np.ndarray, strengths: tuple[float, ...]
) -> list[Weights]:
    targets = np.where(labels[:, None] == present, 1.0, -1.0)
    models = [Ridge(alpha=strength).fit(inputs, targets) for strength in strengths]
    return [(model.coef_, model.intercept_) for model in models]


def _decisions_of(
    coordinates: "_Coordinates",
    weights: np.ndarray,
    biases: np.ndarray,
    present: np.ndarray,
    num_classes: int,
) -> Decide:
    def decide(features: np.ndarray) -> np.ndarray:
        decisions = np.full((len(features), num_classes), -np.inf)
        decisions[:, present] = coordinates(features) @ weights.T + biases
        return decisions

    return decide


class _Coordinates:
    """Standardised features, in the few coordinates in which the fitted clips differ.

    With more features than clips, the best weights of a quadratically penalised model lie in
    the space that the clips span. A rotation into it changes no solution and makes each fit
    as small as the number of clips.
    """

    def __init__(self, features: np.ndarray) -> None:
        features = np.asarray(features, np.float64)
        self._mean, deviation = features.mean(axis=0), features.std(axis=0)
        # What is the same in all clips says nothing, and becomes zero. It may differ from its
        # mean by rounding.
        constant = deviation <= 1e-7 * np.maximum(1e-30, np.abs(self._mean))
        self._factor = np.where(constant, 0.0, 1 / np.where(constant, 1.0, deviation))
        self._axes = None
        if features.shape[1] > len(features):
            standardised = (features - self._mean) * self._factor
            self._axes = np.linalg.svd(standardised, full_matrices=False)[2].T

    def __call__(self, features: np.ndarray) -> np.ndarray:
        standardised = (np.asarray(features, np.float64) - self._mean) * self._factor
        return standardised if self._axes is None else standardised @ self._axes
