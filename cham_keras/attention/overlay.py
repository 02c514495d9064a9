"""Attention maps laid over frames: arrays in, arrays out.

Frames go to the backbone resized to a square without crop, so a cell stands for the same
share of the frame's height and width, whatever the frame's shape; which one, the backbone's
`FeatureGrid` says. `pictures` and `video` call this.

The colours are those of matplotlib's `inferno`: its brightness grows evenly from
black to yellow, so it reads the same with any colour vision and in grey.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.figure import Figure
from PIL import Image

from cham_keras.data import FeatureGrid

#: Dark where the weight is 0, bright at the top of the scale.
COLOUR_MAP = "inferno"

#: The least top of a scale, in shares of uniform attention. Without it, the noise of a map
#: that is all but uniform would be stretched to look like a finding.
LEAST_SCALE_TOP = 4.0

# A softmax gives a few cells many times the even share and most a little of it. Colours
# follow the square root, so that both can be seen; the scale's numbers say so.
_EXPONENT = 0.5

# How much of the frame shows through, in grey: enough to see what is attended.
_FRAME_SHARE = 0.35
_MIDDLE_GREY = 128

# What the scale and its numbers take of a figure's width, in inches.
_SCALE_SPACE = 0.4


def upsample_map(
    attention_map: np.ndarray,
    frame_height: int,
    frame_width: int,
    grid: FeatureGrid | None = None,
) -> np.ndarray:
    """Brings a map to the size of a frame, smoothly.

    Bicubic between the cells' middles; beyond the outermost ones, their weights reach to the
    frame's border. Values stay within the map's own.

    Args:
        attention_map: `(height, width)`.
        frame_height: in pixels.
        frame_width: in pixels.
        grid: where the cells' middles lie; evenly, where it is left out.

    Returns:
        `(frame_height, frame_width)` float32.

    Example:
    >>> upsample_map(np.array([[0.0, 1.0]]), 2, 6)[0].round(2).tolist()
    [0.0, 0.0, 0.3, 0.7, 1.0, 1.0]
    >>> to_the_right = FeatureGrid(first=(0.5, 0.5), step=(1.0, 0.5))
    >>> upsample_map(np.array([[0.0, 1.0]]), 2, 6, to_the_right)[0].round(2).tolist()
    [0.0, 0.0, 0.0, 0.12, 0.5, 0.88]
    """
    height, width = attention_map.shape
    grid = FeatureGrid.even(height, width) if grid is None else grid
    # The frame's borders, counted in cells from that of the map.
    borders = [
        [(border - first) / step + 0.5 for border in (0, 1)]
        for first, step in zip(grid.first, grid.step, strict=True)
    ]
    # Cells around the map, so that the frame and what a cubic looks at beside it lie inside.
    beyond = [
        max(-start, end - cells)
        for (start, end), cells in zip(borders, (height, width), strict=True)
    ]
    around = 2 + math.ceil(max(0, *beyond))
    cells = Image.fromarray(np.pad(np.asarray(attention_map, "float32"), around, mode="edge"))
    (top, bottom), (left, right) = (np.array(of_axis) + around for of_axis in borders)
    smooth = np.asarray(
        cells.resize(
            (frame_width, frame_height),
            Image.Resampling.BICUBIC,
            box=(left, top, right, bottom),
        )
    )
    # A cubic swings past sharp steps; no cell has the weights that it would show there.
    return np.clip(smooth, np.min(attention_map), np.max(attention_map))


def overlay(
    frame: np.ndarray,
    relative_map: np.ndarray,
    scale_top: float,
    grid: FeatureGrid | None = None,
) -> np.ndarray:
    """Colours a frame by attention: bright where the model looks, dark elsewhere.

    Args:
        frame: uint8 `(frame_height, frame_width, 3)`, RGB.
        relative_map: `(height, width)`, 1 where a cell gets its even share.
        scale_top: the relative weight that gets the brightest colour; frames that are
            compared need the same one.
        grid: where in the frame the map's cells lie; evenly, where it is left out.

    Returns:
        uint8 `(frame_height, frame_width, 3)`.

    Example:
    >>> frame = np.full((4, 8, 3), 100, "uint8")
    >>> coloured = overlay(frame, np.array([[0.0, 2.0]]), scale_top=2.0)
    >>> bool(coloured[:, -1].mean() > coloured[:, 0].mean())
    True
    """
    # The place on the scale is what is made smooth: smooth weights would have hard borders
    # after the square root.
    height, width = frame.shape[:2]
    places = upsample_map(_place_on_scale(relative_map, scale_top), height, width, grid)
    grey = frame @ np.array([0.299, 0.587, 0.114])
    return _coloured(grey, places).round().astype("uint8")


def shrunk(frame: np.ndarray, largest_side: int) -> np.ndarray:
    """Makes a frame smaller, if a side has more than `largest_side` pixels; keeps its shape.

    Example:
    >>> shrunk(np.zeros((1080, 1920, 3), "uint8"), 480).shape
    (270, 480, 3)
    """
    height, width = frame.shape[:2]
    share = largest_side / max(height, width)
    if share >= 1:
        return frame
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))


def scale_top_of(relative_maps: np.ndarray) -> float:
    """The top of a colour scale that fits all of some maps.

    Args:
        relative_maps: maps of any number, 1 where a cell gets its even share.

    Returns:
        the largest weight, and at least `LEAST_SCALE_TOP`.
    """
    return max(LEAST_SCALE_TOP, float(np.max(relative_maps)))


def add_scale(
    figure: Figure,
    scale_top: float,
    num_cells: Sequence[int],
    *,
    beside: list[Axes] | None = None,
    inside: Axes | None = None,
) -> None:
    """Draws the colour scale of overlays.

    Args:
        figure: the figure.
        scale_top: the relative weight that gets the brightest colour.
        num_cells: cells of a map; several where models have different maps.
        beside: the axes to the right of which the scale stands, or
        inside: the axes that it fills.
    """
    # The colours as they come out over a frame of middle grey.
    shown = ListedColormap(_coloured(np.full(256, _MIDDLE_GREY), np.linspace(0, 1, 256)) / 255)
    colours = ScalarMappable(PowerNorm(_EXPONENT, 0, scale_top), shown)
    ticks = _ticks(scale_top)
    share = _SCALE_SPACE / figure.get_figwidth()
    scale = figure.colorbar(
        colours, cax=inside, ax=beside, ticks=ticks, fraction=share, pad=0.3 * share
    )
    uniform = " or ".join(f"1/{cells}" for cells in num_cells)
    scale.set_label(f"attention\n(× uniform {uniform})", fontsize=8)
    scale.ax.set_yticklabels([f"{tick:g}" for tick in ticks], fontsize=8)
    scale.ax.axhline(1, color="white", linewidth=1)


def _place_on_scale(weights: np.ndarray, scale_top: float) -> np.ndarray:
    """From relative weights to 0 (dark) to 1 (bright)."""
    return np.clip(weights / scale_top, 0, 1) ** _EXPONENT


def _coloured(grey: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colours from 0 to 255, `(..., 3)`, of places on the scale over something grey."""
    colours = colormaps[COLOUR_MAP](places)[..., :3] * 255
    return colours + _FRAME_SHARE * (grey[..., None] - colours)


def _ticks(scale_top: float) -> list[float]:
    """Nought, the even share, and round numbers up to the top."""
    steps = (1, 2, 4, 8, 16, 32, 64, 128)
    top = math.floor(scale_top * 10) / 10  # rounded up, it would lie outside
    return [0, *(step for step in steps if step < 0.85 * scale_top), top]
