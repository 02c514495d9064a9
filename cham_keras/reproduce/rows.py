"""One row of a table: a method's results over divisions and seeds, as numbers with intervals.

Comes in: `Results`, one for each division and seed. Goes out: mean, deviation, interval, and
draws that can be set against those of another row. `tables` calls this.
"""

import dataclasses
import functools
import zlib
from collections.abc import Sequence

import numpy as np

from cham_keras.evaluation import Results, pool_runs
from cham_keras.evaluation.bootstrap import GroupDraws, draw_groups, interval
from cham_keras.evaluation.seeds import ensemble
from cham_keras.reproduce.methods import Method

_POOLED = "folds"


@dataclasses.dataclass(frozen=True)
class Unit:
    """One run of a method.

    Attributes:
        division: which division of the data set.
        seed: seed of the run.
        results: what it gave on the division's test clips.
    """

    division: str
    seed: int
    results: Results


@dataclasses.dataclass(frozen=True)
class Row:
    """What a method came to.

    Attributes:
        method: the method.
        units: its runs. Divisions without a common test clip are the folds of a
            cross-validation and are pooled.
        figure: the name of the score that the table is about.
    """

    method: Method
    units: tuple[Unit, ...]
    figure: str

    @functools.cached_property
    def divisions(self) -> dict[str, list[Results]]:
        """The results by division, one a seed; folds are one division."""
        of_division: dict[str, list[Results]] = {}
        for unit in self.units:
            of_division.setdefault(unit.division, []).append(unit.results)
        if len(of_division) > 1 and _share_no_clip(of_division):
            return {_POOLED: list(pool_runs([unit.results for unit in self.units]))}
        return of_division

    @property
    def value(self) -> float | None:
        """Mean of the figure over divisions and seeds; None where the method has it not."""
        values = self.values_of_seeds
        return None if values is None else float(np.mean(values))

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds, of a sample; None for one seed."""
        values = self.values_of_seeds
        if values is None or len(values) < 2:
            return None
        return float(np.std(values, ddof=1))

    @functools.cached_property
    def values_of_seeds(self) -> tuple[float, ...] | None:
        """The figure of each seed, the mean over the divisions that were run with it."""
        of_seed: dict[int, list[float]] = {}
        if _POOLED in self.divisions:
            for seed, results in enumerate(self.divisions[_POOLED]):
                of_seed[seed] = [results.point_scores.get(self.figure, np.nan)]
        else:
            for unit in self.units:
                score = unit.results.point_scores.get(self.figure, np.nan)
                of_seed.setdefault(unit.seed, []).append(score)
        values = tuple(float(np.mean(scores)) for scores in of_seed.values())
        return None if np.isnan(values).any() else values

    @property
    def values_of_divisions(self) -> dict[str, float | None]:
        """The figure on each division, the mean over its seeds; None where it is not had."""
        found = {
            name: float(np.mean([r.point_scores.get(self.figure, np.nan) for r in results]))
            for name, results in self.divisions.items()
        }
        return {name: None if np.isnan(value) else value for name, value in found.items()}

    @functools.cached_property
    def averaged_over_seeds(self) -> "Row":
        """The row of one model a division, whose probabilities are the mean over the seeds."""
        units = tuple(Unit(name, 0, ensemble(found)) for name, found in self.divisions.items())
        return dataclasses.replace(self, units=units)

    @property
    def num_seeds(self) -> int:
        """The largest number of runs on one division."""
        return max(len(results) for results in self.divisions.values())

    @functools.cached_property
    def draws(self) -> np.ndarray | None:
        """The figure in each draw of groups and seeds, `(draws,)`; None where it cannot be drawn.

        Groups are drawn once, in every method and division alike, for divisions may share
        clips; then seeds of the method in each division, or divisions where each has a seed of
        its own. A draw is the mean over the divisions. One without a clip of a division is left
        out.
        """
        of_division = list(self.divisions.values())
        all_results = [result for results in of_division for result in results]
        if not all(self.figure in result.names_of_drawn_scores for result in all_results):
            return None
        if any(results[0].num_groups < 2 for results in of_division):
            return None
        draws = _draws_of_divisions([results[0].groups for results in of_division])
        scores = [
            np.stack([result.drawn_score(self.figure, groups) for result in results], axis=1)
            for results, groups in zip(of_division, draws, strict=True)
        ]
        # Seeds of two methods have nothing in common, so each draws its own.
        rng = np.random.default_rng(zlib.crc32(self.method.name.encode()))
        if self._divisions_are_seeds:
            return _mean_of_drawn(np.concatenate(scores, axis=1), rng)
        return np.mean([_mean_of_drawn(of_seeds, rng) for of_seeds in scores], axis=0)

    @property
    def _divisions_are_seeds(self) -> bool:
        """Whether each division was drawn with a seed of its own, as that of its one run."""
        seeds = {(unit.division, unit.seed) for unit in self.units}
        return len(self.divisions) > 1 and len({seed for _, seed in seeds}) == len(self.divisions)

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the value."""
        return None if self.draws is None else interval(self.draws)

    def probability_better_than(self, other: "Row") -> float | None:
        """Share of the draws in which this row is above another, of equal ones half."""
        if self.draws is None or other.draws is None or not self.same_clips_as(other):
            return None
        difference = self.draws - other.draws
        return float(np.mean((difference > 1e-12) + (np.abs(difference) <= 1e-12) / 2))

    def same_clips_as(self, other: "Row") -> bool:
        """Whether both were tested on the same clips; groups are drawn alike in any order."""
        ours, theirs = self.divisions, other.divisions
        return list(ours) == list(theirs) and all(
            sorted(ours[name][0].clip_ids) == sorted(theirs[name][0].clip_ids) for name in ours
        )

    def average_precisions(self) -> dict[str, float]:
        """Average precision of each class, the mean over divisions and seeds."""
        all_results = [result for results in self.divisions.values() for result in results]
        return {
            label: float(np.nanmean([r.per_class[label]["average_precision"] for r in all_results]))
            for label in all_results[0].classes
        }


def _draws_of_divisions(groups_of_divisions: Sequence[np.ndarray]) -> list[GroupDraws]:
    """For each division its groups in draws from the groups of all."""
    names = np.unique(np.concatenate(groups_of_divisions))
    counts = draw_groups(names, seed=0).counts  # (draws, groups)
    columns = [np.searchsorted(names, np.unique(groups)) for groups in groups_of_divisions]
    counts = counts[np.all([counts[:, held].any(axis=1) for held in columns], axis=0)]
    return [
        GroupDraws(counts[:, held], np.unique(groups, return_inverse=True)[1])
        for held, groups in zip(columns, groups_of_divisions, strict=True)
    ]


def _mean_of_drawn(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mean over columns that are drawn with replacement in each row, `(draws,)`."""
    num_draws, columns = scores.shape
    times = rng.multinomial(columns, np.full(columns, 1 / columns), size=num_draws)
    return (scores * times).sum(axis=1) / columns


def _share_no_clip(of_division: dict[str, list[Results]]) -> bool:
    clips: Sequence[str] = [clip for r in of_division.values() for clip in r[0].clip_ids]
    return len(set(clips)) == len(clips)
