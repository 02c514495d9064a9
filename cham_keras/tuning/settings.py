"""What decides a search, and what a settings file of `cham tune` may hold.

Comes in: options, or `search.toml` of a folder, or a file of your own. Goes out: checked settings;
those of a run stand at the top as in every other settings file. `tune` writes and compares them.
"""

import dataclasses
from typing import Any

from pydantic import PositiveFloat, PositiveInt

from cham_keras.runs import RunSettings
from cham_keras.settings import settings
from cham_keras.tuning.oracles import Strategy
from cham_keras.tuning.search_space import SearchSpace


@settings
class SearchSettings(RunSettings):
    """What decides the trials of a search, and must not change while it goes on: a run's settings
    and these.
    """

    space: SearchSpace = SearchSpace()
    """The values that are tried."""
    strategy: Strategy = "random"
    """How the next trial is chosen."""
    max_parameters: PositiveInt | None = None
    """A model with more weights is not proposed."""
    folds: PositiveInt | None = None
    """In how many folds the clips to train and validate on are laid; None for the splits."""

    @classmethod
    def of(cls, run: RunSettings, **others: Any) -> "SearchSettings":
        """From a run's settings and the fields of this class.

        Example:

        >>> SearchSettings.of(RunSettings(epochs=3), strategy="bayesian").epochs
        3
        """
        return cls(**_fields_of_run(run), **others)

    @property
    def run(self) -> RunSettings:
        """All settings that are not searched."""
        return RunSettings(**_fields_of_run(self))


@settings
class TuningSettings(SearchSettings):
    """What a settings file of `cham tune` may hold: also what may change while a search goes on."""

    max_trials: PositiveInt | None = None
    """Number of combinations to try."""
    wide: bool = False
    """Search every setting."""
    memory_limit_gib: PositiveFloat | None = None
    """A model that needs more memory to train is not started."""


def _fields_of_run(values: RunSettings) -> dict[str, Any]:
    return {field.name: getattr(values, field.name) for field in dataclasses.fields(RunSettings)}
