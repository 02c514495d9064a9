"""Histograms around trajectories: of gradients (HOG), of flow (HOF), of its borders (MBH).

Comes in: two neighbouring frames and the points in the first. Goes out: for each trajectory
and channel one vector. `tracking` calls this while it follows the points.

The patch around a trajectory is 32 x 32 pixels wide and cut into 2 x 2 cells, each over
three parts of the trajectory's time (Wang et al., CVPR 2011). The flow of HOF is relative:
the frame's median flow is taken away, so that a moving camera does not fill the histogram.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cham_keras.baselines.trajectories.opencv import load_opencv

NUM_ORIENTATIONS = 8
#: The channels that are made here, and how many bins a cell has.
PATCH_CHANNELS = {
    "hog": NUM_ORIENTATIONS,
    "hof": NUM_ORIENTATIONS + 1,  # one for "does not move"
    "mbh": 2 * NUM_ORIENTATIONS,  # horizontal and vertical flow
}
#: Height and width of the patch around a trajectory.
PATCH_PIXELS = 32
_CELL_PIXELS = PATCH_PIXELS // 2
#: Centres of the 2 x 2 cells, from the point.
_CELL_CENTRES = np.array([(x, y) for y in (-8, 8) for x in (-8, 8)])
_PARTS_OF_TIME = 3
# A slower pixel does not move, in pixels a frame (Wang et al.).
_LEAST_FLOW = 0.4


class PatchMaps:
    """Maps of the cells' histograms around every pixel; one object a clip.

    Args:
        channels: which channels are wanted; those that are not made here are passed over.
    """

    def __init__(self, channels: Sequence[str]) -> None:
        self._cv2 = load_opencv()
        self._channels = [name for name in channels if name in PATCH_CHANNELS]
        self._flow: Any = None
        if {"hof", "mbh"} & set(self._channels):
            self._flow = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def of_step(self, frame: np.ndarray, following: np.ndarray) -> dict[str, np.ndarray]:
        """The maps of a frame, whose flow goes to the following one.

        Args:
            frame: `(height, width)` uint8.
            following: the same.

        Returns:
            for each channel `(height, width, bins)` float32: the sum over the cell around
            the pixel.
        """
        maps: dict[str, np.ndarray] = {}
        flow: Any = None if self._flow is None else self._flow.calc(frame, following, None)
        for name in self._channels:
            if name == "hog":
                maps[name] = self._orientations(*self._gradients(frame.astype(np.float32)))
            elif name == "hof":
                relative = flow - np.median(flow, axis=(0, 1))
                maps[name] = self._orientations(relative[..., 0], relative[..., 1], _LEAST_FLOW)
            else:
                maps[name] = np.concatenate(
                    [
                        self._orientations(*self._gradients(np.ascontiguousarray(flow[..., axis])))
                        for axis in (0, 1)
                    ],
                    axis=-1,
                )
        size = (_CELL_PIXELS, _CELL_PIXELS)
        return {
            name: self._cv2.boxFilter(values, -1, size, normalize=False)
            for name, values in maps.items()
        }

    def _gradients(self, plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cv2 = self._cv2
        return (
            cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=1),
            cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=1),
        )

    def _orientations(self, x: np.ndarray, y: np.ndarray, least: float = 0.0) -> np.ndarray:
        return orientation_map(self._cv2, x, y, least)


def orientation_map(cv2: Any, x: np.ndarray, y: np.ndarray, least: float = 0.0) -> np.ndarray:
    """Each pixel's vector, shared out between the two orientations beside its own.

    Args:
        cv2: the module of OpenCV.
        x: `(height, width)` float32.
        y: the same.
        least: where it is above 0, there is one more bin, which counts the pixels whose
            vector is shorter; these have none in the others.

    Returns:
        `(height, width, orientations)` float32, with one more bin where `least` is above 0.
    """
    length, angle = cv2.cartToPolar(np.ascontiguousarray(x), np.ascontiguousarray(y))
    place = angle * (NUM_ORIENTATIONS / (2 * np.pi))
    lower = np.floor(place)
    share = place - lower
    lower = lower.astype(np.int64) % NUM_ORIENTATIONS
    upper = (lower + 1) % NUM_ORIENTATIONS
    still = length < least
    length = np.where(still, 0, length)
    bins = np.zeros((*x.shape, NUM_ORIENTATIONS + (least > 0)), np.float32)
    np.put_along_axis(bins, lower[..., None], (length * (1 - share))[..., None], axis=-1)
    np.put_along_axis(bins, upper[..., None], (length * share)[..., None], axis=-1)
    if least > 0:
        bins[..., -1] = still
    return bins


class PatchHistograms:
    """The histograms of the points of one block, filled step by step.

    Args:
        channels: which channels are wanted.
        num_points: number of points.
        num_steps: steps of a trajectory.
    """

    def __init__(self, channels: Sequence[str], num_points: int, num_steps: int) -> None:
        self._num_steps = num_steps
        self._sums = {
            name: np.zeros((num_points, _PARTS_OF_TIME, len(_CELL_CENTRES), bins), np.float32)
            for name, bins in PATCH_CHANNELS.items()
            if name in channels
        }

    def add(self, maps: dict[str, np.ndarray], points: np.ndarray, step: int) -> None:
        """Adds what a frame shows around the points.

        Args:
            maps: from `PatchMaps.of_step`.
            points: `(points, 2)`, x and y.
            step: number of the step from this frame on.
        """
        part = step * _PARTS_OF_TIME // self._num_steps
        for name, values in maps.items():
            height, width = values.shape[:2]
            centres = np.rint(points[:, None] + _CELL_CENTRES).astype(int)  # (points, cells, 2)
            # A cell that hangs over the border is that of the nearest pixel inside.
            columns = np.minimum(np.maximum(centres[..., 0], 0), width - 1)
            rows = np.minimum(np.maximum(centres[..., 1], 0), height - 1)
            self._sums[name][:, part] += values[rows, columns]

    def normalised(self, kept: np.ndarray) -> dict[str, np.ndarray]:
        """The histograms of the kept points as vectors of length 1, or zeros where all is still.

        Args:
            kept: bool `(points,)`.

        Returns:
            for each channel `(kept points, parts of time * cells * bins)` float32.
        """
        vectors = {}
        for name, sums in self._sums.items():
            flat = sums[kept].reshape(int(kept.sum()), math.prod(sums.shape[1:]))
            lengths = np.linalg.norm(flat, axis=1, keepdims=True)
            vectors[name] = flat / np.where(lengths > 0, lengths, 1)
        return vectors
