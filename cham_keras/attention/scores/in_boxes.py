"""Whether a model looks at what acts: the pointing game, and the attention inside boxes.

Comes in: attention maps and how much of each cell lies in boxes. Goes out: a number a step.
`score_attention` calls it.

The pointing game is that of Zhang et al. (Top-down Neural Attention by Excitation Backprop,
ECCV 2016): a map hits where its largest weight lies in a box, with a tolerance of 15 pixels in
about 224. Here a cell hits where it meets a box at all, which is a tolerance of half a cell:
16 pixels in the 224 of a 7 x 7 map.
"""

import numpy as np


def pointing_hits(maps: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Whether the most attended cell of each map meets a box.

    Args:
        maps: `(steps, height, width)`.
        covered: `(steps, height, width)`, the share of each cell that lies in boxes.

    Returns:
        `(steps,)` float64, 1 for a hit. Where several cells share the largest weight, the
        share of them that hit: what one of them, drawn by chance, would give.

    Example:
    >>> covered = np.array([[[0.0, 0.2, 1.0]]])
    >>> [pointing_hits(np.array([[m]]), covered).item() for m in ([1, 0, 0], [0, 1, 0], [1, 1, 0])]
    [0.0, 1.0, 0.5]
    """
    largest = maps == maps.max(axis=(1, 2), keepdims=True)
    return (largest & (covered > 0)).sum(axis=(1, 2)) / largest.sum(axis=(1, 2))


def attention_in_boxes(maps: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """The share of each map's attention that lies inside boxes.

    Args:
        maps: `(steps, height, width)`, each of sum 1.
        covered: `(steps, height, width)`, the share of each cell that lies in boxes.

    Returns:
        `(steps,)`.

    Example:
    >>> attention_in_boxes(np.array([[[0.2, 0.8]]]), np.array([[[1.0, 0.5]]])).round(3).tolist()
    [0.6]
    """
    return (maps * covered).sum(axis=(1, 2))


def centre_map(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A map that looks at the middle of the frame, whatever is shown there.

    People put what matters in the middle, so a map must beat this one. A normal distribution
    with a standard deviation of a quarter of the frame.

    Args:
        rows: `(height,)`, the middles of the cells in shares of the frame's height.
        columns: `(width,)`, in shares of its width.

    Returns:
        `(height, width)`, of sum 1.
    """
    weights = np.outer(np.exp(-8 * (rows - 0.5) ** 2), np.exp(-8 * (columns - 0.5) ** 2))
    return weights / weights.sum()
