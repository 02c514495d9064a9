"""The gradient of a convolution with respect to its kernel, over all frames at once.

    dW_d = Σ over frames and positions p of  x(p + d)ᵀ dz(p)

Taken tap by tap this costs as many products as the convolution. Along an axis
of the map the three taps are three values of one polynomial product, and four
outputs of it need six products in place of twelve (Toom-Cook; with the roles of
outputs and kernel exchanged it is what Winograd's convolution F(4, 3) does). On
a 7x7 map 144 matrix products take the place of 361. The points are those whose
rounding errors are smallest; in float32 they stay below those of the plain sum.
"""

import dataclasses
import functools
import itertools

import keras
import numpy as np
from keras import ops

#: Where the polynomials are evaluated; the sixth point is infinity.
_POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)
_OUTPUTS_OF_TILE = 4

#: The transforms cost memory traffic: below this gain the plain sum is taken.
_LEAST_GAIN = 1.4


@dataclasses.dataclass(frozen=True)
class _Transforms:
    """Matrices that evaluate a map's values at all points, tile after tile.

    Attributes:
        of_inputs: `(points * tiles, positions)`, for x.
        of_outputs: `(points * tiles, positions)`, for dz.
        of_kernel: `(taps, points)`, from the products at the points to the taps.
    """

    of_inputs: np.ndarray
    of_outputs: np.ndarray
    of_kernel: np.ndarray


def kernel_gradient(x, dz, plan, most_floats=None):
    """Gradient with respect to the kernel of a convolution.

    Args:
        x: `(frames, positions, channels)`, the inputs.
        dz: `(frames, positions, filters)`, the gradient of the outputs.
        plan: `MapPlan` of the map and kernel.
        most_floats: how many numbers the products at the points may take; the
            channels are taken in blocks where all at once would take more.

    Returns:
        `(rows, columns, channels, filters)`.
    """
    channels, filters = x.shape[-1], dz.shape[-1]
    transforms = _transforms(plan.height, plan.width, plan.kernel_size)
    if plan.num_taps == 1:
        of_taps = _sum_of_products(x, dz)
    elif transforms is not None and _is_accurate(x.dtype) and _pays(transforms, plan):
        num_points = transforms.of_kernel.shape[1]
        num_blocks = -(-num_points * channels * filters // most_floats) if most_floats else 1
        of_taps = _at_points(x, dz, transforms, min(num_blocks, channels))
    else:
        of_taps = _tap_by_tap(x, dz, plan)
    return ops.reshape(of_taps, (*plan.kernel_size, channels, filters))


def transformed_floats(plan, channels, filters):
    """How many numbers `kernel_gradient` holds for a frame, over its arguments."""
    transforms = _transforms(plan.height, plan.width, plan.kernel_size)
    if plan.num_taps == 1:
        return 0
    rows = 0 if transforms is None else len(transforms.of_inputs)
    return (plan.num_positions + rows) * (channels + filters)


def _at_points(x, dz, transforms, num_blocks):
    num_points = transforms.of_kernel.shape[1]
    evaluated = []
    for values, transform in ((x, transforms.of_inputs), (dz, transforms.of_outputs)):
        channels = values.shape[-1]
        # (frames, positions, channels) -> (positions, frames * channels)
        by_position = ops.reshape(ops.transpose(values, (1, 0, 2)), (transform.shape[1], -1))
        at_points = ops.matmul(ops.cast(transform, values.dtype), by_position)
        evaluated.append(ops.reshape(at_points, (num_points, -1, channels)))
    of_taps = []
    for block in _blocks(x.shape[-1], num_blocks):
        # One product for each point, summed over frames and tiles.
        products = ops.matmul(ops.transpose(evaluated[0][:, :, block], (0, 2, 1)), evaluated[1])
        flat = ops.reshape(products, (num_points, -1))
        of_block = ops.matmul(ops.cast(transforms.of_kernel, flat.dtype), flat)
        of_taps.append(ops.reshape(of_block, (-1, *products.shape[1:])))
    return of_taps[0] if num_blocks == 1 else ops.concatenate(of_taps, axis=1)


def _blocks(size, num_blocks):
    """Slices of about equal size."""
    edges = [size * i // num_blocks for i in range(num_blocks + 1)]
    return [slice(*ends) for ends in itertools.pairwise(edges)]


def _tap_by_tap(x, dz, plan):
    channels, filters = x.shape[-1], dz.shape[-1]
    x = ops.reshape(x, (-1, plan.height, plan.width, channels))
    dz = ops.reshape(dz, (-1, plan.height, plan.width, filters))
    return ops.stack(
        [
            _sum_of_products(x[:, q_rows, q_columns, :], dz[:, p_rows, p_columns, :])
            for (q_rows, q_columns), (p_rows, p_columns) in plan.windows()
        ]
    )


def _sum_of_products(x, dz):
    """Σ xᵀ dz over all but the last dimension: `(channels, filters)`."""
    return ops.matmul(
        ops.transpose(ops.reshape(x, (-1, x.shape[-1]))), ops.reshape(dz, (-1, dz.shape[-1]))
    )


def _is_accurate(dtype):
    """Half precision would lose too much between the points."""
    return keras.backend.standardize_dtype(dtype) in ("float32", "float64")


def _pays(transforms, plan):
    return plan.num_pairs >= _LEAST_GAIN * len(transforms.of_inputs)


@functools.cache
def _transforms(height, width, kernel_size):
    """The transforms of both axes at once; None for kernels other than 1 and 3 an axis."""
    axes = [_axis_transforms(n, taps) for n, taps in zip((height, width), kernel_size, strict=True)]
    if None in axes:
        return None
    both = []
    for of_rows, of_columns in list(zip(*axes, strict=True))[:2]:
        # (points, tiles, positions) of each axis -> (points², tiles², positions²)
        product = np.einsum("aty,bsx->abtsyx", of_rows, of_columns)
        both.append(product.reshape(-1, height * width).astype("float64"))
    of_kernel = np.kron(axes[0][2], axes[1][2])
    return _Transforms(both[0], both[1], of_kernel)


def _axis_transforms(size, taps):
    """Transforms along one axis: of inputs, of outputs `(points, tiles, size)`, of kernel."""
    if taps == 1:  # nothing to save: every position is a tile of its own
        each = np.eye(size)[None]
        return each, each, np.ones((1, 1))
    if taps != 3:
        return None
    tile = _OUTPUTS_OF_TILE
    num_points = len(_POINTS) + 1

    def evaluate(degree):
        """Values at the points of the polynomials 1, x, …; the last point is infinity."""
        at_points = [[point**power for power in range(degree)] for point in _POINTS]
        return np.array([*at_points, [0.0] * (degree - 1) + [1.0]])

    interpolate = np.linalg.inv(evaluate(num_points))
    num_tiles = -(-size // tile)
    of_inputs = np.zeros((num_points, num_tiles, size))
    of_outputs = np.zeros((num_points, num_tiles, size))
    for t in range(num_tiles):
        outputs = range(tile * t, min(tile * (t + 1), size))
        of_outputs[:, t, outputs] = evaluate(tile)[:, : len(outputs)]
        for j in range(num_points):
            position = tile * t + j - 1  # the first tap is one position before
            if 0 <= position < size:
                of_inputs[:, t, position] = interpolate[j]
    return of_inputs, of_outputs, evaluate(3).T
