"""Bringing frames to the size that a backbone takes: without crop, as the paper does.

FFmpeg's scaler does it. Where a picture becomes smaller its filters grow in step, which
is what keeps fine patterns from turning into false ones (antialiasing). A frame that comes
straight from a decoder is scaled and turned into red, green and blue in one go.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

#: What `interpolation` may be.
INTERPOLATIONS = ("bicubic", "bilinear", "area", "lanczos")

# Without these the scaler halves the width of the colours, also where they came whole, and
# rounds down more often than up: 1.6 levels off on average instead of 0.3.
_EXACT = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP


@dataclass(frozen=True)
class Resizing:
    """A size, and how frames are brought to it.

    Attributes:
        image_size: height and width in pixels.
        interpolation: one of `INTERPOLATIONS`.

    Raises:
        ValueError: the size is below 1, or the interpolation is not known.

    Example:
    >>> Resizing(4, "area")(np.full((2, 30, 40, 3), 7, "uint8")).shape
    (2, 4, 4, 3)
    """

    image_size: int
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.image_size < 1:
            raise ValueError(f"`image_size` must be at least 1. Received: {self.image_size}.")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"`interpolation` must be one of {', '.join(INTERPOLATIONS)}. "
                f"Received: {self.interpolation!r}."
            )

    def converter(self) -> Callable[[Any], Any]:
        """From a PyAV frame to one in red, green and blue of the size; for one thread and clip.

        Setting one up costs more than decoding a frame.
        """
        return functools.partial(
            VideoReformatter().reformat,
            width=self.image_size,
            height=self.image_size,
            format="rgb24",
            interpolation=Interpolation[self.interpolation.upper()] | _EXACT,
            threads=1,  # clips are decoded side by side; several threads a frame only cost
        )

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Brings arrays to the size.

        Args:
            frames: (frames, height, width, 3) uint8, red, green, blue.

        Returns:
            (frames, image_size, image_size, 3) uint8.
        """
        return np.stack(list(self.each(frames)))

    def each(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Brings arrays to the size, one at a time; as `__call__`."""
        convert = self.converter()
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")
            yield convert(picture).to_ndarray()
