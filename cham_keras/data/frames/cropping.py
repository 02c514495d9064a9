"""Parts of frames: crops whose place and size are shares of the frame, and their mirror images.

Comes in: frames of any size. Goes out: the part of each. A crop is a value, so that the same
one can be taken of all frames of a clip. `chosen_frames` crops before it resizes;
`frame_augmentation` draws crops for training, and `ten_crops` are for tests.
"""

from dataclasses import dataclass

import numpy as np

#: Places of a crop in its frame, as shares of the room beside it: down and to the right.
CORNERS_AND_CENTRE = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))


@dataclass(frozen=True)
class Crop:
    """A part of a frame.

    Attributes:
        height: share of the frame's height, above 0 up to 1.
        width: share of its width.
        down: where it lies: 0 at the top, 1 at the bottom, 0.5 in the middle.
        right: likewise, 0 at the left.
        mirrored: whether left and right change places afterwards.

    Raises:
        ValueError: a number is out of its range.

    Example:
    >>> Crop(height=0.5, width=0.5, down=1.0)(np.arange(24).reshape(4, 6, 1))[..., 0].tolist()
    [[12, 13, 14], [18, 19, 20]]
    """

    height: float = 1.0
    width: float = 1.0
    down: float = 0.0
    right: float = 0.0
    mirrored: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in ("height", "width"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` of a crop must be above 0 and at most 1. Received: {self}."
                )
        for name in ("down", "right"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` of a crop must be from 0 to 1. Received: {self}.")

    @property
    def is_whole(self) -> bool:
        """Whether the part is the whole frame, mirrored or not."""
        return self.height == self.width == 1

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """The part of a frame.

        Args:
            frame: (height, width, channels).

        Returns:
            (its height, its width, channels), at least one pixel each way.
        """
        top, bottom = _range(frame.shape[0], self.height, self.down)
        left, right = _range(frame.shape[1], self.width, self.right)
        part = frame[top:bottom, left:right]
        return part[:, ::-1] if self.mirrored else part


def _range(size: int, share: float, place: float) -> tuple[int, int]:
    """First pixel and the one behind the last."""
    length = max(1, round(size * share))
    first = round((size - length) * place)
    return first, first + length


WHOLE_FRAME = Crop()


def ten_crops(share: float = 0.875) -> tuple[Crop, ...]:
    """The four corners and the centre, then their mirror images.

    Args:
        share: of the frame's height and width. The default is the 224 of 256 pixels with
            which Simonyan and Zisserman tested ("Two-stream convolutional networks for action
            recognition in videos", 2014, Sec. 5).

    Example:
    >>> [crop.mirrored for crop in ten_crops()].count(True)
    5
    """
    return tuple(
        Crop(share, share, down, right, mirrored)
        for mirrored in (False, True)
        for down, right in CORNERS_AND_CENTRE
    )
