"""The input convolution of attended features, with all heavy products before the loop.

A map of weights l commutes with a product over channels, so with the taps d of
the kernel W

    (l · F) ∗ W at position p  =  Σ_d  l(p + d) · (F(p + d) W_d)

and no F(q) W_d depends on the recurrence. `tap_products` computes them for all
frames at once; `sum_of_taps` is what is left for each step: scale and add. Taps
that fall outside the map are never computed (361 of 441 pairs on 7x7, 3x3).
"""

import dataclasses
import functools

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class TapPlan:
    """Which position meets which tap, for one size of map and kernel.

    A pair is a position q of the input with a tap d whose output position lies
    on the map. Positions that have the same taps form a group, so that each
    group is one matrix product.

    Attributes:
        groups: for each group its positions and its taps, as flat indices.
        source: (pairs,) the input position of each pair, group after group.
        is_target: (positions, pairs) float32, 1 where a pair adds to an output position.
    """

    groups: tuple[tuple[np.ndarray, np.ndarray], ...]
    source: np.ndarray
    is_target: np.ndarray

    @property
    def num_pairs(self):
        """Number of pairs."""
        return len(self.source)


@functools.cache
def tap_plan(height, width, kernel_size):
    """Plans the convolution of a map of this size with an odd kernel and zero padding.

    Example:

    >>> tap_plan(7, 7, (3, 3)).num_pairs
    361
    """
    rows, columns = kernel_size
    positions_of_taps: dict = {}
    target_of = {}
    for y in range(height):
        for x in range(width):
            taps = []
            for dy in range(rows):
                for dx in range(columns):
                    # Output p meets input q = p + d with d from -(k // 2) on.
                    py, px = y - (dy - rows // 2), x - (dx - columns // 2)
                    if 0 <= py < height and 0 <= px < width:
                        taps.append(dy * columns + dx)
                        target_of[y * width + x, taps[-1]] = py * width + px
            positions_of_taps.setdefault(tuple(taps), []).append(y * width + x)
    pairs = [
        (position, tap)
        for taps, positions in positions_of_taps.items()
        for position in positions
        for tap in taps
    ]
    is_target = np.zeros((height * width, len(pairs)), "float32")
    is_target[[target_of[pair] for pair in pairs], np.arange(len(pairs))] = 1
    return TapPlan(
        groups=tuple(
            (np.array(positions, "int32"), np.array(taps, "int32"))
            for taps, positions in positions_of_taps.items()
        ),
        source=np.array([position for position, _ in pairs], "int32"),
        is_target=is_target,
    )


def tap_products(features, kernel, plan):
    """F(q) W_d for all frames and all pairs of the plan.

    Args:
        features: `(frames, height, width, channels)`.
        kernel: `(rows, columns, channels, filters)`.
        plan: the plan for this map and kernel.

    Returns:
        `(frames, pairs, filters)`.
    """
    channels, filters = kernel.shape[-2:]
    # (rows, columns, channels, filters) -> (channels, taps, filters)
    taps_of_kernel = ops.transpose(ops.reshape(kernel, (-1, channels, filters)), (1, 0, 2))
    _, height, width, _ = features.shape
    # (frames, height, width, channels) -> (frames, positions, channels)
    flat = ops.reshape(features, (-1, height * width, channels))
    products = []
    for positions, taps in plan.groups:
        of_group = ops.take(flat, positions, axis=1)
        kernel_of_group = ops.reshape(ops.take(taps_of_kernel, taps, axis=1), (channels, -1))
        product = ops.matmul(ops.reshape(of_group, (-1, channels)), kernel_of_group)
        products.append(ops.reshape(product, (-1, len(positions) * len(taps), filters)))
    return ops.concatenate(products, axis=1)


def sum_of_taps(products, attention, plan):
    """(l · F) ∗ W from the products of its taps.

    Args:
        products: `(batch, pairs, filters)` of one step.
        attention: `(batch, height, width)`, l of this step.
        plan: the plan that the products were made with.

    Returns:
        `(batch, height, width, filters)`.
    """
    _, height, width = attention.shape
    weights = ops.take(ops.reshape(attention, (-1, height * width)), plan.source, axis=1)
    # One matrix for each clip, with l(q) where the pair (q, d) adds to p.
    summing = ops.cast(plan.is_target, weights.dtype) * ops.expand_dims(weights, 1)
    return ops.reshape(ops.matmul(summing, products), (-1, height, width, products.shape[-1]))
