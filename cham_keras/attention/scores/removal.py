"""Insertion and deletion: what the cells that a model attends to are worth to it.

Comes in: a model, features, and an order of the cells of each step. Goes out: the probability
of the class that the whole clip is taken for, after each share of the cells was taken away, or
after it alone was shown. `score_attention` calls it.

The measures are those of Petsiuk et al. (RISE, BMVC 2018). There pixels are removed; here
cells of features are, which is what attention weighs, and what shards hold. A cell that is
removed holds the clip's mean feature. Neighbouring cells saw some of the same pixels. Of a model
with temporal differences these are the features: a cell that is removed holds the mean change.
"""

from collections.abc import Callable

import numpy as np

#: From features `(batch, time, height, width, channels)` to probabilities
#: `(batch, time, classes)`.
Predict = Callable[[np.ndarray], np.ndarray]


def order_of(maps: np.ndarray) -> np.ndarray:
    """Puts the cells of each map in order: 0 for the largest weight.

    Args:
        maps: `(..., height, width)`.

    Returns:
        int64 of the same shape; equal weights in the order of their places.
    """
    flat = maps.reshape(*maps.shape[:-2], -1)
    places = np.argsort(-flat, axis=-1, kind="stable")
    return np.argsort(places, axis=-1).reshape(maps.shape)


def removal_curves(
    predict: Predict,
    features: np.ndarray,
    lengths: np.ndarray,
    order: np.ndarray,
    shares: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """How sure of its class the model is as cells go, or come, in an order.

    Args:
        predict: the model.
        features: `(batch, time, height, width, channels)`.
        lengths: `(batch,)`, valid steps of each clip.
        order: int `(batch, time, height, width)`, 0 for the cell that goes, or comes, first.
        shares: `(points,)`, shares of the cells of every step, from 0 to 1.

    Returns:
        deletion and insertion, each `(batch, points)`: the mean over the steps of the
        probability of the class that the whole clip is taken for. At share 0 of the deletion
        and share 1 of the insertion stands the whole clip.
    """
    valid = np.arange(features.shape[1]) < lengths[:, None]  # (batch, time)
    weights = valid / valid.sum(axis=1, keepdims=True)
    # (batch, 1, 1, 1, channels): the mean over steps and places
    mean = np.einsum("bt,bthwc->bc", weights, features) / np.prod(features.shape[2:4])
    mean = mean[:, None, None, None, :].astype(features.dtype)

    def over_steps(shown: np.ndarray) -> np.ndarray:
        return np.einsum("bt,btc->bc", weights, predict(shown))  # (batch, classes)

    chosen = over_steps(features).argmax(axis=1)[:, None]
    num_cells = np.prod(order.shape[2:])
    deletion: list[np.ndarray] = []
    insertion: list[np.ndarray] = []
    for share in shares:
        first = (order < round(share * num_cells))[..., None]
        for curve, kept in ((deletion, ~first), (insertion, first)):
            probabilities = over_steps(np.where(kept, features, mean))
            curve.append(np.take_along_axis(probabilities, chosen, axis=1)[:, 0])
    return np.stack(deletion, axis=1), np.stack(insertion, axis=1)


def area_under(curves: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The area under curves `(..., points)`: their mean height over shares from 0 to 1."""
    heights = (curves[..., 1:] + curves[..., :-1]) / 2
    return (heights * np.diff(shares)).sum(axis=-1)
