"""The confusion matrix with the clips behind each of its cells.

Comes in: results. Goes out: rows of cells, and the clips as plain values that the page's
script lists. `write_report` calls it.
"""

import dataclasses
from typing import Any

import numpy as np

from cham_keras.evaluation import Results

#: Steps of the shade of a cell, from none to all of the class's clips.
NUM_SHADES = 10
#: How many of a clip's classes are listed, the most probable ones, and its own.
_LISTED_CLASSES = 3
#: Of more classes the cells are made small.
MOST_CLASSES_IN_LARGE_CELLS = 16


@dataclasses.dataclass(frozen=True)
class Cell:
    """Clips of one class that are taken for one class.

    Attributes:
        count: how many.
        shade: their share of the class's clips, from 0 to `NUM_SHADES`; above 0 where
            there are any.
        is_right: whether the two are the same.
    """

    count: int
    shade: int
    is_right: bool


@dataclasses.dataclass(frozen=True)
class Confusion:
    """The matrix of the page.

    Attributes:
        classes: names of the classes.
        rows: a row a class, a cell a class that its clips are taken for.
        is_compact: whether the cells are small.
        most_frequent_error: the off-diagonal cell with the most clips, in words.
    """

    classes: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    is_compact: bool
    most_frequent_error: str


def confusion_of(results: Results) -> Confusion:
    """The matrix of some results."""
    counts = results.confusion
    rows = tuple(
        tuple(
            Cell(int(count), _shade(count, of_class.sum()), row == column)
            for column, count in enumerate(of_class)
        )
        for row, of_class in enumerate(counts)
    )
    return Confusion(
        results.classes,
        rows,
        is_compact=len(results.classes) > MOST_CLASSES_IN_LARGE_CELLS,
        most_frequent_error=_most_frequent_error(results),
    )


def clips_of_cells(results: Results) -> dict[str, Any]:
    """All clips as plain values: class names, and `[id, label, predicted, [[class, p], …]]`.

    Example:

    >>> results = Results(classes=("hop", "run"), clip_ids=["a.mp4"], labels=[0], groups=["a"],
    ...                   probabilities=[[0.25, 0.75]])
    >>> clips_of_cells(results)["clips"]
    [['a.mp4', 0, 1, [[1, 0.75], [0, 0.25]]]]
    """
    clips = []
    for index, clip in enumerate(results.clip_ids):
        of_clip = results.probabilities[index]
        label = int(results.labels[index])
        listed = np.argsort(-of_clip, kind="stable")[:_LISTED_CLASSES].tolist()
        if label not in listed:
            listed.append(label)
        scores = [[name, round(float(of_clip[name]), 4)] for name in listed]
        clips.append([clip, label, int(results.predicted[index]), scores])
    return {"classes": list(results.classes), "clips": clips}


def _shade(count: int, of_class: int) -> int:
    if not count:
        return 0
    return max(1, round(NUM_SHADES * int(count) / int(of_class)))


def _most_frequent_error(results: Results) -> str:
    wrong = results.confusion.copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return "Every clip is recognised."
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    label, predicted = results.classes[row], results.classes[column]
    of_class = int(results.confusion[row].sum())
    return (
        f"Most frequent error: {label}, taken for {predicted} in {wrong[row, column]} of "
        f"{of_class} clips."
    )
