"""Means and differences over seeds, with intervals that hold for other seeds.

Comes in: outcomes as `experiment.outcomes` gives them. Goes out: a mean for each method and
set, and the paired differences of `QUESTIONS`. `report` writes them down.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cham_keras.demo.controlled.plans import CONTROLLED_SETS

#: What is asked of each set: one method, another, and in what they differ. Fixed before
#: the runs that docs/results shows; whoever adds one after seeing them says so there.
QUESTIONS = (
    ("fc_attention", "average_pooled_lstm", "attention, in an LSTM of vectors"),
    ("conv_attention", "fc_attention", "maps in place of vectors, both with attention"),
    ("cham_skip_1", "conv_attention", "a second layer that does not skip"),
    ("cham_skip_2", "cham_skip_1", "skipping every 2 steps"),
    ("cham_skip_3", "cham_skip_1", "skipping every 3 steps"),
    ("cham_skip_2", "conv_attention", "CHAM against Conv-Attention, the same frames"),
    ("cham_skip_2", "conv_attention_half", "the same, as the paper has it: twice the frames"),
)

#: 97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom.
_T_QUANTILES = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093),
)


@dataclass(frozen=True)
class SeedMean:
    """A figure over the seeds.

    Attributes:
        mean: its mean.
        standard_deviation: over the seeds, with n - 1; nan for one seed.
        half_width: mean ± this is the 95 % interval by Student's t; nan for one seed.
        seeds: number of seeds.
    """

    mean: float
    standard_deviation: float
    half_width: float
    seeds: int


@dataclass(frozen=True)
class Difference:
    """Two methods on the same clips, seed by seed.

    Attributes:
        set: the set.
        first: a method.
        second: the one that it is compared with.
        about: in what they differ.
        difference: of the set's score, first less second.
        better: number of seeds in which the first is better.
        worse: number of seeds in which it is worse.
    """

    set: str
    first: str
    second: str
    about: str
    difference: SeedMean
    better: int
    worse: int

    @property
    def verdict(self) -> str:
        """What the interval says."""
        found = self.difference
        if math.isnan(found.half_width):
            return "one seed says nothing"
        if found.mean > found.half_width:
            return "better"
        if found.mean < -found.half_width:
            return "worse"
        return "no difference shown"


def mean_over_seeds(values: Sequence[float]) -> SeedMean:
    """Mean, deviation and interval of a figure that each seed gives once.

    Args:
        values: one a seed, 1 to 20 of them.

    Raises:
        ValueError: there are none or more than 20.

    Example:
    >>> found = mean_over_seeds([0.5, 0.7])
    >>> round(found.mean, 3), round(found.half_width, 3)
    (0.6, 1.271)
    """
    if not 1 <= len(values) <= len(_T_QUANTILES) + 1:
        raise ValueError(
            f"`values` must be 1 to {len(_T_QUANTILES) + 1} numbers. Received: {len(values)}."
        )
    if len(values) == 1:
        return SeedMean(float(values[0]), math.nan, math.nan, 1)
    deviation = float(np.std(values, ddof=1))
    quantile = _T_QUANTILES[len(values) - 2]
    half_width = quantile * deviation / math.sqrt(len(values))
    return SeedMean(float(np.mean(values)), deviation, half_width, len(values))


def means(outcomes: Sequence[dict[str, Any]], figure: str) -> dict[tuple[str, str], SeedMean]:
    """The mean of a figure for each set and method that has it."""
    values: dict[tuple[str, str], list[float]] = {}
    for one in outcomes:
        if one[figure] is not None:
            values.setdefault((one["set"], one["method"]), []).append(one[figure])
    return {key: mean_over_seeds(of_seeds) for key, of_seeds in values.items()}


def differences(outcomes: Sequence[dict[str, Any]]) -> list[Difference]:
    """The answers to `QUESTIONS` in each set, over the seeds that both methods have."""
    score_of = {
        (one["set"], one["method"], one["seed"]): one[CONTROLLED_SETS[one["set"]].score]
        for one in outcomes
    }
    found = []
    for name in CONTROLLED_SETS:
        for first, second, about in QUESTIONS:
            pairs = [
                (score, score_of[name, second, seed])
                for (of_set, method, seed), score in score_of.items()
                if (of_set, method) == (name, first) and (name, second, seed) in score_of
            ]
            if not pairs:
                continue
            apart = [one - other for one, other in pairs]
            better, worse = sum(x > 0 for x in apart), sum(x < 0 for x in apart)
            mean = mean_over_seeds(apart)
            found.append(Difference(name, first, second, about, mean, better, worse))
    return found
