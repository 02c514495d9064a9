"""The clips that a model is most sure and most wrong about.

Comes in: results. Goes out: the clips with the probabilities of the class that is named
and of their own. `films` shows where the model looked; `write_report` calls both.
"""

import dataclasses

import numpy as np

from cham_keras.evaluation import Results


@dataclasses.dataclass(frozen=True)
class ConfidentError:
    """A clip that is taken for another class.

    Attributes:
        clip: its id.
        label: its class.
        predicted: the class that it is taken for.
        probability: of that class.
        probability_of_label: of its own class.
        rank_of_label: place of its own class among all, from 1 on.
    """

    clip: str
    label: str
    predicted: str
    probability: float
    probability_of_label: float
    rank_of_label: int


def confident_errors(results: Results, most: int) -> list[ConfidentError]:
    """The wrong clips of the highest probability, the highest first.

    Args:
        results: of a model.
        most: how many at most.

    Example:

    >>> results = Results(classes=("hop", "run"), clip_ids=["a", "b", "c"], labels=[0, 0, 1],
    ...                   groups=["a", "b", "c"],
    ...                   probabilities=[[0.4, 0.6], [0.1, 0.9], [0.2, 0.8]])
    >>> [error.clip for error in confident_errors(results, 5)]
    ['b', 'a']
    """
    surest = results.probabilities.max(axis=1)
    wrong = np.flatnonzero(results.predicted != results.labels)
    order = wrong[np.argsort(-surest[wrong], kind="stable")][:most]
    return [_error(results, int(clip)) for clip in order]


def _error(results: Results, clip: int) -> ConfidentError:
    label, predicted = int(results.labels[clip]), int(results.predicted[clip])
    of_clip = results.probabilities[clip]
    return ConfidentError(
        clip=results.clip_ids[clip],
        label=results.classes[label],
        predicted=results.classes[predicted],
        probability=float(of_clip[predicted]),
        probability_of_label=float(of_clip[label]),
        rank_of_label=1 + int((of_clip > of_clip[label]).sum()),
    )
