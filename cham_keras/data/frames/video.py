"""Video files: what they state, their frames as arrays, and arrays as files.

`extract` and `predict` read frames from here, the demo and the attention
pictures write films. FFmpeg does the work, through PyAV; it prints nothing.

A video either gives all its frames or an error. A decoder passes over damage as
well as it can: it hides broken parts of a picture, leaves pictures out, and
takes a file that was cut short for a short film. Each of that changes what the
clip shows, so here it is an error that names the file and the frame. What no
reader can see stays unseen: damage that leaves a valid stream, such as a packet
that is gone from the middle.
"""

import dataclasses
import functools
import math
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from cham_keras.data.frames.resizing import Resizing
from cham_keras.files import replacing_file

#: File name endings that are taken for video when a folder is searched.
VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".ogv", ".ts", ".webm", ".wmv"),
)
# Without x264's tree over macroblocks, whose fast code gives other bytes from run to run.
_X264_OPTIONS = {"crf": "18", "x264-params": "no-mbtree=1"}

#: File name endings that `write_video` can write.
WRITABLE_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi")

_ADVICE = "Fetch the file anew, or leave the clip out of the list."


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What a video file states about itself.

    Attributes:
        frame_rate_hz: frames per second.
        width: of a frame as `read_frames` gives it, in pixels.
        height: of a frame as `read_frames` gives it, in pixels.
        num_frames: number of frames that the container states; None where it
            states none. Only decoding the file tells how many there are.
        rotation_degrees: clockwise rotation that the file asks for, 0, 90, 180
            or 270; `read_frames` applies it.
    """

    frame_rate_hz: float
    width: int
    height: int
    num_frames: int | None
    rotation_degrees: int


def probe_video(path: Path | str) -> VideoInfo:
    """Reads what a video states about itself, and decodes its first frame.

    Args:
        path: a video file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no video, holds no frame, or states no rate.
    """
    path = Path(path)
    with _opened(path) as (container, stream):
        frame = next(_decoded_frames(path, container, stream))
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise ValueError(f"A video must state its frame rate. {path} states none.")
        matrix = _display_matrix(path, frame)
        upright = _upright(np.empty((frame.height, frame.width, 0)), matrix)
        # Of a mirrored picture, this is the rotation after the mirroring.
        rotation = round(math.degrees(math.atan2(-matrix[1][0], matrix[1][1]))) % 360
        return VideoInfo(
            frame_rate_hz=rate.numerator / rate.denominator,
            width=upright.shape[1],
            height=upright.shape[0],
            num_frames=stream.frames or None,
            rotation_degrees=rotation,
        )


def read_frames(
    path: Path | str,
    frame_stride: int = 1,
    max_frames: int | None = None,
    resizing: Resizing | None = None,
) -> Iterator[np.ndarray]:
    """Decodes a video, a frame at a time.

    The rotation and the mirroring that the file asks for are applied. Pixels
    that are not square stay as they are stored.

    Args:
        path: a video file.
        frame_stride: 1 gives every frame, 2 every other one, from the first on.
        max_frames: stop after this many frames; what comes later in the file is
            then neither decoded nor checked.
        resizing: bring frames to a size on the way from the decoder's colours,
            which costs a fraction of doing so afterwards. `resizing` of a backbone gives
            the pixels that `extract` has computed features of; frames that are resized
            afterwards are near to them, and so are those of a video of that very size:
            without resizing, colours are turned into red, green and blue more coarsely.

    Yields:
        frames in the order in which they are shown: uint8 arrays (height,
        width, 3), red, green, blue, all of one size.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no video or holds no frame; a frame is damaged
            or of another size than the first; or the file ends before the end
            that it states. The frames before the fault have been given by then:
            whoever must not use part of a video collects before using.
    """
    return open_frames(path, frame_stride, max_frames, resizing)[1]


def open_frames(
    path: Path | str,
    frame_stride: int = 1,
    max_frames: int | None = None,
    resizing: Resizing | None = None,
) -> tuple[float, Iterator[np.ndarray]]:
    """Opens a video once for its rate and its frames.

    Returns:
        frames per second in the file, 0.0 where it states none; and the frames, as
        from `read_frames`.
    """
    for name, value in (("frame_stride", frame_stride), ("max_frames", max_frames)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {value}.")
    path = Path(path)
    _check_is_file(path)  # now, and not only when the first frame is asked for
    frames = _frames_after_rate(path, frame_stride, max_frames, resizing)
    return next(frames), frames


def _frames_after_rate(
    path: Path, frame_stride: int, max_frames: int | None, resizing: Resizing | None
) -> Iterator[Any]:
    """Yields the rate, then the frames: a generator closes the file, whenever it is left."""
    with _opened(path) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate
        yield rate.numerator / rate.denominator if rate else 0.0
        # One converter for all frames: setting one up costs more than decoding a frame.
        convert = resizing.converter() if resizing else _rgb_converter()
        first_size = None
        for number, frame in enumerate(_decoded_frames(path, container, stream)):
            size = (frame.width, frame.height)
            first_size = first_size or size
            if size != first_size:
                raise ValueError(
                    f"All frames of a video must have one size. Frame {number} (counted from 0) "
                    f"of {path} is {size[0]}x{size[1]}, the first is "
                    f"{first_size[0]}x{first_size[1]}. Re-encode the video at one size."
                )
            if number % frame_stride:
                continue
            pixels = convert(frame).to_ndarray()
            yield np.ascontiguousarray(_upright(pixels, _display_matrix(path, frame)))
            if max_frames is not None and number // frame_stride + 1 == max_frames:
                return


def _rgb_converter() -> Callable[[Any], Any]:
    return functools.partial(VideoReformatter().reformat, format="rgb24")


def require_frame_rate(frame_rate_hz: float) -> None:
    """Refuses a rate that no film can be written with."""
    if not 0.01 <= frame_rate_hz <= 1000:
        raise ValueError(f"`frame_rate_hz` must be from 0.01 to 1000. Received: {frame_rate_hz}.")


def write_video(path: Path | str, frames: Iterable[np.ndarray], frame_rate_hz: float) -> None:
    """Encodes frames as a video that common players and browsers play.

    H.264 where FFmpeg has an encoder for it, else MPEG-4; colours at half
    resolution (yuv420p), so decoded frames are near the given ones, not equal.
    The file appears whole or not at all.

    Args:
        path: the file; its ending chooses the container: .mp4, .mov, .mkv, .avi.
        frames: uint8 arrays (height, width, 3), red, green, blue, all of one
            size, height and width even.
        frame_rate_hz: frames per second, from 0.01 to 1000.

    Raises:
        ValueError: the ending or the rate is out of range, there are no frames,
            or a frame is of another type, or of an odd or another size.

    Example:
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "grey.mp4"
    >>> write_video(path, [np.full((32, 48, 3), 128, "uint8")] * 5, frame_rate_hz=25)
    >>> probe_video(path)
    VideoInfo(frame_rate_hz=25.0, width=48, height=32, num_frames=5, rotation_degrees=0)
    """
    path = Path(path)
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise ValueError(
            f"A video's file must end in one of {', '.join(WRITABLE_SUFFIXES)}. Received: {path}."
        )
    require_frame_rate(frame_rate_hz)
    # MPEG-4 stores the rate as a fraction of 16-bit numbers.
    rate = Fraction(frame_rate_hz).limit_denominator(1001)
    with replacing_file(path) as temporary:
        try:
            with av.open(str(temporary.absolute()), "w") as container:
                _encode(path, container, frames, rate)
        except av.FFmpegError as error:
            raise ValueError(f"{path} could not be encoded: {error.strerror}.") from error


def _encode(path: Path, container: Any, frames: Iterable[np.ndarray], rate: Fraction) -> None:
    stream = None
    for number, frame in enumerate(frames):
        _check_frame(path, number, frame, stream)
        if stream is None:
            has_h264 = "libx264" in av.codecs_available
            # Both settings: hardly a visible loss.
            options = _X264_OPTIONS if has_h264 else {"qmin": "2", "qmax": "4"}
            stream = container.add_stream("libx264" if has_h264 else "mpeg4", rate=rate)
            stream.height, stream.width = frame.shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.options = options
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture.pts, picture.time_base = number, 1 / rate
        container.mux(stream.encode(picture))
    if stream is None:
        raise ValueError(f"A video must have at least one frame. Received none for {path}.")
    container.mux(stream.encode(None))


def _check_frame(path: Path, number: int, frame: np.ndarray, stream: Any) -> None:
    received = f"Received: {frame.dtype} {frame.shape} for frame {number} of {path}."
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise ValueError(f"Frames must be uint8 (height, width, 3). {received}")
    height, width = frame.shape[:2]
    if height < 2 or width < 2 or height % 2 or width % 2:
        raise ValueError(
            f"Height and width of frames must be even, since two pixels share a colour. {received} "
            "Crop or resize the frames by one row or column."
        )
    if stream is not None and (height, width) != (stream.height, stream.width):
        raise ValueError(
            f"All frames must have the size of the first, {stream.height}x{stream.width}. "
            f"{received}"
        )


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        if path.is_dir():
            raise FileNotFoundError(f"{path} must be a video file. It is a folder.")
        raise FileNotFoundError(f"There is no video file {path}.")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Opens a video; gives its container and its video stream."""
    _check_is_file(path)
    try:
        # Absolute, or FFmpeg reads a name such as "http:a.mp4" as an address.
        container = av.open(str(path.absolute()))
    except av.FFmpegError as error:
        raise ValueError(f"{path} cannot be read as a video: {error.strerror}.") from error
    with container:
        stream = container.streams.best("video")
        if stream is None:
            raise ValueError(f"{path} holds no video that FFmpeg can decode.")
        name = container.format.name
        # FFmpeg opens a picture as a film of one frame, and some texts as films of text.
        if name in ("image2", "tty") or name.endswith("_pipe"):
            raise ValueError(f"{path} is no video. FFmpeg takes it for {name!r}.")
        yield container, stream


