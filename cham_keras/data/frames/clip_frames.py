"""The frames of a clip, whatever it is stored as: video, Norpix sequence, or folder of images.

Comes in: the path of a clip and, where it is a part of its file, from when to
when. Goes out: what the clip states about itself, and its frames as arrays.
`extract` and `prepare` call this.
"""

import logging
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from cham_keras.data.frames.image_folder import ImageFolder
from cham_keras.data.frames.norpix import NorpixSequence
from cham_keras.data.frames.resizing import Resizing
from cham_keras.data.frames.video import (
    VIDEO_SUFFIXES,
    VideoInfo,
    open_frames,
    probe_video,
    read_frames,
)

logger = logging.getLogger(__name__)

_NORPIX_SUFFIX = ".seq"
#: File name endings that are taken for clips when a folder is searched.
CLIP_SUFFIXES = (*VIDEO_SUFFIXES, _NORPIX_SUFFIX)
#: A time that lies less than this part of a frame past a frame's time is that frame's time. Clip
#: lists write times with ten digits or so, and 20 / 30 of a second, so written, is past frame 20.
_ROUNDING_FRAMES = 1e-3
_MOST_SECONDS = 1e9


def clips_in_folder(folder: Path | str) -> list[Path]:
    """The video files and Norpix sequences in a folder and in those below it.

    Args:
        folder: where to look. Hidden files and folders are passed over.

    Returns:
        their paths, sorted.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in CLIP_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def probe_clip(path: Path | str) -> VideoInfo:
    """Reads what a clip states about itself, and its first frame.

    Args:
        path: a video file, a Norpix sequence (`.seq`, small or capital), or a
            folder of numbered images.

    Returns:
        rate, size and number of frames. A folder of images states no rate: its
        `frame_rate_hz` is 0.0, which stands for unknown.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it cannot be read, holds no frame, or its rate cannot be told.

    Example:
    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for number in range(3):
    ...     Image.new("RGB", (48, 32)).save(folder / f"{number}.png")
    >>> probe_clip(folder)
    VideoInfo(frame_rate_hz=0.0, width=48, height=32, num_frames=3, rotation_degrees=0)
    """
    source = _source(path)
    if source is None:
        return probe_video(path)
    frame = next(source.frames([0]))
    return VideoInfo(
        frame_rate_hz=0.0 if isinstance(source, ImageFolder) else source.frame_rate_hz,
        width=frame.shape[1],
        height=frame.shape[0],
        num_frames=source.num_frames,
        rotation_degrees=0,
    )


def read_clip_frames(
    path: Path | str,
    frame_stride: int = 1,
    max_frames: int | None = None,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    resizing: Resizing | None = None,
) -> Iterator[np.ndarray]:
    """Reads the frames of a clip, one at a time.

    Frame i (counted from 0) is shown at i / rate seconds, and belongs to the
    clip where start <= i / rate < end. Times are compared with the tolerance of
    a thousandth of a frame, so a time that was rounded in its tenth digit, or
    computed in another order, means the frame that it is the time of.

    A Norpix sequence that was cut off gives its whole frames, and a folder whose
    numbering has gaps the images that it has; one warning is logged then, which
    counts what is missing.

    Args:
        path: a video file, a Norpix sequence (`.seq`, small or capital), or a
            folder of numbered images.
        frame_stride: 1 gives every frame, 2 every other one, from the first of
            the clip on.
        max_frames: stop after this many frames; what comes later is then
            neither read nor checked.
        start_seconds: where the clip begins in its file; None for its beginning.
        end_seconds: where the clip ends in its file; None for its end.
        resizing: bring frames to a size.

    Yields:
        uint8 arrays (height, width, 3), red, green, blue, all of one size.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: an argument is out of range; the clip is a folder of images,
            which has no times, and a time is given; no frame lies between the
            times; the end lies more than one frame after the file's; or a frame
            cannot be read. Frames before the fault may have been given by then,
            also where a video does not state its length: whoever must not use
            part of a clip collects before using.

    Example:
    >>> import tempfile
    >>> from cham_keras.data.frames.video import write_video
    >>> path = Path(tempfile.mkdtemp()) / "grey.mp4"
    >>> write_video(path, [np.full((32, 48, 3), 128, "uint8")] * 10, frame_rate_hz=25)
    >>> len(list(read_clip_frames(path, start_seconds=0.2, end_seconds=0.4)))  # 5, 6, 7, 8, 9
    5
    """
    return open_clip(path, frame_stride, max_frames, start_seconds, end_seconds, resizing)[1]


def open_clip(
    path: Path | str,
    frame_stride: int = 1,
    max_frames: int | None = None,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    resizing: Resizing | None = None,
) -> tuple[float, Iterator[np.ndarray]]:
    """Opens a clip once for its rate and its frames.

    Returns:
        frames per second before the stride, 0.0 where it is not known; and the
        frames, as from `read_clip_frames`.
    """
    for name, value in (("frame_stride", frame_stride), ("max_frames", max_frames)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {value}.")
    for name, seconds in (("start_seconds", start_seconds), ("end_seconds", end_seconds)):
        if seconds is not None and not 0 <= seconds <= _MOST_SECONDS:
            raise ValueError(
                f"`{name}` must be from 0 to {_MOST_SECONDS:.0f}. Received: {seconds} for {path}."
            )
    source = _source(path)
    if source is not None and source.problem:
        logger.warning("%s", source.problem)
    if start_seconds is None and end_seconds is None:
        if source is None:
            return open_frames(path, frame_stride, max_frames, resizing)
        numbers = islice(range(0, source.num_frames, frame_stride), max_frames)
        rate_hz = 0.0 if isinstance(source, ImageFolder) else source.frame_rate_hz
        return rate_hz, _resized(source.frames(numbers), resizing)
    if isinstance(source, ImageFolder):
        raise ValueError(
            "A clip with `start_seconds` or `end_seconds` must be a file that states a frame "
            f"rate. Received: the folder of images {path}. Make a folder of the part instead."
        )
    info = source or probe_video(path)
    part = _Part(path, info.frame_rate_hz, start_seconds or 0.0, end_seconds)
    if info.num_frames is not None:
        part.check(info.num_frames)
    if source is None:
        return info.frame_rate_hz, _part_of_video(part, frame_stride, max_frames, resizing)
    end = source.num_frames if part.end is None else min(part.end, source.num_frames)
    numbers = islice(range(part.first, end, frame_stride), max_frames)
    return info.frame_rate_hz, _resized(source.frames(numbers), resizing)


def frame_at(seconds: float, rate_hz: float) -> int:
    """The number of the first frame at a time or later, from 0.

    Args:
        seconds: from the beginning of the file.
        rate_hz: frames per second.

    Example:
    >>> frame_at(2.0, 25.0), frame_at(2.01, 25.0)
    (50, 51)
    """
    return math.ceil(seconds * rate_hz - _ROUNDING_FRAMES)


def _resized(frames: Iterator[np.ndarray], resizing: Resizing | None) -> Iterator[np.ndarray]:
    return frames if resizing is None else resizing.each(frames)


def _source(path: Path | str) -> NorpixSequence | ImageFolder | None:
    """What reads the path; None where that is FFmpeg, which opens files anew for each question."""
    path = Path(path)
    if path.is_dir():
        return ImageFolder(path)
    return NorpixSequence(path) if path.suffix.lower() == _NORPIX_SUFFIX else None


class _Part:
    """The frames from `first` to before `end` (None: to the last one) of a file."""

    def __init__(
        self, path: Path | str, rate_hz: float, start_seconds: float, end_seconds: float | None
    ) -> None:
        self.path = path
        self.first = frame_at(start_seconds, rate_hz)
        self.end = None if end_seconds is None else frame_at(end_seconds, rate_hz)
        until = "the end" if end_seconds is None else f"{end_seconds:.10g}"
        self.words = f"{start_seconds:.10g} to {until} seconds at {rate_hz:.6g} frames per second"
        if self.end is not None and self.first >= self.end:
            raise ValueError(
                "A clip must hold at least one frame, from its start to before its end. "
                f"Received: {self.words} of {path}."
            )

    def check(self, num_frames: int) -> None:
        """Holds the part against the number of frames of the file."""
        if self.first >= num_frames:
            raise ValueError(
                f"A clip must begin before its file ends. Received: {self.words} of {self.path}, "
                f"which has {num_frames} frames."
            )
        # One frame more: lists give the time of the last frame's end, and round it.
        if self.end is not None and self.end > num_frames + 1:
            raise ValueError(
                "A clip must end with its file, or at most a frame later. "
                f"Received: {self.words} of {self.path}, which has {num_frames} frames."
            )


def _part_of_video(
    part: _Part, frame_stride: int, max_frames: int | None, resizing: Resizing | None
) -> Iterator[np.ndarray]:
    ends = [] if part.end is None else [part.end]
    if max_frames is not None:
        ends.append(part.first + (max_frames - 1) * frame_stride + 1)
    end = min(ends, default=None)
    num_read = 0
    for number, frame in enumerate(read_frames(part.path, 1, end, resizing)):
        num_read += 1
        if number >= part.first and (number - part.first) % frame_stride == 0:
            yield frame
    if end is None or num_read < end:
        # Now it is known how many there are; what the file stated may be wrong.
        part.check(num_read)
