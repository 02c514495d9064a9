"""A trial that has ended, and a search as the sum of them.

Comes in: keras-tuner's books. Goes out: `Trial` and `Search`. `tuner` reads them out of the
books, `report` writes them down.
"""

import dataclasses
from pathlib import Path

from cham_keras.runs import RunSettings
from cham_keras.tuning.search_space import Values
from cham_keras.tuning.trial_cost import TrialCost

BEST_FILE = "best.toml"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One combination that was tried.

    Attributes:
        name: its number, from 0, as its run folder is called.
        values: what was chosen, by setting.
        run: the trial's run folder, on the machine that trained it; those of the best
            trade-offs hold their models.
        settings: the settings that it trained with.
        failure: why the trial failed; empty where it did not.
    """

    name: str
    values: Values
    run: Path
    settings: RunSettings
    failure: str = ""
    booked_score: float | None = None
    booked_cost: TrialCost | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it has a score."""
        return self.booked_score is not None

    @property
    def score(self) -> float:
        """Best accuracy over the validation clips.

        Raises:
            ValueError: the trial failed.
        """
        if self.booked_score is None:
            raise ValueError(f"Trial {self.name} has no score. It failed: {self.failure}.")
        return self.booked_score

    @property
    def cost(self) -> TrialCost:
        """What the model costs.

        Raises:
            ValueError: the trial failed.
        """
        if self.booked_cost is None:
            raise ValueError(f"Trial {self.name} has no cost. It failed: {self.failure}.")
        return self.booked_cost

    @property
    def rank(self) -> tuple[float, ...]:
        """Sorts trials: the best first, of equal scores the smaller model, failed ones last."""
        if not self.succeeded:
            return (1.0, 0.0, 0.0)
        return (-self.score, self.cost.parameters, self.cost.operations)


@dataclasses.dataclass(frozen=True)
class Search:
    """A search: what was tried so far, and the best of it.

    Attributes:
        trials: all trials that have ended, in the order of their rank. At least the
            first one ended well.
        folder: where the results and the trials' run folders lie.
        validation_clips: number of clips that gave the scores.
        first: values of the settings as they stood before the search; None where they are not in
            the space.
    """

    trials: tuple[Trial, ...]
    folder: Path
    validation_clips: int
    first: Values | None = None

    @property
    def best(self) -> RunSettings:
        """The settings of the best trial."""
        return self.trials[0].settings

    @property
    def default(self) -> Trial | None:
        """The trial of the settings as they stood before the search, if it ended well."""
        of_default = (trial for trial in self.trials if trial.values == self.first)
        return next((trial for trial in of_default if trial.succeeded), None)
