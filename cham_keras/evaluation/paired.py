"""Two methods on the same clips: which is better, by how much, and how sure that is.

Comes in: `Results` of both, one seed or several. Goes out: differences with intervals,
and a sentence. `cham paired` calls it.

The bootstrap draws groups of clips, the same ones for both methods, so that what makes a
clip hard for both does not count as doubt. Where a method has several seeds, each draw
also draws as many of its seeds with replacement, for either method on its own, and takes
the mean of their scores: the interval then holds for the method, not for these runs of
it. With a handful of seeds this spread is somewhat too small, by a factor of about
sqrt((n - 1) / n).
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cham_keras.evaluation.bootstrap import NUM_DRAWS, draw_groups, interval
from cham_keras.evaluation.folds import align, pool_runs
from cham_keras.evaluation.report import SCORE_TITLES, number
from cham_keras.evaluation.results import Results
from cham_keras.evaluation.results_files import read_results, without_nan
from cham_keras.evaluation.seeds import ensemble
from cham_keras.files import replacing_file, write_json


@dataclasses.dataclass(frozen=True)
class ScoreDifference:
    """One score of two methods.

    Attributes:
        a: score of the first, the mean over its seeds.
        b: score of the second.
        difference: a - b.
        interval: 95 % interval of the difference; nan where all clips are of one group.
        probability_a_better: share of the draws in which a is above b, of equal ones half.
    """

    a: float
    b: float
    difference: float
    interval: tuple[float, float]
    probability_a_better: float


@dataclasses.dataclass(frozen=True)
class PairedComparison:
    """Two methods on the same clips.

    Attributes:
        names: what they are called.
        split: name of the split.
        clips: number of clips.
        groups: number of groups.
        seeds: number of seeds of each.
        scores: differences of clip accuracy, mean class accuracy, mean average precision and,
            where all runs have counted each clip's frames, frame accuracy.
        only_a: clips that only the first gets right.
        only_b: clips that only the second gets right.
        mcnemar_p: p of McNemar's exact test, two-sided: of two methods equally good, how
            many pairs would differ as much. It takes clips for independent, which clips
            of one group are not. Of several seeds it tests the ensembles, as do `only_a`
            and `only_b`.
    """

    names: tuple[str, str]
    split: str
    clips: int
    groups: int
    seeds: tuple[int, int]
    scores: dict[str, ScoreDifference]
    only_a: int
    only_b: int
    mcnemar_p: float

    def sentence(self) -> str:
        """Who beats whom in clip accuracy, by how much, and how sure that is."""
        found = self.scores["clip_accuracy"]
        # Means over seeds that are equal may differ in their last bits.
        points = round(100 * found.difference, 9)
        lower, upper = (100 * end for end in found.interval)
        first, second, sure = *self.names, found.probability_a_better
        if points < 0:
            first, second, sure = second, first, 1 - sure
            points, lower, upper = -points, -upper, -lower
        if math.isnan(lower):
            spread = "no interval, since all clips are of one group"
        else:
            # The sum takes the sign off a rounded zero.
            ends = f"{round(lower, 1) + 0.0:.1f} to {round(upper, 1) + 0.0:.1f}"
            spread = f"95 % interval {ends}, P = {sure:.2f}"
        ensembles = " of the ensembles" if max(self.seeds) > 1 else ""
        doubt = f"({spread}, McNemar p{ensembles} = {self.mcnemar_p:.2g})"
        if points == 0:
            return f"{first} and {second} are level {doubt}"
        if lower > 0:
            return f"{first} beats {second} by {points:.1f} points {doubt}"
        # Without an interval (nan) nothing is shown either.
        return f"{first} is ahead of {second} by {points:.1f} points, not beyond chance {doubt}"

    def to_dict(self) -> dict[str, Any]:
        """The attributes and the sentence as plain values."""
        return {**dataclasses.asdict(self), "sentence": self.sentence()}

    def to_markdown(self) -> str:
        """The table of differences, the clips that only one gets right, and the sentence."""
        first, second = self.names
        lines = [
            f"# {first} against {second}, split {self.split}: "
            f"{self.clips} clips in {self.groups} groups",
            "",
            f"| score | {first} | {second} | difference | 95 % interval | P({first} better) |",
            "|---|---|---|---|---|---|",
        ]
        for name, found in self.scores.items():
            lower, upper = (number(end) for end in found.interval)
            lines.append(
                f"| {SCORE_TITLES[name]} | {found.a:.3f} | {found.b:.3f} | {found.difference:+.3f} "
                f"| {lower} to {upper} | {number(found.probability_a_better)} |"
            )
        of = ""
        if max(self.seeds) > 1:
            of = f", by the ensembles of {self.seeds[0]} and {self.seeds[1]} runs"
        lines += [
            "",
            f"Clips that {first} alone gets right{of}: {self.only_a}; "
            f"that {second} alone gets right: {self.only_b}. "
            f"McNemar's exact test, which takes clips for independent: p = {self.mcnemar_p:.2g}.",
            "",
            f"{self.sentence()}.",
        ]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        """Writes `<split>-paired.json` and `.md`."""
        folder, stem = Path(folder), f"{self.split}-paired"
        write_json(folder / f"{stem}.json", without_nan(self.to_dict()))
        with replacing_file(folder / f"{stem}.md") as temporary:
            temporary.write_text(self.to_markdown())


def compare_paired(
    a: Results | Sequence[Results],
    b: Results | Sequence[Results],
    names: tuple[str, str] = ("A", "B"),
    seed: int = 0,
    draws: int = NUM_DRAWS,
) -> PairedComparison:
    """Compares two methods on the same clips.

    Args:
        a: results of the first, one or one a seed; the order of clips may differ.
        b: results of the second.
        names: what they are called.
        seed: seed of the draws.
        draws: number of draws.

    Returns:
        the comparison; the same arguments give the same one.

    Raises:
        ValueError: clips, labels, groups or classes differ, or there are none.

    Example:

    >>> def results(*of_first_class):
    ...     clips = [f"{clip}.mp4" for clip in range(4)]
    ...     return Results(classes=("hop", "run"), clip_ids=clips, labels=[0, 0, 0, 1],
    ...                    groups=clips, probabilities=[[p, 1 - p] for p in of_first_class])
    >>> found = compare_paired(results(0.9, 0.8, 0.7, 0.1), results(0.9, 0.2, 0.4, 0.2))
    >>> found.only_a, found.only_b, found.mcnemar_p
    (2, 0, 0.5)
    """
    sides = [[side] if isinstance(side, Results) else list(side) for side in (a, b)]
    if not all(sides):
        raise ValueError("Both sides must have at least one result. Received: none on one side.")
    reference = sides[0][0]
    first, second = ([align(result, reference) for result in side] for side in sides)
    hits = [ensemble(side).predicted == reference.labels for side in (first, second)]
    only_a, only_b = int((hits[0] & ~hits[1]).sum()), int((hits[1] & ~hits[0]).sum())
    return PairedComparison(
        names=names,
        split=reference.split,
        clips=len(reference.clip_ids),
        groups=reference.num_groups,
        seeds=(len(first), len(second)),
        scores=_differences(first, second, seed, draws),
        only_a=only_a,
        only_b=only_b,
        mcnemar_p=mcnemar_p(only_a, only_b),
    )


def compare_folders(
    a: Sequence[Path], b: Sequence[Path], split: str = "test", names: tuple[str, str] = ("A", "B")
) -> PairedComparison:
    """Compares evaluated runs by their folders.

    Runs of one side on the same clips are its seeds, runs on other clips its folds, which
    are pooled.

    Args:
        a: folders with results of the first method, as `read_results` takes them.
        b: folders of the second.
        split: name of the split.
        names: what the methods are called.

    Raises:
        FileNotFoundError: a run has not been evaluated.
        ValueError: as `compare_paired` and `pool_runs`.
    """
    first, second = (pool_runs([read_results(folder, split) for folder in side]) for side in (a, b))
    return compare_paired(first, second, names=names)


def mcnemar_p(only_a: int, only_b: int) -> float:
    """McNemar's exact test: two-sided p of a fair coin for the clips that one alone gets right.

    Args:
        only_a: clips that the first alone gets right.
        only_b: clips that the second alone gets right.

    Example:

    >>> mcnemar_p(1, 5)
    0.21875
    """
    tosses = only_a + only_b
    tail = sum(math.comb(tosses, heads) for heads in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**tosses)


def _differences(
    first: Sequence[Results], second: Sequence[Results], seed: int, draws: int
) -> dict[str, ScoreDifference]:
    reference = first[0]
    groups = draw_groups(reference.groups, seed, draws)
    rng = np.random.default_rng((seed, 1))  # apart from that of the groups
    weights = [_seed_weights(len(side), draws, rng) for side in (first, second)]
    found = {}
    for name in reference.names_of_drawn_scores:
        if not all(name in result.names_of_drawn_scores for result in (*first, *second)):
            continue  # one of them scores whole clips
        a, b = (
            float(np.mean([result.point_scores[name] for result in side]))
            for side in (first, second)
        )
        of_a, of_b = (
            sum(
                weight[:, index] * result.drawn_score(name, groups)
                for index, result in enumerate(side)
            )
            for side, weight in zip((first, second), weights, strict=True)
        )
        differences = of_a - of_b
        # Sums in another order differ in their last bits.
        better, equal = differences > 1e-12, np.abs(differences) <= 1e-12
        spread, sure = interval(differences), float(np.mean(better + equal / 2))
        if reference.num_groups < 2:
            spread, sure = (math.nan, math.nan), math.nan
        found[name] = ScoreDifference(a, b, a - b, spread, sure)
    return found


def _seed_weights(seeds: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """What each seed counts in each draw, `(draws, seeds)`; a row sums to 1."""
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
