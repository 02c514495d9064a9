"""Frames as they come: a camera, an address on a network, or a file.

Comes in: what to open. Goes out: frames one by one, as long as there are any. `cham predict
--stream` calls it. A file is read as `video.py` reads it, where damage is an error. Of a camera
or an address, frames that are damaged are passed over: what was lost on the way does not come
back, and the next frame is better than an end.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from cham_keras.data.frames.resizing import Resizing
from cham_keras.data.frames.video import open_frames

#: How long an address may keep silent, in seconds.
_TIMEOUT_SECONDS = 20.0

#: Frames per second that are taken for granted where a stream states none.
_USUAL_RATE_HZ = 25.0


def open_live_frames(
    source: str, resizing: Resizing, frame_stride: int = 1
) -> tuple[float, Iterator[tuple[np.ndarray, np.ndarray]]]:
    """Opens a source of frames.

    Args:
        source: a video file; a camera, such as `/dev/video0`; or an address that FFmpeg
            reads, such as `rtsp://camera.local/stream`.
        resizing: how frames are brought to the size of a backbone.
        frame_stride: 1 gives every frame, 2 every other one.

    Returns:
        frames per second of the source, 25 where it states none; and of each frame the
        picture as it came and the one of the other size, both uint8 `(height, width, 3)`, red,
        green, blue. The second is what `read_frames` with this `resizing` gives: it is made
        from the decoder's own colours, and not from the first.

    Raises:
        FileNotFoundError: there is no such file or camera.
        ValueError: it cannot be read as a video. A file that breaks off raises it when its
            frames have come to that place.
    """
    if "://" not in source and not _is_camera(source):
        rate, frames = open_frames(Path(source), frame_stride)
        # Decoded twice: that costs little beside a CNN.
        _, resized = open_frames(Path(source), frame_stride, resizing=resizing)
        return rate or _USUAL_RATE_HZ, zip(frames, resized, strict=True)
    if _is_camera(source) and not Path(source).exists():
        raise FileNotFoundError(f"There is no camera {source}.")
    live = _frames_after_rate(source, resizing, frame_stride)
    return next(live), live


def _is_camera(source: str) -> bool:
    return source.startswith("/dev/")


def _frames_after_rate(source: str, resizing: Resizing, frame_stride: int) -> Iterator[Any]:
    """Yields the rate, then the frames: a generator closes the source, whenever it is left."""
    try:
        container = av.open(
            source,
            format="v4l2" if _is_camera(source) else None,
            timeout=_TIMEOUT_SECONDS,
        )
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(
            f"{source} cannot be read as a video: {reason}. Is it there, and does it send video?"
        ) from error
    with container:
        stream = container.streams.best("video")
        if stream is None:
            raise ValueError(f"{source} sends no video that FFmpeg can decode.")
        rate = stream.average_rate or stream.guessed_rate
        yield float(rate) if rate else _USUAL_RATE_HZ
        convert = resizing.converter()
        number = 0
        for packet in _packets(container, stream):
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                continue
            for frame in decoded:
                if not frame.is_corrupt and number % frame_stride == 0:
                    yield frame.to_ndarray(format="rgb24"), convert(frame).to_ndarray()
                number += 1


def _packets(container, stream) -> Iterator:
    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except StopIteration:
            return
        except av.FFmpegError:  # the connection has ended
            return
