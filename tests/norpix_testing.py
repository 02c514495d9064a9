"""Writes Norpix sequences for tests, byte by byte as the format has them.

No recorded sequence with JPEG or PNG images, and none of a version before 5, was
at hand: those that the tests read are written here. The two recorded ones that
were (version 5, raw grey) are read in `data/test_norpix.py` where they lie.
"""

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

KIND_OF_FORMAT = {1: "PNG", 2: "PNG", 102: "JPEG", 201: "JPEG"}
#: Name -> (offset in the header, how it is packed).
FIELDS = {
    "magic": (0, "<I"),
    "name": (4, "24s"),
    "version": (28, "<i"),
    "header_size": (32, "<I"),
    "width": (548, "<I"),
    "height": (552, "<I"),
    "bit_depth": (556, "<I"),
    "real_bit_depth": (560, "<I"),
    "image_bytes": (564, "<I"),
    "image_format": (568, "<I"),
    "num_frames": (572, "<I"),
    "frame_bytes": (580, "<I"),
    "frame_rate_hz": (584, "<d"),
}


def drawn_pictures(num_frames: int = 4, height: int = 24, width: int = 40) -> list[np.ndarray]:
    """uint8 RGB pictures (height, width, 3): smooth, not square, all different."""
    rows, columns = np.mgrid[:height, :width]
    return [
        np.stack(
            [rows * 5 + 7 * number, columns * 4, 200 - rows * 3 - columns + 9 * number], axis=-1
        ).astype(np.uint8)
        for number in range(num_frames)
    ]


def encoded(picture: np.ndarray, kind: str) -> bytes:
    """The bytes of a picture as JPEG or PNG."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return content.getvalue()


def write_norpix(
    path: Path,
    images: Sequence[np.ndarray | bytes],
    image_format: int,
    version: int = 3,
    extra: int = 8,
    frame_rate_hz: float = 25.0,
    times: Sequence[float] | None = None,
    padding: int = 58,
    **header: object,
) -> list[int]:
    """Writes a sequence.

    Args:
        path: the file.
        images: of the frames, as they are stored; a compressed one may be given as its bytes.
        image_format: 1, 2, 100, 101, 102, 200, 201.
        version: of the format.
        extra: bytes from the end of a compressed image to the next frame: 8 or 16.
        frame_rate_hz: what the header states.
        times: of the frames, in seconds; one after the other at the stated rate, if None.
        padding: bytes between a raw frame's time stamp and the next frame.
        header: other fields of `FIELDS` than the images tell, for headers that lie.

    Returns:
        where the frames begin in the file, and where the last one ends.
    """
    start = 8192 if version >= 5 else 1024
    kind = KIND_OF_FORMAT.get(image_format)
    if times is None:
        times = [number / frame_rate_hz for number in range(len(images))]
    content = bytearray(start)
    places = []
    for image, seconds in zip(images, times, strict=True):
        places.append(len(content))
        stored = image if isinstance(image, bytes) else encoded(image, kind) if kind else image
        stored = stored if isinstance(stored, bytes) else stored.tobytes()
        content += (struct.pack("<I", len(stored) + 4) if kind else b"") + stored
        stamp = stamp_of(seconds, version)
        content += stamp + bytes((extra - len(stamp)) if kind else padding)
    places.append(len(content))
    sized = next((image for image in images if not isinstance(image, bytes)), np.empty((24, 40, 3)))
    height, width, *channels = sized.shape
    bit_depth = 8 * sized.itemsize * (channels[0] if channels else 1)
    image_bytes = height * width * bit_depth // 8
    values = {
        "magic": 0xFEED,
        "name": "Norpix seq".encode("utf-16-le"),
        "version": version,
        "header_size": 1024,
        "width": width,
        "height": height,
        "bit_depth": bit_depth,
        "real_bit_depth": 8 * sized.itemsize,
        "image_bytes": image_bytes,
        "image_format": image_format,
        "num_frames": len(images),
        "frame_bytes": image_bytes + len(stamp_of(0, version)) + padding,
        "frame_rate_hz": frame_rate_hz,
    }
    for name, value in (values | header).items():
        offset, packing = FIELDS[name]
        struct.pack_into(packing, content, offset, value)
    path.write_bytes(content)
    return places


def set_field(path: Path, name: str, value: object) -> None:
    """Overwrites a field of a sequence's header."""
    content = bytearray(path.read_bytes())
    offset, packing = FIELDS[name]
    struct.pack_into(packing, content, offset, value)
    path.write_bytes(content)


def stamp_of(seconds: float, version: int) -> bytes:
    """A time stamp: seconds, milliseconds and, from version 5 on, microseconds."""
    unit = 1_000_000 if version >= 5 else 1000
    whole, part = divmod(round(seconds * unit), unit)
    if version >= 5:
        return struct.pack("<IHH", whole, part // 1000, part % 1000)
    return struct.pack("<IH", whole, part)
