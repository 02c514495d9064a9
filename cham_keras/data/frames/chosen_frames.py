"""Some frames of a clip, by their numbers, cut out and brought to one size.

Comes in: a clip's path and which frames of it are wanted. Goes out: one array. A video is
decoded from its beginning to the last wanted frame and what lies between is dropped: FFmpeg
seeks to key frames only, and decoding on from there costs more than it saves for frames that
are spread over the clip. Norpix sequences and folders of images are read where they are wanted.
`frame_clips` calls it.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from cham_keras.data.frames.clip_frames import open_clip
from cham_keras.data.frames.cropping import WHOLE_FRAME, Crop
from cham_keras.data.frames.image_folder import ImageFolder
from cham_keras.data.frames.norpix import NorpixSequence
from cham_keras.data.frames.resizing import Resizing


def read_chosen_frames(
    path: Path | str,
    numbers: Sequence[int] | np.ndarray,
    resizing: Resizing,
    crops: Sequence[Crop] = (WHOLE_FRAME,),
    frame_stride: int = 1,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
) -> np.ndarray:
    """Reads frames of a clip.

    Args:
        path: a video file, a Norpix sequence, or a folder of numbered images.
        numbers: (time,) which frames, counted from 0 after the stride; ascending, equal ones
            may follow each other.
        resizing: the size to which each part is brought.
        crops: the parts that are taken of each frame.
        frame_stride: as for `open_clip`.
        start_seconds: where the clip begins in its file.
        end_seconds: where it ends.

    Returns:
        (crops, time, image_size, image_size, 3) uint8, red, green, blue.

    Raises:
        FileNotFoundError: there is no such clip.
        ValueError: the numbers are none, or do not ascend; the clip cannot be read, or has
            fewer frames.

    Example:
    >>> import tempfile
    >>> from cham_keras.data.frames.video import write_video
    >>> path = Path(tempfile.mkdtemp()) / "grey.mp4"
    >>> write_video(path, [np.full((32, 48, 3), 128, "uint8")] * 10, frame_rate_hz=25)
    >>> read_chosen_frames(path, [1, 5, 5, 8], Resizing(16)).shape
    (1, 4, 16, 16, 3)
    """
    wanted, times = np.unique(numbers, return_counts=True)
    if not len(wanted) or wanted[0] < 0 or not np.array_equal(np.repeat(wanted, times), numbers):
        raise ValueError(
            "`numbers` must be at least one, ascending and not negative. "
            f"Received: {np.asarray(numbers).tolist()} for {path}."
        )
    shape = (resizing.image_size, resizing.image_size, 3)
    frames = np.empty((len(crops), len(numbers), *shape), np.uint8)
    # Whole frames are resized on the way from the decoder's colours, which is cheapest.
    whole = all(crop.is_whole for crop in crops)
    on_the_way = resizing if whole else None
    decoded = _decoded(path, wanted, on_the_way, frame_stride, start_seconds, end_seconds)
    resizers = [_resizer(resizing, crop, whole) for crop in crops]
    position = num_read = 0
    for frame, repeats in zip(decoded, times.tolist(), strict=False):
        for view, resize in zip(frames, resizers, strict=True):
            view[position : position + repeats] = resize(frame)
        position += repeats
        num_read += 1
    if num_read < len(wanted):
        raise ValueError(
            f"{path} must have a frame {wanted[num_read]} (counted from 0, every "
            f"{frame_stride}. frame). It ends before. Count its frames again."
        )
    return frames


def _resizer(resizing: Resizing, crop: Crop, is_resized: bool) -> Callable[[Any], np.ndarray]:
    """From a frame to the crop of it, for the frames of one clip."""
    if is_resized:
        return crop
    waiting: list[np.ndarray] = []

    def parts() -> Iterator[np.ndarray]:
        while True:
            yield waiting.pop()

    # One series for all frames: setting up a converter costs more than using it.
    series = resizing.each(parts())

    def resized(frame: np.ndarray) -> np.ndarray:
        waiting.append(crop(frame))
        return next(series)

    return resized


def _decoded(
    path: Path | str,
    wanted: np.ndarray,
    resizing: Resizing | None,
    frame_stride: int,
    start_seconds: float | None,
    end_seconds: float | None,
) -> Iterator[np.ndarray]:
    """The wanted frames, in their order; fewer where the clip ends before."""
    path = Path(path)
    whole_file = start_seconds is None and end_seconds is None
    if whole_file and (path.is_dir() or path.suffix.lower() == ".seq"):
        source = ImageFolder(path) if path.is_dir() else NorpixSequence(path)
        numbers = [n for n in (wanted * frame_stride).tolist() if n < source.num_frames]
        frames = source.frames(numbers)
        return frames if resizing is None else resizing.each(frames)
    last = int(wanted[-1])
    _, frames = open_clip(path, frame_stride, last + 1, start_seconds, end_seconds, resizing)
    is_wanted = np.zeros(last + 1, bool)
    is_wanted[wanted] = True
    return (frame for number, frame in enumerate(islice(frames, last + 1)) if is_wanted[number])
