"""A trial that has ended, and a search as the sum of them.

Comes in: keras-tuner's books. Goes out: `Trial`, `FailedTrial` and `Search`. `tuner` reads them out
of the books, `report` writes them down.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from cham_keras.runs import RunSettings
from cham_keras.tuning.search_space import Value, Values
from cham_keras.tuning.trial_cost import TrialCost

EPOCHS = "epochs"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One combination that was tried and ended well.

    Attributes:
        name: its number, from 0, as its run folder is called.
        values: what was chosen, by setting.
        run: the trial's run folder, on the machine that trained it; those of the best
            trade-offs hold their models.
        settings: the settings that it trained with.
        score: best accuracy over the validation clips.
        cost: what the model costs.
    """

    name: str
    values: Values
    run: Path
    settings: RunSettings
    score: float
    cost: TrialCost

    @property
    def epochs(self) -> int | None:
        """How many epochs it trained; None where steps were counted."""
        return self.settings.epochs

    @property
    def rank(self) -> tuple[float, ...]:
        """Sorts trials: the best first, of equal scores the smaller model."""
        return (-self.score, self.cost.parameters, self.cost.operations)


@dataclasses.dataclass(frozen=True)
class FailedTrial:
    """One combination that was tried and failed.

    Attributes:
        name: its number, from 0.
        values: what was chosen, by setting.
        reason: why it failed.
        epochs: how many epochs it was to train; None where steps are counted.
    """

    name: str
    values: Values
    reason: str
    epochs: int | None = None


@dataclasses.dataclass(frozen=True)
class Search:
    """A search: what was tried so far, and the best of it.

    Attributes:
        trials: those that ended well, in the order of their rank; at least one.
        failed: those that did not, in the order of their end.
        folder: where the results and the trials' run folders lie.
        validation_clips: number of clips that gave the scores.
        first: values of the settings as they stood before the search; None where they are not in
            the space.
    """

    trials: tuple[Trial, ...]
    failed: tuple[FailedTrial, ...]
    folder: Path
    validation_clips: int
    first: Values | None = None

    @property
    def best(self) -> RunSettings:
        """The settings of the best trial."""
        return self.trials[0].settings

    @property
    def default(self) -> Trial | None:
        """The trial of the settings as they stood before the search, if it ended well.

        Of Hyperband's, the one with the most epochs.
        """
        of_default = [trial for trial in self.trials if trial.values == self.first]
        return max(of_default, key=lambda trial: trial.epochs or 0, default=None)


def varied_settings(trials: Iterable[Trial | FailedTrial]) -> list[str]:
    """Names of the settings that are not the same in all trials; `epochs`, which Hyperband varies,
    among them.

    Args:
        trials: any.
    """
    shown = [shown_values(trial) for trial in trials]
    return [name for name in (shown[0] if shown else {}) if len({v[name] for v in shown}) > 1]


def shown_values(trial: Trial | FailedTrial) -> dict[str, Value | None]:
    """What was chosen for a trial, with its epochs.

    Args:
        trial: any.
    """
    return {**trial.values, EPOCHS: trial.epochs}
