"""The header of a Norpix sequence: its fields, and the rules that they must keep.

`norpix.py` reads it. Offsets in bytes from the start of the file, all values
little-endian; "frame" is the record of one image with its time stamp.

      0  u32  0xFEED
      4  24 bytes of UTF-16, "Norpix seq"
     28  i32  version of the format
     32  u32  size of the header
    548  u32  width, height, bit depth, real bit depth, bytes of an image, format of the images,
              number of frames (0: not stated), origin, bytes from one frame to the next
    584  f64  frames per second

What reading does not need is not checked: the sizes and bit depths that a
sequence of JPEG or PNG states beside the images themselves.
"""

import dataclasses
import struct
from pathlib import Path

_MAGIC = 0xFEED
_NAME = "Norpix seq".encode("utf-16-le")
#: The bytes of a header that hold the fields read here.
HEADER_BYTES = 592
#: Larger images are taken for a damaged header, before memory is asked for them.
MAX_PIXELS = 2**26

#: Format of the images -> what they are.
IMAGE_FORMATS = {
    1: "PNG",
    2: "PNG",
    100: "raw mono",
    101: "raw Bayer",
    102: "JPEG",
    200: "raw BGR",
    201: "JPEG",
}


@dataclasses.dataclass(frozen=True)
class NorpixHeader:
    """What the header of a sequence states, after its rules were checked.

    Attributes:
        version: of the format; 5 changed where images start and added
            microseconds to the time stamps.
        width: of an image, in pixels.
        height: of an image, in pixels.
        bit_depth: bits that a pixel takes in the file.
        real_bit_depth: bits that a value really has.
        image_bytes: bytes of a raw image.
        image_format: a key of `IMAGE_FORMATS`.
        num_frames: number of frames that the header states; 0 where it states none.
        frame_bytes: bytes from one raw frame to the next.
        frame_rate_hz: as stated; any number, also none.
    """

    version: int
    width: int
    height: int
    bit_depth: int
    real_bit_depth: int
    image_bytes: int
    image_format: int
    num_frames: int
    frame_bytes: int
    frame_rate_hz: float

    @property
    def kind(self) -> str:
        """What the images are: "JPEG", "PNG", "raw mono", "raw BGR" or "raw Bayer"."""
        return IMAGE_FORMATS[self.image_format]

    @property
    def start(self) -> int:
        """Where the first frame begins, in bytes; the stated header size does not tell it."""
        return 8192 if self.version >= 5 else 1024

    @property
    def time_stamp(self) -> struct.Struct:
        """Seconds, milliseconds and, from version 5 on, microseconds."""
        return struct.Struct("<IHH" if self.version >= 5 else "<IH")


def parse_header(content: bytes, path: Path) -> NorpixHeader:
    """Reads a header and checks it.

    Args:
        content: the file's first `HEADER_BYTES` bytes, or fewer if it has fewer.
        path: the file, for error messages.

    Raises:
        ValueError: a value breaks its rule.
    """
    if len(content) < HEADER_BYTES:
        raise ValueError(
            f"A Norpix sequence must begin with a header of {HEADER_BYTES} bytes or more. "
            f"Received: {path}, which holds {len(content)} bytes."
        )
    (magic,) = struct.unpack_from("<I", content, 0)
    _check(path, "magic number", hex(magic), magic == _MAGIC, hex(_MAGIC))
    name = content[4:28]
    _check(path, "name", name, name.startswith(_NAME), "'Norpix seq' in UTF-16")
    version, header_size = struct.unpack_from("<iI", content, 28)
    _check(path, "version", version, 1 <= version <= 99, "from 1 to 99")
    sizes = (1024, 8192) if version >= 5 else (1024,)
    _check(path, "header size", header_size, header_size in sizes, _listed(sizes))

    width, height, bit_depth, real_bit_depth, image_bytes, image_format, num_frames, _, stride = (
        struct.unpack_from("<9I", content, 548)
    )
    (frame_rate_hz,) = struct.unpack_from("<d", content, 584)
    header = NorpixHeader(
        version=version,
        width=width,
        height=height,
        bit_depth=bit_depth,
        real_bit_depth=real_bit_depth,
        image_bytes=image_bytes,
        image_format=image_format,
        num_frames=num_frames,
        frame_bytes=stride,
        frame_rate_hz=frame_rate_hz,
    )
    known = image_format in IMAGE_FORMATS
    _check(path, "image format", image_format, known, _listed(IMAGE_FORMATS))
    in_range = width >= 1 and height >= 1 and width * height <= MAX_PIXELS
    rule = f"from 1x1 to {MAX_PIXELS} pixels in all"
    _check(path, "size (width x height)", f"{width}x{height}", in_range, rule)
    if header.kind.startswith("raw"):
        _check_raw(path, header)
    return header


def _check_raw(path: Path, header: NorpixHeader) -> None:
    """The rules for images that are stored as they are."""
    depth, real = header.bit_depth, header.real_bit_depth
    if header.kind == "raw BGR":
        _check(path, "bit depth", depth, depth == 24, "24 for format 200")
        # Of a pixel or of one of its three values: writers do not agree.
        _check(path, "real bit depth", real, real in (8, 24), "8 or 24 for format 200")
    else:
        # Where two pixels share a byte, readers do not agree on the order of the bits.
        rule = f"8 or 16 for format {header.image_format}"
        _check(path, "bit depth", depth, depth in (8, 16), rule)
        _check(path, "real bit depth", real, 8 <= real <= depth, f"from 8 to {depth}")
    if header.kind == "raw Bayer":
        size = f"{header.width}x{header.height}"
        _check(path, "size", size, min(header.width, header.height) >= 2, "2x2 or more for Bayer")
    needed = header.width * header.height * depth // 8
    _check(path, "image size", header.image_bytes, header.image_bytes == needed, f"{needed} bytes")
    least = needed + header.time_stamp.size
    rule = f"{least} bytes or more, for an image and its time stamp"
    _check(path, "true image size", header.frame_bytes, header.frame_bytes >= least, rule)


def _check(path: Path, field: str, value: object, holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(
            f"The {field} in the header of a Norpix sequence must be {rule}. "
            f"Received: {value} in {path}."
        )


def _listed(values: object) -> str:
    *others, last = [str(value) for value in values]  # type: ignore[attr-defined]
    return f"{', '.join(others)} or {last}" if others else last
