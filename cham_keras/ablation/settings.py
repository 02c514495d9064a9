"""What an ablation is made of: a recipe, lines that change it, folds, seeds."""

import math
import re
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt

from cham_keras.data.fold_views import Pairs
from cham_keras.recipes import changed_recipe, read_recipe
from cham_keras.runs.settings import RunSettings
from cham_keras.settings import settings


@settings
class AblationLine:
    """One line: the recipe with something changed."""

    name: Annotated[str, Field(pattern=r"^[^|/\n]+$")]
    """What is changed, as it stands in the table."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Settings laid over the recipe, as in its file."""
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Fraction of the clips that are not scored to validate on, by whole groups."""

    @property
    def slug(self) -> str:
        """The name as its folder is called."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


@settings
class AblationSettings:
    """Everything that decides what an ablation holds; `ablation.toml` in its folder."""

    recipe: str = "small_data/cham"
    """The recipe (`cham recipes`) that every line changes."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Settings laid over the recipe in every line."""
    first_line: str = "the recipe"
    """What the line is called that changes nothing else."""
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the recipe itself: fraction of the clips that are not scored to validate on."""
    folds: Annotated[int, Field(ge=3)] = 5
    """Parts of the clips, by whole groups; each run leaves two of them out."""
    pairs: Pairs = "all"
    """Which two: all pairs, or the neighbours only, which are fewer runs."""
    fold_seed: NonNegativeInt = 0
    """Seed of the folds."""
    seeds: tuple[NonNegativeInt, ...] = (0,)
    """Seeds of the runs; a line's probabilities are their mean."""
    lines: tuple[AblationLine, ...] = ()
    """What is changed, a line each; the recipe itself is a line anyway."""

    @property
    def runs_of_line(self) -> int:
        """How many runs a line has with each seed."""
        return math.comb(self.folds, 2) if self.pairs == "all" else self.folds

    @property
    def runs_of_clip(self) -> int:
        """How many of them lack a clip's fold."""
        return 2 * self.runs_of_line // self.folds

    @property
    def all_lines(self) -> tuple[AblationLine, ...]:
        """The recipe, then its changes.

        Raises:
            ValueError: a name has no letter or digit, or two have the same ones.
        """
        lines = (
            AblationLine(name=self.first_line, validation_fraction=self.validation_fraction),
            *self.lines,
        )
        of_slug: dict[str, str] = {}
        for line in lines:
            other = of_slug.setdefault(line.slug, line.name)
            if not line.slug or other is not line.name:
                raise ValueError(
                    "Every line must have a name of its own, in letters a to z and digits. "
                    f"Received: {line.name!r}" + (f" beside {other!r}." if line.slug else ".")
                )
        return lines

    def run_settings(self, line: AblationLine, seed: int) -> RunSettings:
        """The settings of a line's runs.

        Raises:
            ValueError: there is no such recipe, or a change breaks its rule.
        """
        recipe = changed_recipe(read_recipe(self.recipe), self.changes, "`changes`")
        return changed_recipe(recipe, {**line.changes, "seed": seed}, f"line {line.name!r}")
