"""Average precision of each class, with the paper's where it prints one.

Comes in: results and the model's name. Goes out: a row a class. `write_report` calls it.
"""

import dataclasses
import math
import warnings

import numpy as np

from cham_keras.evaluation import Results
from cham_keras.evaluation.bootstrap import LEVEL, draw_groups, drawn_class_average_precisions
from cham_keras.reproduce.paper_tables import PaperTable, paper_table_of_classes


@dataclasses.dataclass(frozen=True)
class ClassRow:
    """A class.

    Attributes:
        name: of the class.
        clips: how many clips it has.
        accuracy: share of them that are recognised; nan without clips.
        average_precision: nan without clips.
        interval: of the average precision; None where there is none.
        paper: the paper's average precision, as a share; None where it prints none.
    """

    name: str
    clips: int
    accuracy: float
    average_precision: float
    interval: tuple[float, float] | None
    paper: float | None


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """All classes.

    Attributes:
        rows: a class each.
        paper: the paper's table that holds these classes and this model; None for others.
        paper_mean: the mean that it prints for the model, as a share.
    """

    rows: tuple[ClassRow, ...]
    paper: PaperTable | None
    paper_mean: float | None


def class_table(results: Results, model_name: str) -> ClassTable:
    """The table of some results.

    Args:
        results: of a model.
        model_name: its name in the settings, by which the paper's numbers are found.
    """
    paper = paper_table_of_classes(results.classes)
    if paper is not None and model_name not in paper.percent_of_class:
        paper = None
    printed = {} if paper is None else paper.percent_of_class[model_name]
    intervals = _intervals(results)
    rows = [
        ClassRow(
            name=name,
            clips=int(row["clips"]),
            accuracy=row["accuracy"],
            average_precision=row["average_precision"],
            interval=intervals[index],
            paper=printed[name] / 100 if name in printed else None,
        )
        for index, (name, row) in enumerate(results.per_class.items())
    ]
    mean = None if paper is None else paper.percent[model_name] / 100
    return ClassTable(tuple(rows), paper, mean)


def _intervals(results: Results) -> list[tuple[float, float] | None]:
    """95 % intervals over the draws that have clips of the class."""
    if results.num_groups < 2:
        return [None] * len(results.classes)
    draws = draw_groups(results.groups, results.seed)
    drawn = drawn_class_average_precisions(results.labels, results.probabilities, draws)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a class without clips
        ends = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [None if math.isnan(lower) else (float(lower), float(upper)) for lower, upper in ends.T]
