"""Norpix sequences (`.seq`): what StreamPix records, and Olympic Sports is distributed as.

Comes in: a file. Goes out: its frames as arrays, one at a time, and its frame
rate. `clip_frames.py` calls this.

The format, from its first image on (`norpix_header.py` has what stands before):

- raw: frame i begins at start + i x (bytes from one frame to the next), with the
  image and then its time stamp.
- JPEG and PNG: a u32 n that counts its own four bytes, n - 4 bytes of image, a
  time stamp, padding. The next frame begins n + 8 bytes after this one, or
  n + 16 where the u32 at n + 8 after the first frame is zero.

Which Bayer pattern a camera has is not stated in the file. Blue stands in the
upper left corner here, as in Piotr Dollár's toolbox, the reader that most
published `.seq` data sets were made with.
"""

import logging
import math
import struct
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cham_keras.data.frames.norpix_header import HEADER_BYTES, NorpixHeader, parse_header
from cham_keras.data.frames.still_images import decode_image, demosaic_bggr, to_8_bit

logger = logging.getLogger(__name__)

#: What images in the formats of Pillow begin with.
_SIGNATURES = {"JPEG": b"\xff\xd8", "PNG": b"\x89PNG\r\n\x1a\n"}
#: Time stamps that are read to find the frame rate; from the first frame on.
_NUM_TIME_STAMPS = 500
#: A stated rate that differs by more, relative, is taken for wrong.
RATE_TOLERANCE = 0.01


