"""Attention as a film: each step's frame, where the model looks, and what it thinks.

Comes in: `ClipAttention`. Goes out: a video file with three panels side by side: the
frame, the overlay, and the scores of the classes as bars.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cham_keras.attention.clip_attention import ClipAttention
from cham_keras.attention.overlay import add_scale, overlay, scale_top_of, shrunk
from cham_keras.attention.wording import (
    clip_name,
    top_class,
    true_class,
    when,
    wrapped,
)
from cham_keras.data import write_video

#: Steps shown in a second: slow enough to read the class that is named.
DEFAULT_FRAME_RATE_HZ = 4.0

#: Classes that get a bar; of more classes, those with the highest mean scores.
MOST_BARS = 10

# Inches. Places are fixed, so that panels do not move with the length of the words.
_FRAME_AREA = 9.0
_LARGEST_PANEL = 4.0
_LEAST_PANEL_HEIGHT = 2.4
_MARGIN = 0.15
_ABOVE = 0.95
_BELOW = 0.7
_SCALE_THICKNESS = 0.14
_SCALE_WORDS = 0.85
_CLASS_NAMES = 1.9
_BARS_WIDTH = 3.0
_DPI = 100

# Blue and grey that are told apart with any colour vision (Okabe and Ito).
_TOP_COLOUR = "#0072B2"
_OTHER_COLOUR = "#B0B0B0"


def write_attention_video(
    clip_attention: ClipAttention, path: Path | str, frame_rate_hz: float = DEFAULT_FRAME_RATE_HZ
) -> None:
    """Writes a film with one picture for each step.

    Args:
        clip_attention: one model on one clip.
        path: the video to write; .mp4 plays in browsers.
        frame_rate_hz: steps shown in a second.

    Raises:
        ValueError: the path's ending or the rate is out of range.
    """
    write_video(path, _pictures(clip_attention), frame_rate_hz)


def classes_with_bars(clip_attention: ClipAttention) -> list[int]:
    """The classes that get a bar, in their order: at most `MOST_BARS`, the true one among them."""
    ranked = np.argsort(-clip_attention.clip_probabilities, kind="stable").tolist()
    if clip_attention.label is not None:
        ranked.remove(clip_attention.label)
        ranked.insert(0, clip_attention.label)
    return sorted(ranked[:MOST_BARS])


def _pictures(clip_attention: ClipAttention) -> Iterator[np.ndarray]:
    """Draws the figure once, then changes what changes: many times faster than anew."""
    figure = _figure_with_panels(clip_attention)
    canvas = FigureCanvasAgg(figure)
    frame_axes, overlay_axes, scale_axes, bar_axes = figure.axes
    classes = classes_with_bars(clip_attention)
    top = scale_top_of(clip_attention.relative_maps)
    add_scale(figure, top, [clip_attention.maps[0].size], inside=scale_axes)
    bars, means = _draw_bars(bar_axes, clip_attention, classes)
    frame = shrunk(clip_attention.frames[0], int(_LARGEST_PANEL * _DPI))
    images = [axes.imshow(frame, vmin=0, vmax=255) for axes in (frame_axes, overlay_axes)]
    num_steps = len(clip_attention.frames)
    mean_scores = np.cumsum(clip_attention.probabilities, axis=0)
    mean_scores /= np.arange(1, num_steps + 1)[:, None]
    for step in range(num_steps):
        frame = shrunk(clip_attention.frames[step], int(_LARGEST_PANEL * _DPI))
        images[0].set_data(frame)
        coloured = overlay(frame, clip_attention.relative_maps[step], top, clip_attention.grid)
        images[1].set_data(coloured)
        frame_axes.set_xlabel(when(clip_attention, step), fontsize=9)
        scores = clip_attention.probabilities[step]
        now = top_class(clip_attention, scores, line_length=30, in_one_line=True)
        title = f"step {step + 1} of {num_steps}\n{now}"
        bar_axes.set_title(title, fontsize=10, parse_math=False)
        for bar, index in zip(bars, classes, strict=True):
            bar.set_width(scores[index])
            bar.set_color(_TOP_COLOUR if index == scores.argmax() else _OTHER_COLOUR)
        means.set_offsets(np.column_stack([mean_scores[step, classes], range(len(classes))]))
        canvas.draw()
        yield np.asarray(canvas.buffer_rgba())[..., :3]


def _figure_with_panels(clip_attention: ClipAttention) -> Figure:
    """A figure with axes for the frame, the overlay, the scale and the bars, in this order."""
    frame_height, frame_width = clip_attention.frames.shape[1:3]
    # Panels of one area for wide and for upright frames, as far as they fit.
    width = min(math.sqrt(_FRAME_AREA * frame_width / frame_height), _LARGEST_PANEL)
    width = min(width, _LARGEST_PANEL * frame_width / frame_height)
    height = width * frame_height / frame_width
    row_height = max(height, _LEAST_PANEL_HEIGHT)
    panels = [  # (left, width, height), from left to right
        (_MARGIN, width, height),
        (2 * _MARGIN + width, width, height),
        (3 * _MARGIN + 2 * width, _SCALE_THICKNESS, height),
    ]
    bars_left = panels[-1][0] + _SCALE_THICKNESS + _SCALE_WORDS + _CLASS_NAMES
    panels.append((bars_left, _BARS_WIDTH, row_height))
    # To a fiftieth of an inch, which is two dots: `write_video` wants even numbers.
    total_width = math.ceil((bars_left + _BARS_WIDTH + 2 * _MARGIN) * 50) / 50
    total_height = math.ceil((_ABOVE + row_height + _BELOW) * 50) / 50
    figure = Figure(figsize=(total_width, total_height), dpi=_DPI)
    for left, panel_width, panel_height in panels:
        bottom = _BELOW + (row_height - panel_height) / 2
        figure.add_axes(
            (
                left / total_width,
                bottom / total_height,
                panel_width / total_width,
                panel_height / total_height,
            )
        )
    for axes, title in zip(figure.axes, ("frame", "attention"), strict=False):
        axes.set_title(title, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    title = f"{clip_name(clip_attention)}    {true_class(clip_attention)}"
    figure.text(
        0.5, 1 - 0.15 / total_height, title, ha="center", va="top", fontsize=11, parse_math=False
    )
    return figure


def _draw_bars(
    axes: Axes, clip_attention: ClipAttention, classes: list[int]
) -> tuple[BarContainer, PathCollection]:
    """A bar a class, and a mark for the mean so far, which in the end decides."""
    places = range(len(classes))
    bars = axes.barh(places, [0.0] * len(classes), height=0.7)
    means = axes.scatter([0.0] * len(classes), places, marker="|", s=160, color="black", zorder=3)
    names = [wrapped(clip_attention.classes[c], 25, num_lines=1) for c in classes]
    axes.set_yticks(places, names, fontsize=9)
    for text, index in zip(axes.get_yticklabels(), classes, strict=True):
        text.set_parse_math(False)
        text.set_fontweight("bold" if index == clip_attention.label else "normal")
    axes.set_xlim(0, 1)
    axes.invert_yaxis()  # the first class at the top
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.tick_params(axis="x", labelsize=9)
    shown, known = len(classes), len(clip_attention.classes)
    of_all = "" if shown == known else f" ({shown} of {known} classes)"
    axes.set_xlabel(f"probability{of_all}\nblack mark: mean so far", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return bars, means
