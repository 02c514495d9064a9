"""Convolutions of maps, with zero padding and stride 1, written as matrix products.

Inside a loop over time a convolution is small, and a product of gathered
neighbours with a matrix is as fast as a convolution on a CPU and much faster
where XLA compiles it. Maps are flattened here: `(frames, positions, channels)`
with the positions row by row.
"""

import dataclasses
import functools

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class MapPlan:
    """Which position meets which tap, for one size of map and kernel.

    Output position p meets input position p + d at tap d; a pair is an output
    position with a tap that lies on the map.

    Attributes:
        height, width: of the map.
        kernel_size: (rows, columns), both odd.
        neighbours: int32 (positions * taps), for each output position the input
            position of each tap; `positions` itself where that is outside.
        outputs: int32 (positions * taps), for each input position and tap the
            row of `neighbours` that holds it; `positions * taps` where none does.
        pairs: int32 (positions * taps), for each output position and tap the number
            of the pair, counted tap after tap as `windows` gives them; 0 where
            there is none.
        num_pairs: number of pairs.
    """

    height: int
    width: int
    kernel_size: tuple[int, int]
    neighbours: np.ndarray
    outputs: np.ndarray
    pairs: np.ndarray
    num_pairs: int

    @property
    def num_positions(self):
        """Number of positions of the map."""
        return self.height * self.width

    @property
    def num_taps(self):
        """Number of taps of the kernel, on and off the map."""
        return self.kernel_size[0] * self.kernel_size[1]

    def windows(self):
        """For each tap, where it lies on the map: `(input slices, output slices)`.

        Each is a pair of slices, of rows and of columns.
        """
        rows, columns = self.kernel_size
        for dy in range(-(rows // 2), rows // 2 + 1):
            for dx in range(-(columns // 2), columns // 2 + 1):
                yield (
                    (_slice(dy, self.height), _slice(dx, self.width)),
                    (_slice(-dy, self.height), _slice(-dx, self.width)),
                )


def _slice(shift, size):
    """The inputs p + shift of the positions p whose p + shift lies on the map."""
    return slice(min(max(shift, 0), size), max(min(size + shift, size), 0))


@functools.cache
def map_plan(height, width, kernel_size):
    """Plans the convolution of a map of this size with an odd kernel and zero padding.

    Example:

    >>> map_plan(7, 7, (3, 3)).num_pairs
    361
    """
    num_positions, num_taps = height * width, kernel_size[0] * kernel_size[1]
    neighbours = np.full((num_positions, num_taps), num_positions, "int32")
    outputs = np.full((num_positions, num_taps), num_positions * num_taps, "int32")
    pairs = np.zeros((num_positions, num_taps), "int32")
    num_pairs = 0
    positions = np.arange(num_positions).reshape(height, width)
    plan = MapPlan(height, width, kernel_size, neighbours, outputs, pairs, num_pairs)
    for tap, (inputs_at, outputs_at) in enumerate(plan.windows()):
        q, p = positions[inputs_at].ravel(), positions[outputs_at].ravel()
        neighbours[p, tap] = q
        outputs[q, tap] = p * num_taps + tap
        pairs[p, tap] = num_pairs + np.arange(len(p))
        num_pairs += len(p)
    return MapPlan(
        height,
        width,
        kernel_size,
        neighbours=neighbours.ravel(),
        outputs=outputs.ravel(),
        pairs=pairs.ravel(),
        num_pairs=num_pairs,
    )


def as_matrix(kernel):
    """`(rows, columns, channels, filters)` -> `(taps * channels, filters)`."""
    return ops.reshape(kernel, (-1, kernel.shape[-1]))


def as_transposed_matrix(kernel):
    """`(rows, columns, channels, filters)` -> `(filters, taps * channels)`."""
    return ops.transpose(as_matrix(kernel))


def convolve_by_product(x, matrix, plan):
    """Convolves x from the neighbours of every position.

    Args:
        x: `(frames, positions, channels)`.
        matrix: `(taps * channels, filters)`, from `as_matrix`.
        plan: the plan for this map and kernel.

    Returns:
        `(frames, positions, filters)`.
    """
    channels = x.shape[-1]
    if plan.num_taps > 1:
        outside = ops.pad(x, ((0, 0), (0, 1), (0, 0)))
        x = ops.take(outside, plan.neighbours, axis=1)
    rows = ops.reshape(x, (-1, plan.num_taps * channels))
    return ops.reshape(ops.matmul(rows, matrix), (-1, plan.num_positions, matrix.shape[-1]))


def convolve_back(dz, transposed_matrix, plan):
    """The gradient of `convolve_by_product` with respect to x.

    Args:
        dz: `(frames, positions, filters)`, gradient of the outputs.
        transposed_matrix: `(filters, taps * channels)`, from `as_transposed_matrix`.
        plan: the plan for this map and kernel.

    Returns:
        `(frames, positions, channels)`.
    """
    channels = transposed_matrix.shape[-1] // plan.num_taps
    rows = ops.matmul(ops.reshape(dz, (-1, dz.shape[-1])), transposed_matrix)
    if plan.num_taps == 1:
        return ops.reshape(rows, (-1, plan.num_positions, channels))
    rows = ops.reshape(rows, (-1, plan.num_positions * plan.num_taps, channels))
    rows = ops.take(ops.pad(rows, ((0, 0), (0, 1), (0, 0))), plan.outputs, axis=1)
    return ops.sum(ops.reshape(rows, (-1, plan.num_positions, plan.num_taps, channels)), axis=2)


def convolve_back_tap_by_tap(dz, kernel, plan):
    """`convolve_back` of many frames: adds up tap by tap and so takes little memory.

    Args:
        dz: `(frames, positions, filters)`, gradient of the outputs.
        kernel: `(rows, columns, channels, filters)`.
        plan: the plan for this map and kernel.

    Returns:
        `(frames, positions, channels)`.
    """
    channels, filters = kernel.shape[-2:]
    taps = ops.reshape(kernel, (-1, channels, filters))
    maps = ops.reshape(dz, (-1, plan.height, plan.width, filters))
    total = None
    for tap, (inputs_at, outputs_at) in enumerate(plan.windows()):
        window = maps[:, outputs_at[0], outputs_at[1], :]
        _, rows, columns, _ = window.shape
        if 0 in (rows, columns):  # a kernel larger than the map
            continue
        product = ops.matmul(ops.reshape(window, (-1, filters)), ops.transpose(taps[tap]))
        product = ops.pad(
            ops.reshape(product, (-1, rows, columns, channels)),
            (
                (0, 0),
                (inputs_at[0].start, plan.height - inputs_at[0].stop),
                (inputs_at[1].start, plan.width - inputs_at[1].stop),
                (0, 0),
            ),
        )
        total = product if total is None else total + product
    return ops.reshape(total, (-1, plan.num_positions, channels))
