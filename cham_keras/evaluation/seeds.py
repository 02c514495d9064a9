"""Several runs of one method that differ in their seed: what they have in common.

Comes in: `Results` of each on the same clips. Goes out: mean, deviation, smallest and
largest of every score, and the ensemble. `cham evaluate` calls it for several runs.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cham_keras.evaluation.folds import align
from cham_keras.evaluation.report import SCORE_TITLES, number
from cham_keras.evaluation.results import Results
from cham_keras.evaluation.results_files import without_nan
from cham_keras.files import replacing_file, write_json

ENSEMBLE_FOLDER = "ensemble"


@dataclasses.dataclass(frozen=True)
class Spread:
    """How a score varies from seed to seed.

    Attributes:
        mean: over the seeds.
        standard_deviation: of a sample, with n - 1; nan for one seed.
        lowest: the smallest value.
        highest: the largest value.
        values: `(seeds,)`, in the order of the seeds.
    """

    mean: float
    standard_deviation: float
    lowest: float
    highest: float
    values: tuple[float, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class SeedSummary:
    """Results of several seeds.

    Attributes:
        results: of each seed, all in the order of the first one's clips.
        names: what each one is called in the table.
    """

    results: tuple[Results, ...]
    names: tuple[str, ...]

    @functools.cached_property
    def spreads(self) -> dict[str, Spread]:
        """The spread of every score that all seeds have."""
        points = [results.point_scores for results in self.results]
        return {
            name: _spread([values[name] for values in points])
            for name in points[0]
            if all(name in values for values in points)
        }

    @functools.cached_property
    def ensemble(self) -> Results:
        """The mean of the probabilities over the seeds, as a method of its own."""
        return ensemble(self.results)

    def to_dict(self) -> dict[str, Any]:
        """The spreads and the ensemble's scores as plain values."""
        spreads = {name: dataclasses.asdict(spread) for name, spread in self.spreads.items()}
        return {"names": self.names, "scores": spreads, "ensemble": self.ensemble.scores}

    def to_markdown(self) -> str:
        """A column a score, a row a seed, then mean, deviation and the ensemble."""
        names = [name for name in self.spreads if name != "majority_accuracy"]
        spreads = [self.spreads[name] for name in names]
        of_ensemble = [self.ensemble.point_scores.get(name, float("nan")) for name in names]
        rows = [
            (run, [spread.values[index] for spread in spreads])
            for index, run in enumerate(self.names)
        ]
        rows += [
            ("**mean**", [spread.mean for spread in spreads]),
            ("standard deviation", [spread.standard_deviation for spread in spreads]),
            ("lowest", [spread.lowest for spread in spreads]),
            ("highest", [spread.highest for spread in spreads]),
            ("ensemble", of_ensemble),
        ]
        first = self.results[0]
        lines = [
            f"# Split {first.split}: {len(self.results)} runs on {len(first.clip_ids)} clips",
            "",
            f"| run | {' | '.join(SCORE_TITLES[name] for name in names)} |",
            "|---|" + "---|" * len(names),
            *(f"| {row} | {' | '.join(map(number, values))} |" for row, values in rows),
            "",
            "The ensemble is the mean of the runs' probabilities.",
        ]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        """Writes `<split>-seeds.json` and `.md`, and the ensemble's files into `ensemble/`."""
        folder = Path(folder)
        stem = f"{self.results[0].split}-seeds"
        write_json(folder / f"{stem}.json", without_nan(self.to_dict()))
        with replacing_file(folder / f"{stem}.md") as temporary:
            temporary.write_text(self.to_markdown())
        self.ensemble.write(folder / ENSEMBLE_FOLDER)


def summarize_seeds(results: Sequence[Results], names: Sequence[str] | None = None) -> SeedSummary:
    """Brings the results of several seeds together.

    Args:
        results: one a seed, of the same clips; their order may differ.
        names: what each is called; its seed by default.

    Raises:
        ValueError: there are none, names are missing, or the clips, labels, groups or
            classes differ.

    Example:

    >>> runs = [
    ...     Results(classes=("hop", "run"), clip_ids=("a", "b"), labels=[0, 1], seed=seed,
    ...             groups=["a", "b"], probabilities=[[0.9, 0.1], [p, 1 - p]])
    ...     for seed, p in enumerate((0.2, 0.6))
    ... ]
    >>> summary = summarize_seeds(runs)
    >>> summary.spreads["clip_accuracy"].mean, summary.ensemble.scores["clip_accuracy"]
    (0.75, 1.0)
    """
    if not results:
        raise ValueError("`results` must hold at least one seed's. Received: none.")
    if names is None:
        seeds = [result.seed for result in results]
        numbers = seeds if len(set(seeds)) == len(seeds) else range(1, len(seeds) + 1)
        names = [f"{'seed' if numbers is seeds else 'run'} {number}" for number in numbers]
    if len(names) != len(results):
        raise ValueError(
            f"`names` must hold a name for each of {len(results)} results. Received: {len(names)}."
        )
    return SeedSummary(tuple(align(result, results[0]) for result in results), tuple(names))


def ensemble(results: Sequence[Results]) -> Results:
    """The mean of the probabilities of several results, in the order of the first one's clips.

    Raises:
        ValueError: they are not of the same clips.
    """
    first = results[0]
    rows = np.mean([align(result, first).probabilities for result in results], axis=0)
    frames = first.frames if len(results) == 1 else None
    return dataclasses.replace(first, probabilities=rows, frames=frames)


def _spread(values: list[float]) -> Spread:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Spread(float(np.mean(values)), deviation, min(values), max(values), tuple(values))
