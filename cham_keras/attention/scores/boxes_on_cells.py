"""How much of each cell of an attention map lies inside boxes.

Comes in: boxes in shares of a frame, and the grid of a map. Goes out: an array of the map's
shape. `score_attention` calls it once a frame.
"""

from collections.abc import Sequence

import numpy as np

from cham_keras.data import FeatureGrid


def covered_shares(
    boxes: np.ndarray | Sequence[Sequence[float]], grid: FeatureGrid, height: int, width: int
) -> np.ndarray:
    """The share of each cell's area that lies inside at least one box.

    A cell reaches half a step around its middle; the outermost ones reach to the frame's
    border, so that the cells together are the frame.

    Args:
        boxes: `(boxes, 4)`: left, top, right, bottom, in shares of the frame's width and
            height. What lies outside the frame counts nothing.
        grid: where the cells lie.
        height: number of cells from top to bottom.
        width: number of cells from left to right.

    Returns:
        `(height, width)` float64 from 0 to 1; 0 for a cell that lies outside the frame.

    Example:
    >>> covered_shares([[0.0, 0.0, 0.75, 0.5]], FeatureGrid.even(2, 2), 2, 2).tolist()
    [[1.0, 0.5], [0.0, 0.0]]
    """
    rows = _edges(grid.first[0], grid.step[0], height)
    columns = _edges(grid.first[1], grid.step[1], width)
    left, top, right, bottom = np.clip(np.reshape(boxes, (-1, 4)).astype(float), 0, 1).T
    # Every edge of a box or a cell; between two neighbours all is inside or all is outside.
    all_rows = np.unique(np.concatenate([rows, top, bottom]))
    all_columns = np.unique(np.concatenate([columns, left, right]))
    middle_rows = (all_rows[1:] + all_rows[:-1]) / 2
    middle_columns = (all_columns[1:] + all_columns[:-1]) / 2
    in_rows = (middle_rows > top[:, None]) & (middle_rows < bottom[:, None])  # (boxes, pieces)
    in_columns = (middle_columns > left[:, None]) & (middle_columns < right[:, None])
    inside = (in_rows[:, :, None] & in_columns[:, None, :]).any(axis=0)
    areas = inside * np.outer(np.diff(all_rows), np.diff(all_columns))
    of_row = np.searchsorted(rows, middle_rows, side="right") - 1
    of_column = np.searchsorted(columns, middle_columns, side="right") - 1
    covered = np.zeros((height, width))
    np.add.at(covered, (of_row[:, None], of_column[None, :]), areas)
    whole = np.outer(np.diff(rows), np.diff(columns))
    return np.divide(covered, whole, out=np.zeros_like(covered), where=whole > 0)


def cell_middles(grid: FeatureGrid, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The middles of the cells in shares of the frame: `(height,)` down and `(width,)` right."""
    return (
        grid.first[0] + grid.step[0] * np.arange(height),
        grid.first[1] + grid.step[1] * np.arange(width),
    )


def _edges(first: float, step: float, cells: int) -> np.ndarray:
    """The borders of the cells along one axis, `(cells + 1,)`, from 0 to 1."""
    between = np.clip(first + step * (np.arange(1, cells) - 0.5), 0, 1)
    return np.concatenate([[0.0], between, [1.0]])
