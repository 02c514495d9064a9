"""Attention maps laid over frames: arrays in, arrays out.

Frames go to the backbone resized to a square without crop, so cell (i, j) of a
K x K map stands for the same share of the frame's height and width, whatever the
frame's shape. `pictures` and `video` call this.

The colours are those of matplotlib's `inferno`: its brightness grows evenly from
black to yellow, so it reads the same with any colour vision and in grey.
"""

import numpy as np
from matplotlib import colormaps
from PIL import Image

#: Dark where the weight is 0, bright at the top of the scale.
COLOUR_MAP = "inferno"

#: The least top of a scale, in shares of uniform attention. Without it, the noise of a map
#: that is all but uniform would be stretched to look like a finding.
LEAST_SCALE_TOP = 2.0

# How much of the frame shows through, in grey: enough to see what is attended.
_FRAME_SHARE = 0.45


def upsample_map(attention_map: np.ndarray, frame_height: int, frame_width: int) -> np.ndarray:
    """Brings a map to the size of a frame, smoothly.

    Bicubic between the cells' middles; at the edges, the outermost cells reach to the
    frame's border. Values stay within the map's own.

    Args:
        attention_map: `(height, width)`.
        frame_height: in pixels.
        frame_width: in pixels.

    Returns:
        `(frame_height, frame_width)` float32.

    Example:
    >>> upsample_map(np.array([[0.0, 1.0]]), 2, 4)[0].round(2).tolist()
    [0.0, 0.2, 0.8, 1.0]
    """
    cells = Image.fromarray(np.ascontiguousarray(attention_map, "float32"), mode="F")
    smooth = np.asarray(cells.resize((frame_width, frame_height), Image.Resampling.BICUBIC))
    # A cubic swings past sharp steps; no cell has the weights that it would show there.
    return np.clip(smooth, np.min(attention_map), np.max(attention_map))


def overlay(frame: np.ndarray, relative_map: np.ndarray, scale_top: float) -> np.ndarray:
    """Colours a frame by attention: bright where the model looks, dark elsewhere.

    Args:
        frame: uint8 `(frame_height, frame_width, 3)`, RGB.
        relative_map: `(height, width)`, 1 where a cell gets its even share.
        scale_top: the relative weight that gets the brightest colour; frames that are
            compared need the same one.

    Returns:
        uint8 `(frame_height, frame_width, 3)`.

    Example:
    >>> frame = np.full((4, 8, 3), 100, "uint8")
    >>> coloured = overlay(frame, np.array([[0.0, 2.0]]), scale_top=2.0)
    >>> bool(coloured[:, -1].mean() > coloured[:, 0].mean())
    True
    """
    weights = upsample_map(relative_map, *frame.shape[:2]) / scale_top
    colours = colormaps[COLOUR_MAP](weights)[..., :3] * 255
    grey = frame @ np.array([0.299, 0.587, 0.114])
    return np.round(colours + _FRAME_SHARE * (grey[..., None] - colours)).astype("uint8")


def scale_top_of(relative_maps: np.ndarray) -> float:
    """The top of a colour scale that fits all of some maps.

    Args:
        relative_maps: maps of any number, 1 where a cell gets its even share.

    Returns:
        the largest weight, and at least `LEAST_SCALE_TOP`.
    """
    return max(LEAST_SCALE_TOP, float(np.max(relative_maps)))
