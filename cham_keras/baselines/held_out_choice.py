"""The choice by held-out clips: which strength, and how sharp its probabilities are.

Comes in: the decisions that each strength made on clips that were held out. Goes out: the
best one. `linear_classifiers` and `trajectories/chi_square_svm` call this.
"""

import dataclasses

import numpy as np

#: What decisions may be multiplied with before the softmax.
SHARPNESSES = tuple(np.geomspace(0.01, 100.0, 81).tolist())


@dataclasses.dataclass(frozen=True)
class HeldOutChoice:
    """What was chosen, and how good it was on the held-out clips.

    Attributes:
        index: position of the strength.
        sharpness: what its decisions are multiplied with before the softmax.
        accuracy: share of the held-out clips that were recognised.
        log_loss: mean log loss of the held-out clips, in nats.
    """

    index: int
    sharpness: float
    accuracy: float
    log_loss: float


def choose(
    decisions: np.ndarray, labels: np.ndarray, sharpnesses: tuple[float, ...] = SHARPNESSES
) -> HeldOutChoice:
    """Chooses by the log loss: with tens of clips, accuracies tie and jump.

    Args:
        decisions: `(strengths, clips, classes)`; minus infinity for a class that was not
            fitted.
        labels: int `(clips,)`.
        sharpnesses: what is tried; (1,) for decisions that are log probabilities.

    Example:

    >>> sure, wrong = [[2.0, -2.0], [-2.0, 2.0]], [[-1.0, 1.0], [-1.0, 1.0]]
    >>> choose(np.array([wrong, sure]), np.array([0, 1]), (1.0,)).index
    1
    """
    losses = np.array(
        [[_log_loss(sharpness * each, labels) for sharpness in sharpnesses] for each in decisions]
    )
    index, sharpest = np.unravel_index(np.argmin(losses), losses.shape)
    return HeldOutChoice(
        index=int(index),
        sharpness=sharpnesses[sharpest],
        accuracy=float(np.mean(decisions[index].argmax(axis=1) == labels)),
        log_loss=float(losses[index, sharpest]),
    )


def softmax(decisions: np.ndarray) -> np.ndarray:
    """Probabilities `(clips, classes)` of decisions `(clips, classes)`."""
    powers = np.exp(decisions - decisions.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _log_loss(decisions: np.ndarray, labels: np.ndarray) -> float:
    largest = decisions.max(axis=1)
    total = np.log(np.exp(decisions - largest[:, None]).sum(axis=1)) + largest
    return float(np.mean(total - decisions[np.arange(len(labels)), labels]))
