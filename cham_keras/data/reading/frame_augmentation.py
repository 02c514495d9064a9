"""Which part of its frames a clip shows in an epoch of training.

Comes in: seed, epoch and clip. Goes out: one `Crop` for all frames of the clip, for a
recurrence over frames that each jump elsewhere would learn the jumps. `frame_clips` calls it.
"""

import math
from itertools import product
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from cham_keras.data.frames.cropping import CORNERS_AND_CENTRE, WHOLE_FRAME, Crop
from cham_keras.data.reading.stateless_random import random_numbers
from cham_keras.settings import settings

# A stream of random numbers beside those of `frame_choice`, which are 0 to 2.
_AUGMENTATION_STREAM = 3
# Shares of the sides, as in temporal segment networks, whose crops of 256, 224, 192 and 168 of
# 256 pixels these are; height and width differ by one step at most.
_SHARES = (1.0, 0.875, 0.75, 0.65625)
_CORNER_CROPS = tuple(
    (height, width, down, right)
    for (i, height), (j, width) in product(enumerate(_SHARES), repeat=2)
    if abs(i - j) <= 1
    for down, right in CORNERS_AND_CENTRE
)
_RANDOM_TRIALS = 10
_LARGEST_ASPECT = 4 / 3


@settings
class FrameAugmentation:
    """How the frames of training clips are varied, the same for all frames of a clip.

    Example:
    >>> FrameAugmentation(crop="none", mirror=True).crop_of(seed=0, epoch=0, clip=1).is_whole
    True
    """

    crop: Literal["none", "corners", "random"] = "corners"
    """corners: a corner or the centre at one of four sizes, sides 66 to 100 %; random: any
    place, size and a changed aspect; none: whole frames, as features are computed from."""
    mirror: bool = True
    """Whether half of the clips are mirrored; not where left and right tell classes apart."""
    smallest_area: Annotated[float, Field(gt=0, le=1)] = 0.4
    """With crop random: least share of the frame's area."""

    def crop_of(self, seed: int, epoch: int, clip: int) -> Crop:
        """The part of its frames that a clip shows.

        Args:
            seed: seed of the data set.
            epoch: number of the epoch.
            clip: the clip's position in its split.

        Returns:
            the same part for the same three numbers.
        """
        words = (seed, epoch, _AUGMENTATION_STREAM, clip)
        drawn = _shares(random_numbers(words, 3 + 2 * _RANDOM_TRIALS))
        mirrored = self.mirror and drawn[0] < 0.5
        height, width, down, right = self._part(drawn[1:])
        return Crop(height, width, down, right, mirrored)

    def _part(self, drawn: list[float]) -> tuple[float, float, float, float]:
        """Height, width, down and right from numbers of 0 to 1."""
        if self.crop == "corners":
            return _CORNER_CROPS[int(drawn[0] * len(_CORNER_CROPS))]
        if self.crop == "random":
            down, right, *sizes = drawn
            for for_area, for_aspect in zip(sizes[::2], sizes[1::2], strict=True):
                area = self.smallest_area + for_area * (1 - self.smallest_area)
                aspect = math.exp((2 * for_aspect - 1) * math.log(_LARGEST_ASPECT))
                height, width = math.sqrt(area / aspect), math.sqrt(area * aspect)
                if height <= 1 and width <= 1:
                    return height, width, down, right
        return WHOLE_FRAME.height, WHOLE_FRAME.width, WHOLE_FRAME.down, WHOLE_FRAME.right


def _shares(numbers: np.ndarray) -> list[float]:
    """Numbers of 64 random bits as numbers from 0 to below 1."""
    return ((numbers >> np.uint64(11)) * 2.0**-53).tolist()
