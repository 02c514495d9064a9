"""Following points through a clip: from frames to point trajectories.

Comes in: the frames of a clip. Goes out: blocks of trajectories that start in the same
frame, with histograms of what is seen around them where those are wanted. `clip_descriptors`
calls this.

As in dense trajectories (Wang et al., "Action recognition by dense trajectories", CVPR
2011) points lie on a grid, where there is enough texture to follow them, and are followed
for L steps. Simpler here: one spatial scale, all points of a block start together, and
pyramidal Lucas-Kanade follows them instead of a median-filtered dense flow.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from cham_keras.baselines.trajectories.opencv import load_opencv
from cham_keras.baselines.trajectories.patches import PatchHistograms, PatchMaps
from cham_keras.baselines.trajectories.settings import TrackingSettings

# A point is followed where the smaller eigenvalue of its gradients' covariance is at least
# this share of the frame's largest (Wang et al.), and is not just noise of the coding.
_LEAST_QUALITY = 1e-3
_LEAST_EIGENVALUE = 1e-5
_WINDOW_PIXELS = 11
_PYRAMID_LEVELS = 3


@dataclasses.dataclass(frozen=True)
class TrajectoryBlock:
    """Trajectories that start in the same frame.

    Attributes:
        start_frame: number of the first frame.
        positions: `(trajectories, steps + 1, 2)` float32, x and y in pixels.
        patches: for each channel of `patches.PATCH_CHANNELS` that is wanted, a histogram of
            each trajectory `(trajectories, bins)` float32.
    """

    start_frame: int
    positions: np.ndarray
    patches: dict[str, np.ndarray]

    @property
    def displacements(self) -> np.ndarray:
        """Pixels a step: `(trajectories, steps, 2)`."""
        return np.diff(self.positions, axis=1)


def follow_points(
    frames: Iterable[np.ndarray], settings: TrackingSettings
) -> Iterator[TrajectoryBlock]:
    """Follows points through the frames of one clip.

    Every `start_every` frames a block of points starts. A point that is lost or leaves the
    frame before its last step is left out.

    Args:
        frames: `(height, width, 3)` uint8, red, green, blue, all of one size.
        settings: grid, steps, size of the frames, channels.

    Yields:
        the blocks that reached their last step, in the order of their starts; blocks that
        the end of the clip cuts off are not given.

    Raises:
        ValueError: OpenCV is not installed.
    """
    cv2 = load_opencv()
    blocks: list[_GrowingBlock] = []
    previous = None
    maps = PatchMaps(settings.channels)
    for number, frame in enumerate(frames):
        grey = _grey(cv2, frame, settings.longest_side_pixels)
        if previous is not None and blocks:
            maps_of_step = maps.of_step(previous, grey)
            _follow(cv2, blocks, previous, grey, maps_of_step)
            if blocks[0].num_steps == settings.num_steps:
                yield blocks.pop(0).finished()
        if number % settings.start_every == 0:
            points = _grid_points(cv2, grey, settings.grid_pixels)
            blocks.append(_GrowingBlock(number, points, settings))
        previous = grey


class _GrowingBlock:
    """A block whose points are still being followed."""

    def __init__(self, start_frame: int, points: np.ndarray, settings: TrackingSettings) -> None:
        self.start_frame = start_frame
        self.positions = [points]  # of each frame (points, 2)
        self.is_followed = np.ones(len(points), bool)
        self.histograms = PatchHistograms(settings.channels, len(points), settings.num_steps)

    @property
    def num_steps(self) -> int:
        return len(self.positions) - 1

    def finished(self) -> TrajectoryBlock:
        kept = self.is_followed
        positions = np.stack(self.positions, axis=1)[kept]  # (trajectories, steps + 1, 2)
        return TrajectoryBlock(self.start_frame, positions, self.histograms.normalised(kept))


def _follow(
    cv2: Any,
    blocks: list[_GrowingBlock],
    previous: np.ndarray,
    grey: np.ndarray,
    maps: dict[str, np.ndarray],
) -> None:
    """Moves the points of all blocks to the next frame."""
    for block in blocks:
        block.histograms.add(maps, block.positions[-1], block.num_steps)
    points = np.concatenate([block.positions[-1] for block in blocks])
    if not len(points):
        moved, is_found = points, np.ones(0, bool)
    else:
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            previous,
            grey,
            points[:, None],
            None,
            winSize=(_WINDOW_PIXELS, _WINDOW_PIXELS),
            maxLevel=_PYRAMID_LEVELS,
            criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01),
        )
        moved, is_found = found.reshape(-1, 2), status.reshape(-1) == 1
    height, width = grey.shape
    inside = ((moved >= 0) & (moved <= (width - 1, height - 1))).all(axis=1)
    ends = np.cumsum([len(block.positions[-1]) for block in blocks])[:-1]
    for block, position, is_good in zip(
        blocks, np.split(moved, ends), np.split(is_found & inside, ends), strict=True
    ):
        block.is_followed &= is_good
        # A lost point stays where it was; nobody asks for it any more.
        kept = np.where(block.is_followed[:, None], position, block.positions[-1])
        block.positions.append(kept.astype(np.float32))


def _grid_points(cv2: Any, grey: np.ndarray, grid_pixels: int) -> np.ndarray:
    """The points of the grid that can be followed: `(points, 2)` float32, x and y."""
    height, width = grey.shape
    rows, columns = np.mgrid[
        grid_pixels // 2 : height : grid_pixels, grid_pixels // 2 : width : grid_pixels
    ]
    quality = cv2.cornerMinEigenVal(grey, blockSize=3, ksize=3)
    least = max(_LEAST_QUALITY * float(quality.max()), _LEAST_EIGENVALUE)
    is_textured = quality[rows, columns] > least
    return np.stack([columns[is_textured], rows[is_textured]], axis=1).astype(np.float32)


def _grey(cv2: Any, frame: np.ndarray, longest_side_pixels: int) -> np.ndarray:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    factor = longest_side_pixels / max(height, width)
    if factor >= 1:
        return grey
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
