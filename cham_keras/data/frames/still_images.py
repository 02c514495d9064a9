"""One still image as an array: decoded, brought to 8 bits, and Bayer mosaics to colour.

`norpix.py` calls this for the images inside a sequence, `image_folder.py` for
files. What comes out is always uint8 (height, width, 3), red, green, blue.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError


def decode_image(
    source: Path | bytes,
    name: str,
    formats: tuple[str, ...],
    expected_size: tuple[int, int] | None = None,
    real_bit_depth: int = 16,
) -> np.ndarray:
    """Decodes an image file or the bytes of one.

    Grey becomes three equal channels and a palette its colours; transparency is
    left out, so what lies under it shows. A file is turned as its EXIF
    orientation asks; bytes stay as they are.

    Args:
        source: the file, or its bytes.
        name: what error messages call it.
        formats: names of Pillow's formats that it may have, such as ("JPEG",).
        expected_size: (width, height) that it must state before it is decoded.
        real_bit_depth: bits that a value of a 16-bit image really has.

    Returns:
        a uint8 array (height, width, 3), red, green, blue.

    Raises:
        ValueError: it is no image of these formats, it is damaged, or its size
            is not the expected one.
    """
    try:
        opened = Image.open(BytesIO(source) if isinstance(source, bytes) else source, "r", formats)
        with opened as image:
            stated_size = image.size
            if expected_size in (None, stated_size):
                if isinstance(source, Path):
                    ImageOps.exif_transpose(image, in_place=True)
                return _rgb(image, real_bit_depth)
    except MemoryError:  # says nothing about the image
        raise
    except UnidentifiedImageError as error:  # Pillow's own words name an address in memory
        raise ValueError(f"{name} must be an image of {' or '.join(formats)}. It is none.") from (
            error
        )
    except Exception as error:
        # Pillow meets damage with errors of a dozen kinds: OSError, SyntaxError, struct.error, ...
        reason = str(error).rstrip(".") or type(error).__name__
        raise ValueError(f"{name} cannot be read as an image: {reason}.") from error
    raise ValueError(
        f"{name} must be {expected_size[0]}x{expected_size[1]} pixels (width x height). "
        f"Received: {stated_size[0]}x{stated_size[1]}."
    )


def _rgb(image: Image.Image, real_bit_depth: int) -> np.ndarray:
    if image.mode == "I" or image.mode.startswith("I;16"):  # 16 bits; Pillow would clip to 255
        grey = to_8_bit(np.asarray(image), real_bit_depth)
        return np.stack([grey] * 3, axis=-1)
    # With it, Pillow warns of what is said in the docstring.
    image.info.pop("transparency", None)
    return np.array(image.convert("RGB"))


def to_8_bit(values: np.ndarray, real_bit_depth: int) -> np.ndarray:
    """Scales values so that the largest of the real bit depth becomes 255, to the nearest.

    Args:
        values: integers of any shape.
        real_bit_depth: bits that a value really has, from 8 to 16.

    Returns:
        a uint8 array of the same shape.

    Raises:
        ValueError: the depth is out of range, or a value needs more bits.

    Example:
    >>> to_8_bit(np.array([0, 2048, 4095]), real_bit_depth=12)
    array([  0, 128, 255], dtype=uint8)
    """
    if not 8 <= real_bit_depth <= 16:
        raise ValueError(f"The real bit depth must be from 8 to 16. Received: {real_bit_depth}.")
    largest = 2**real_bit_depth - 1
    if values.max(initial=0) > largest or values.min(initial=0) < 0:
        raise ValueError(
            f"Pixels of {real_bit_depth} bits must be from 0 to {largest}. "
            f"Received: values from {values.min()} to {values.max()}."
        )
    return ((values.astype(np.uint32) * 255 + largest // 2) // largest).astype(np.uint8)


def demosaic_bggr(mosaic: np.ndarray) -> np.ndarray:
    """Fills in a Bayer mosaic's missing colours with the mean of their nearest neighbours.

    The upper left pixel is blue, its right and lower neighbours green, the next
    on the diagonal red. The picture is mirrored at its edges.

    Args:
        mosaic: a uint8 array (height, width), both at least 2.

    Returns:
        a uint8 array (height, width, 3), red, green, blue.

    Example:
    >>> red_light = np.zeros((4, 6), "uint8")
    >>> red_light[1::2, 1::2] = 200
    >>> demosaic_bggr(red_light)[2, 3].tolist()
    [200, 0, 0]
    """
    height, width = mosaic.shape
    padded = np.pad(mosaic.astype(np.uint16), 1, mode="reflect")

    def moved(rows: int, columns: int) -> np.ndarray:
        return padded[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    left_right = moved(0, -1) + moved(0, 1)
    above_below = moved(-1, 0) + moved(1, 0)
    diagonal = moved(-1, -1) + moved(-1, 1) + moved(1, -1) + moved(1, 1)
    # The means, rounded.
    horizontal, vertical = (left_right + 1) // 2, (above_below + 1) // 2
    cross, corners = (left_right + above_below + 2) // 4, (diagonal + 2) // 4

    even, odd = slice(0, None, 2), slice(1, None, 2)
    rgb = np.empty((height, width, 3), np.uint8)
    for rows, columns, colours in (
        (even, even, (corners, cross, mosaic)),  # blue pixels
        (even, odd, (vertical, mosaic, horizontal)),  # green ones between blue ones
        (odd, even, (horizontal, mosaic, vertical)),  # green ones between red ones
        (odd, odd, (mosaic, cross, corners)),  # red ones
    ):
        for channel, colour in enumerate(colours):
            rgb[rows, columns, channel] = colour[rows, columns]
    return rgb
