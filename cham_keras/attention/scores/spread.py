"""How widely attention is spread, and how alike two maps are: arrays in, a number a map out."""

import numpy as np
from scipy.stats import rankdata


def relative_entropy_of_maps(maps: np.ndarray) -> np.ndarray:
    """The entropy of each map, relative to that of uniform attention.

    Args:
        maps: `(..., height, width)`, each of sum 1.

    Returns:
        `(...)`: 1 for uniform attention, 0 where all lies on one cell.

    Example:
    >>> relative_entropy_of_maps(np.array([[[0.25, 0.25, 0.25, 0.25]], [[0, 0, 1, 0]]])).tolist()
    [1.0, 0.0]
    """
    cells = maps.shape[-2] * maps.shape[-1]
    logarithms = np.log(maps, out=np.zeros(maps.shape), where=maps > 0)
    return -(maps * logarithms).sum(axis=(-2, -1)) / np.log(cells) + 0.0


def rank_correlations(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each map with another of the same frame.

    Args:
        maps: `(steps, height, width)`.
        others: of the same shape.

    Returns:
        `(steps,)`: 1 where both put the cells in one order, 0 where the orders have nothing
        in common. A uniform map has no order; its correlation counts as 0.

    Example:
    >>> rank_correlations(np.array([[[1, 2, 3]]]), np.array([[[10, 20, 99]]])).tolist()
    [1.0]
    """
    ranks = [rankdata(of.reshape(len(of), -1), axis=1) for of in (maps, others)]
    one, other = (of - of.mean(axis=1, keepdims=True) for of in ranks)
    sizes = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    products = (one * other).sum(axis=1)
    return np.divide(products, sizes, out=np.zeros(len(maps)), where=sizes > 0)
