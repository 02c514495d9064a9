"""Pooling a clip's features over time and space into one vector.

Comes in: the features of a whole clip. Goes out: one vector for each statistic; a pooling
is one of them or several, one behind the other. `pooled_clips` calls this.
"""

import itertools
from typing import Literal

import numpy as np

#: What is computed of each channel.
STATISTICS = ("mean", "max", "std", "change", "peak_change", "drift")

Pooling = Literal[
    "mean",
    "mean_max",
    "mean_std",
    "change",
    "peak_change",
    "drift",
    "mean_change",
    "mean_drift",
    "everything",
]
#: The statistics that each pooling puts one behind the other.
STATISTICS_OF_POOLING: dict[Pooling, tuple[str, ...]] = {
    "mean": ("mean",),
    "mean_max": ("mean", "max"),
    "mean_std": ("mean", "std"),
    "change": ("change",),
    "peak_change": ("peak_change",),
    "drift": ("drift",),
    "mean_change": ("mean", "change"),
    "mean_drift": ("mean", "drift"),
    "everything": STATISTICS,
}


def pooled_statistics(features: np.ndarray) -> dict[str, np.ndarray]:
    """Pools the features of one clip.

    `mean`, `max` and `std` are taken over time and space and know nothing of the order of
    the frames. `change` is the mean over time and space of |F_t+1 - F_t|: how much moves, at
    its place. `peak_change` is the same at the position where it is largest, channel by channel.
    `drift` is the mean over the last third of the frames less that over the first
    third: which way it goes. (A third has at least one frame; a clip of one frame neither
    changes nor drifts.)

    Args:
        features: `(time, height, width, channels)`, the whole clip without padding.

    Returns:
        for each name in `STATISTICS` a vector `(channels,)`, float32.

    Raises:
        ValueError: `features` has another rank, or no frame.

    Example:

    >>> clip = np.arange(3.0).reshape(3, 1, 1, 1)  # 0, 1, 2
    >>> {name: float(value[0]) for name, value in pooled_statistics(clip).items()}
    {'mean': 1.0, 'max': 2.0, 'std': 0.81649..., 'change': 1.0, 'peak_change': 1.0, 'drift': 2.0}
    """
    if features.ndim != 4 or not len(features):
        raise ValueError(
            "`features` must be (time, height, width, channels) with at least one frame. "
            f"Received: shape {features.shape}."
        )
    time_and_space = (0, 1, 2)
    third = max(1, len(features) // 3)
    change = np.zeros(features.shape[1:])
    for before, after in itertools.pairwise(features):
        # Frame by frame: all differences at once would be the clip in memory once more.
        change += np.abs(after - before)
    change /= max(1, len(features) - 1)
    statistics = {
        "mean": features.mean(axis=time_and_space, dtype=np.float64),
        "max": features.max(axis=time_and_space),
        "std": features.std(axis=time_and_space, dtype=np.float64),
        "change": change.mean(axis=(0, 1)),
        "peak_change": change.max(axis=(0, 1)),
        "drift": features[-third:].mean(axis=time_and_space, dtype=np.float64)
        - features[:third].mean(axis=time_and_space, dtype=np.float64),
    }
    return {name: statistics[name].astype(np.float32) for name in STATISTICS}
