"""How each line of an ablation does, and which line each fold would choose without itself.

Comes in: results of runs, each trained without two folds and scored on both. Goes out: figures of
each line, the choice for each fold, and the results of choosing like that. `run_ablation` calls
it.

Runs that lack the folds a and b serve twice: for the outer fold a, their figures on b choose
between lines; for the outer fold b, those on a. So the clips of a fold take no part in the choice
that is made for it, and the models that then score it have not seen them either.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from cham_keras.evaluation import Results, ensemble, pool_folds
from cham_keras.evaluation.bootstrap import draw_groups, interval
from cham_keras.evaluation.scores import SMALLEST_PROBABILITY

#: The two folds that a run is scored on.
Pair = tuple[int, int]
#: Of each line, by pair, the results on both of its folds (seeds averaged already).
ResultsOfLines = Mapping[str, Mapping[Pair, Results]]


@dataclasses.dataclass(frozen=True)
class LineScore:
    """What a line came to over all clips, each scored by the runs that lack its fold.

    Attributes:
        name: of the line.
        accuracy: share of the clips recognised, the mean over the runs.
        log_loss: mean of -log of the probability of the clip's class, in nats.
        change: log loss less that of the first line.
        change_interval: its 95 % interval, by drawing groups of clips; None with one group.
        chosen: number of folds that would choose it.
    """

    name: str
    accuracy: float
    log_loss: float
    change: float
    change_interval: tuple[float, float] | None
    chosen: int


@dataclasses.dataclass(frozen=True, eq=False)
class AblationScores:
    """All lines, and what choosing gives.

    Attributes:
        lines: in the order of the ablation.
        choices: for each fold the line with the least log loss on the other folds.
        chosen: the results where each fold is scored by the line that was chosen for it: the
            mean of the probabilities of its runs.
    """

    lines: tuple[LineScore, ...]
    choices: tuple[str, ...]
    chosen: Results


def score_lines(results: ResultsOfLines, fold_of_clip: Mapping[str, int]) -> AblationScores:
    """Scores lines and chooses between them.

    Args:
        results: by line and pair; every line must have every pair.
        fold_of_clip: the fold of each clip, from 0 on, by id.

    Raises:
        ValueError: two lines were not scored on the same clips.
    """
    folds = range(max(fold_of_clip.values()) + 1)
    losses = {name: _losses(of_pairs, fold_of_clip) for name, of_pairs in results.items()}
    choices = tuple(min(losses, key=lambda name: losses[name].without(fold)) for fold in folds)
    first = next(iter(losses.values()))
    draws = draw_groups(first.groups, seed=0) if len(set(first.groups)) > 1 else None
    lines = []
    for name, found in losses.items():
        if not np.array_equal(found.clips, first.clips):
            raise ValueError(
                f"Every line must be scored on the same clips. Received: {name!r} with others "
                f"than {next(iter(losses))!r}."
            )
        apart = found.loss - first.loss
        lines.append(
            LineScore(
                name=name,
                accuracy=float(found.right.mean()),
                log_loss=float(found.loss.mean()),
                change=float(apart.mean()),
                change_interval=None
                if draws is None
                else interval(draws.totals(apart) / draws.totals(np.ones(len(apart)))),
                chosen=choices.count(name),
            )
        )
    of_folds = [_of_fold(results[name], fold, fold_of_clip) for fold, name in enumerate(choices)]
    return AblationScores(tuple(lines), choices, pool_folds(of_folds))


@dataclasses.dataclass(frozen=True)
class _Losses:
    """Figures of single clips, once for each run that scored them, in one order for all lines."""

    clips: np.ndarray  # (rows,): ids
    outer: np.ndarray  # int (rows,): the other fold that the run lacks
    groups: np.ndarray  # (rows,)
    loss: np.ndarray  # float (rows,)
    right: np.ndarray  # bool (rows,)

    def without(self, fold: int) -> float:
        """Mean loss over the clips of other folds, by runs that lack this one as well."""
        return float(self.loss[self.outer == fold].mean())


def _losses(of_pairs: Mapping[Pair, Results], fold_of_clip: Mapping[str, int]) -> _Losses:
    columns: list[tuple[np.ndarray, ...]] = []
    for (a, b), found in sorted(of_pairs.items()):
        found = _in_order(found)
        inner = np.array([fold_of_clip[clip] for clip in found.clip_ids])
        of_class = found.probabilities[np.arange(len(found.labels)), found.labels]
        columns.append(
            (
                np.array(found.clip_ids),
                np.where(inner == a, b, a),
                found.groups,
                -np.log(np.maximum(of_class, SMALLEST_PROBABILITY)),
                found.probabilities.argmax(axis=1) == found.labels,
            )
        )
    return _Losses(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _of_fold(
    of_pairs: Mapping[Pair, Results], fold: int, fold_of_clip: Mapping[str, int]
) -> Results:
    """A fold's clips, scored by the mean over the runs that lack it."""
    parts = []
    for pair, found in sorted(of_pairs.items()):
        if fold in pair:
            rows = [fold_of_clip[clip] == fold for clip in found.clip_ids]
            parts.append(_rows_of(found, np.flatnonzero(rows)))
    return ensemble(parts)


def _in_order(results: Results) -> Results:
    return _rows_of(results, np.argsort(results.clip_ids))


def _rows_of(results: Results, rows: Sequence[int] | np.ndarray) -> Results:
    return dataclasses.replace(
        results,
        clip_ids=tuple(results.clip_ids[row] for row in rows),
        labels=results.labels[rows],
        groups=results.groups[rows],
        probabilities=results.probabilities[rows],
        frames=None,
    )