class NorpixSequence:
    """A Norpix sequence: what it states, and its frames.

    Opening one reads the header and finds where its frames are; no image is read
    before it is asked for, and one at a time.

    A file that was cut off gives its whole frames: those whose images are whole.
    What is missing then stands in `problem`.

    Args:
        path: a `.seq` file.

    Attributes:
        path: the file.
        header: what its header states.
        num_frames: number of whole frames; at least 1.
        problem: a sentence on frames that are missing, or that follow the last
            one that the header states and are left out; None where all is well.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a value of the header breaks its rule, there is no whole
            frame, or a frame is damaged so that the next cannot be found.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"There is no Norpix sequence {self.path}.")
        #: Where each image begins, and its bytes; None where that is a matter of counting.
        self._places: list[tuple[int, int]] | None = None
        # Unbuffered: a few bytes here and there are read, and a buffer is filled for each.
        with self.path.open("rb", buffering=0) as file:
            self.header: NorpixHeader = parse_header(file.read(HEADER_BYTES), self.path)
            file_bytes = file.seek(0, 2)
            if self.header.kind in _SIGNATURES:
                self._places, cut = self._find_compressed(file, file_bytes)
                num_found = len(self._places)
            else:
                num_found, cut = self._find_raw(file_bytes)
        stated = self.header.num_frames
        self.num_frames = min(stated, num_found) if stated else num_found
        if not self.num_frames:
            raise ValueError(
                f"A Norpix sequence must hold at least one whole frame. Received: {self.path}, "
                f"which has {file_bytes} bytes and states {stated or 'no number of'} frames."
            )
        self.problem = self._problem(num_found, cut)

    @cached_property
    def frame_rate_hz(self) -> float:
        """Frames per second: as stated, or by the time stamps where they disagree.

        They disagree where the rates differ by more than 1% and by more than the
        resolution of the stamps can explain. Up to 500 stamps are read. Pauses
        between frames count for nothing where at least three quarters of the
        steps are within half of the usual one; else the rate is the mean rate.
        Stamps that do not advance, or are no times, say nothing.

        Raises:
            ValueError: neither the header nor the time stamps tell the rate.
        """
        stated = self.header.frame_rate_hz
        is_stated = math.isfinite(stated) and 0.001 <= stated <= 1e6
        measured, error = self._measured_rate()
        if measured is None:
            if not is_stated:
                raise ValueError(
                    "The frame rate in the header of a Norpix sequence must be from 0.001 to "
                    f"1000000, since its time stamps tell no rate. Received: {stated} in "
                    f"{self.path}."
                )
            return stated
        if is_stated and abs(measured / stated - 1) <= RATE_TOLERANCE + error:
            return stated
        logger.info(
            "%s states %s frames per second; its time stamps tell %.4f, which are taken.",
            self.path,
            stated,
            measured,
        )
        return measured

    def frames(self, numbers: Iterable[int] | None = None) -> Iterator[np.ndarray]:
        """Reads frames, one at a time.

        Values of more than 8 bits are scaled to 8 by their real depth.

        Args:
            numbers: of the frames, counted from 0; None for all.

        Yields:
            uint8 arrays (height, width, 3), red, green, blue; grey as three
            equal channels.

        Raises:
            ValueError: a number is out of range, or a frame is damaged.
        """
        with self.path.open("rb", buffering=0) as file:
            for number in range(self.num_frames) if numbers is None else numbers:
                if not 0 <= number < self.num_frames:
                    raise ValueError(
                        f"The number of a frame must be from 0 to {self.num_frames - 1}. "
                        f"Received: {number} of {self.path}."
                    )
                yield self._frame(file, number)

    def _frame(self, file: BinaryIO, number: int) -> np.ndarray:
        header = self.header
        position, image_bytes = self._place(number)
        name = f"Frame {number} (counted from 0) of {self.path}"
        file.seek(position)
        content = file.read(image_bytes)
        if len(content) < image_bytes:
            raise ValueError(f"{name} has gone from the file while it was read.")
        if header.kind in _SIGNATURES:
            size = (header.width, header.height)
            return decode_image(content, name, (header.kind,), size, header.real_bit_depth)
        if header.kind == "raw BGR":
            bgr = np.frombuffer(content, np.uint8).reshape(header.height, header.width, 3)
            return np.ascontiguousarray(bgr[..., ::-1])
        values = np.frombuffer(content, np.uint8 if header.bit_depth == 8 else "<u2")
        if header.bit_depth > 8:
            try:
                values = to_8_bit(values, header.real_bit_depth)
            except ValueError as error:
                raise ValueError(f"{name} breaks the stated bit depth: {error}") from None
        values = values.reshape(header.height, header.width)
        if header.kind == "raw Bayer":
            return demosaic_bggr(values)
        return np.stack([values] * 3, axis=-1)

    def _place(self, number: int) -> tuple[int, int]:
        """Where an image begins, and how many bytes it has."""
        if self._places is not None:
            return self._places[number]
        header = self.header
        return header.start + number * header.frame_bytes, header.image_bytes

    def _find_raw(self, file_bytes: int) -> tuple[int, bool]:
        """Counts the whole frames; says whether bytes of a cut one follow."""
        header = self.header
        room = file_bytes - header.start
        if room < header.image_bytes:
            return 0, room > 0
        # The last one needs no padding behind it.
        num_found = (room - header.image_bytes) // header.frame_bytes + 1
        return num_found, room > num_found * header.frame_bytes

    def _find_compressed(
        self, file: BinaryIO, file_bytes: int
    ) -> tuple[list[tuple[int, int]], bool]:
        """Goes from frame to frame through the file; says whether the last one is cut."""
        header = self.header
        signature = _SIGNATURES[header.kind]
        # No image needs more, and a wrong length must not fill the memory.
        most = 8 * header.width * header.height + 2**16
        places: list[tuple[int, int]] = []
        position, extra = header.start, 8
        while position < file_bytes:
            file.seek(position)
            content = file.read(4 + len(signature))
            length = struct.unpack("<I", content[:4])[0] if len(content) >= 4 else None
            found = content[4:]
            fits = length is None or 4 + len(signature) < length <= most
            if not (fits and signature.startswith(found)):
                # What follows the last stated frame may be anything; zeros are room left over.
                if len(places) >= header.num_frames and (header.num_frames or length == 0):
                    break
                raise ValueError(
                    f"Frame {len(places)} (counted from 0) of {self.path} is damaged: a "
                    f"{header.kind} of at most {most} bytes must stand at byte {position}. "
                    f"Received: the length {length} and the bytes {found.hex(' ') or 'none'}."
                )
            if length is None or position + length > file_bytes:
                return places, True
            places.append((position + 4, length - 4))
            if len(places) == 1:
                file.seek(position + length + 8)
                if file.read(4) == bytes(4):
                    extra = 16
            position += length + extra
        return places, False

    def _problem(self, num_found: int, cut: bool) -> str | None:
        stated = self.header.num_frames
        if num_found < stated:
            return (
                f"{self.path} breaks off: {stated - num_found} of {stated} frames are missing; "
                f"its {num_found} whole frames are used."
            )
        if not stated and cut:
            return (
                f"{self.path} breaks off: its last frame is cut, and how many more are missing is "
                f"not stated; its {num_found} whole frames are used."
            )
        if stated and num_found > stated:
            return (
                f"{self.path} states {stated} frames and holds {num_found}; the last "
                f"{num_found - stated} are left out."
            )
        return None

    def _measured_rate(self) -> tuple[float | None, float]:
        """The rate by the time stamps, and its relative error; None where they tell none."""
        microseconds = self._time_stamps()
        if len(microseconds) < 2:
            return None, 0.0
        resolution = 1 if np.any(microseconds % 1000) else 1000
        steps = np.diff(microseconds)
        usual = np.median(steps)
        kept = steps[np.abs(steps - usual) <= max(usual / 2, resolution)]
        if 4 * len(kept) < 3 * len(steps):  # no step is usual
            kept = steps
        if kept.sum() <= 0:
            return None, 0.0
        # Each stretch between pauses is off by at most one step of the clock.
        stretches = 1 + len(steps) - len(kept)
        return 1e6 / float(kept.mean()), stretches * resolution / float(kept.sum())

    def _time_stamps(self) -> np.ndarray:
        """The first frames' times in microseconds, int64; none where one of them is no time."""
        stamp = self.header.time_stamp
        times: list[int] = []
        with self.path.open("rb", buffering=0) as file:
            for number in range(min(self.num_frames, _NUM_TIME_STAMPS)):
                position, image_bytes = self._place(number)
                file.seek(position + image_bytes)
                content = file.read(stamp.size)
                if len(content) < stamp.size:
                    break  # the file ends behind the last image
                seconds, *parts = stamp.unpack(content)
                if max(parts) > 999:
                    return np.empty(0, np.int64)
                milliseconds, microseconds = (*parts, 0)[:2]
                times.append(seconds * 1_000_000 + milliseconds * 1000 + microseconds)
        return np.array(times, np.int64)