def _decoded_frames(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    """Yields PyAV frames in the order of presentation; raises where one is not whole.

    The decoder's own order is the order of presentation. The time stamps would
    not do: AVI stores none, and FFmpeg's guesses are wrong where there are
    B-frames.
    """
    number = 0
    end = 0  # of the last packet, in the stream's own unit of time
    try:
        for packet in container.demux(stream):
            start = packet.pts if packet.pts is not None else packet.dts
            if start is not None:
                end = max(end, start + (packet.duration or 0))
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise ValueError(
                        f"{path} is damaged in frame {number} (counted from 0). {_ADVICE}"
                    )
                yield frame
                number += 1
    except av.FFmpegError as error:
        raise ValueError(
            f"{path} breaks off at frame {number} (counted from 0): {error.strerror}. {_ADVICE}"
        ) from error
    if number == 0:
        raise ValueError(f"{path} is a video without frames.")
    rate = stream.average_rate or stream.guessed_rate
    stated_end = _stated_end_seconds(container, stream, rate)
    if stated_end is not None:
        missing = (stated_end - end * float(stream.time_base)) * float(rate)
        if missing > 0.5:
            raise ValueError(
                f"{path} breaks off at frame {number} (counted from 0): it states "
                f"{stated_end:.2f} seconds, {missing:.0f} frame(s) more than it holds. {_ADVICE}"
            )


def _stated_end_seconds(container: Any, stream: Any, rate: Any) -> float | None:
    """The time at which the container says that the film ends; None where it says nothing.

    Asked of the two containers that FFmpeg reads to the end of the file, wherever
    that is; MP4 and MOV list their packets, so FFmpeg itself misses the last ones.
    """
    name = container.format.name
    if not rate:
        return None
    if name == "avi" and stream.frames:
        # Not the number of packets: AVI counts a place that repeats the frame before it.
        return stream.frames / float(rate)
    if name.startswith("matroska"):
        # A tag such as 00:00:10.333000000; not every program writes it.
        parts = stream.metadata.get("DURATION", "").split(":")
        try:
            hours, minutes, seconds = (float(part) for part in parts)
        except ValueError:
            return None
        return 3600 * hours + 60 * minutes + seconds
    return None


def _display_matrix(path: Path, frame: Any) -> tuple[tuple[float, float], tuple[float, float]]:
    """How the file asks to turn its pictures: rows are where +x and +y of a picture point."""
    stored = frame.side_data.get("DISPLAYMATRIX")
    if stored is None:
        return (1.0, 0.0), (0.0, 1.0)
    # Nine integers, row by row; those of the upper left 2x2 have 16 bits after the point.
    a, b, _, c, d, *_ = (value / 65536 for value in struct.unpack("=9i", bytes(stored)))
    axes_stay, axes_swap = a and d and not (b or c), b and c and not (a or d)
    if not (axes_stay or axes_swap):
        raise ValueError(
            "A video may ask for rotation by multiples of 90 degrees only. "
            f"{path} asks for the matrix {((a, b), (c, d))}. Re-encode it upright."
        )
    return (a, b), (c, d)


def _upright(
    pixels: np.ndarray, matrix: tuple[tuple[float, float], tuple[float, float]]
) -> np.ndarray:
    """Turns (height, width, channels) as the display matrix asks."""
    (x_to_x, x_to_y), (y_to_x, y_to_y) = matrix
    if x_to_y:  # rows become columns
        pixels, x_to_x, y_to_y = pixels.transpose(1, 0, 2), y_to_x, x_to_y
    if x_to_x < 0:
        pixels = pixels[:, ::-1]
    if y_to_y < 0:
        pixels = pixels[::-1]
    return pixels
