"""The best trade-offs among trials, and what each setting was worth.

Comes in: ended trials. Goes out: those that no other one beats in everything, and for each
searched setting how far the scores go with its values. `report` writes both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cham_keras.tuning.search_space import Value
from cham_keras.tuning.trials import Trial, varied_settings


def best_trade_offs(trials: Sequence[Trial]) -> list[Trial]:
    """Trials than which none is at least as good in score, parameters and operations.

    These three do not change from machine to machine, as times and memory do. Of trials that
    are alike in all three the first one stays.

    Args:
        trials: that ended well.

    Returns:
        the trials, the smallest model first.
    """
    front: list[Trial] = []
    for trial in sorted(trials, key=lambda trial: trial.rank):
        # What comes before has at least the score.
        if not any(_costs_no_more(other, trial) for other in front):
            front.append(trial)
    return sorted(front, key=lambda trial: (trial.cost.parameters, trial.cost.operations))


def _costs_no_more(one: Trial, other: Trial) -> bool:
    return (
        one.cost.parameters <= other.cost.parameters
        and one.cost.operations <= other.cost.operations
    )


@dataclass(frozen=True)
class Importance:
    """How far the scores go with a setting's values.

    Attributes:
        name: the setting.
        share: of the scores' variance, how much lies between the means of its values; from 0 to
            1. Where many values have one trial each, it is large by chance.
        means: by value: mean score and number of trials.
    """

    name: str
    share: float
    means: dict[Value, tuple[float, int]]


def importances(trials: Sequence[Trial]) -> list[Importance]:
    """The importance of each setting that was searched, the largest first.

    Args:
        trials: that ended well. Where they have different numbers of epochs, those with the most
            count alone: fewer epochs, and not their values, may be why others have lower scores.
    """
    found = []
    most = max((trial.epochs or 0 for trial in trials), default=0)
    trials = [trial for trial in trials if (trial.epochs or 0) == most]
    scores = np.array([trial.score for trial in trials])
    for name in varied_settings(trials):
        values = [trial.values[name] for trial in trials]
        groups = {
            value: scores[[other == value for other in values]] for value in _in_order(values)
        }
        between = sum(len(group) * (group.mean() - scores.mean()) ** 2 for group in groups.values())
        total = ((scores - scores.mean()) ** 2).sum()
        means = {value: (float(group.mean()), len(group)) for value, group in groups.items()}
        found.append(Importance(name, float(between / total) if total > 0 else 0.0, means))
    return sorted(found, key=lambda importance: -importance.share)


def _in_order(values: Sequence[Value]) -> list[Value]:
    different = list(dict.fromkeys(values))
    return sorted(different, key=lambda value: (isinstance(value, str), value))
