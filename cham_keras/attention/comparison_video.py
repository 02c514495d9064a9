"""Several models on one clip as a film: the frame, and beside it where each of them looks.

Comes in: `ClipAttention` of each model. Goes out: a video file.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cham_keras.attention.clip_attention import ClipAttention
from cham_keras.attention.overlay import add_scale, overlay, scale_top_of, shrunk
from cham_keras.attention.pictures import nearest_steps, require_same_clip
from cham_keras.attention.video import DEFAULT_FRAME_RATE_HZ
from cham_keras.attention.wording import clip_name, top_class, true_class, when, wrapped
from cham_keras.data import write_video

# Inches. Places are fixed, so that panels do not move with the length of the words.
_PANEL_WIDTH = 2.4
_LARGEST_PANEL_HEIGHT = 3.2
_MARGIN = 0.15
_ABOVE = 0.95
_BELOW = 0.85
_SCALE_THICKNESS = 0.14
_SCALE_WORDS = 0.95
_DPI = 100


def write_comparison_video(
    clip_attentions: Mapping[str, ClipAttention],
    path: Path | str,
    frame_rate_hz: float = DEFAULT_FRAME_RATE_HZ,
) -> None:
    """Writes a film with a picture for each step of the first model, on one scale.

    Below each model stand the class that it names now, and the one that the mean of its
    scores so far names.

    Args:
        clip_attentions: what each model did, by the name that stands above it. A model that
            saw other frames of the clip is shown at the nearest it saw.
        path: the video to write; .mp4 plays in browsers.
        frame_rate_hz: steps shown in a second.

    Raises:
        ValueError: there is no model, the clips differ, or the path's ending or the rate is
            out of range.
    """
    require_same_clip(clip_attentions)
    write_video(path, _pictures(clip_attentions), frame_rate_hz)


def _pictures(clip_attentions: Mapping[str, ClipAttention]) -> Iterator[np.ndarray]:
    """Draws the figure once, then changes what changes."""
    first = next(iter(clip_attentions.values()))
    num_steps = len(first.frames)
    figure = _figure_with_panels(first, list(clip_attentions))
    canvas = FigureCanvasAgg(figure)
    frame_axes, *model_axes, scale_axes = figure.axes
    top = max(scale_top_of(of.relative_maps) for of in clip_attentions.values())
    cells = {of.maps[0].size for of in clip_attentions.values()}
    add_scale(figure, top, sorted(cells), inside=scale_axes)
    blank = _for_panel(first.frames[0])
    images = [axes.imshow(blank, vmin=0, vmax=255) for axes in (frame_axes, *model_axes)]
    steps = np.arange(num_steps)
    of_models = [nearest_steps(of, first, steps) for of in clip_attentions.values()]
    for step in range(num_steps):
        images[0].set_data(_for_panel(first.frames[step]))
        frame_axes.set_xlabel(f"step {step + 1} of {num_steps}\n{when(first, step)}", fontsize=9)
        for axes, image, own_steps, of in zip(
            model_axes, images[1:], of_models, clip_attentions.values(), strict=True
        ):
            own = own_steps[step]
            frame = _for_panel(of.frames[own])
            image.set_data(overlay(frame, of.relative_maps[own], top, of.grid))
            now = top_class(of, of.probabilities[own], 26, in_one_line=True)
            so_far = of.probabilities[: own + 1].mean(axis=0)
            mean = top_class(of, so_far, 26, in_one_line=True)
            axes.set_xlabel(f"now: {now}\nso far: {mean}", fontsize=8, parse_math=False)
        canvas.draw()
        yield np.asarray(canvas.buffer_rgba())[..., :3]


def _for_panel(frame: np.ndarray) -> np.ndarray:
    return shrunk(frame, int(_LARGEST_PANEL_HEIGHT * _DPI))


def _figure_with_panels(first: ClipAttention, names: list[str]) -> Figure:
    """A figure with axes for the frame, each model, and the scale, in this order."""
    frame_height, frame_width = first.frames.shape[1:3]
    height = min(_PANEL_WIDTH * frame_height / frame_width, _LARGEST_PANEL_HEIGHT)
    panels = 1 + len(names)
    total_width = panels * (_PANEL_WIDTH + _MARGIN) + _MARGIN + _SCALE_THICKNESS + _SCALE_WORDS
    # To a fiftieth of an inch, which is two dots: `write_video` wants even numbers.
    total_width = math.ceil(total_width * 50) / 50
    total_height = math.ceil((_ABOVE + height + _BELOW) * 50) / 50
    figure = Figure(figsize=(total_width, total_height), dpi=_DPI)
    bottom, share = _BELOW / total_height, height / total_height
    for number, name in enumerate(["frame", *names]):
        left = _MARGIN + number * (_PANEL_WIDTH + _MARGIN)
        axes = figure.add_axes((left / total_width, bottom, _PANEL_WIDTH / total_width, share))
        axes.set_title(wrapped(name, 30, num_lines=1), fontsize=10, parse_math=False)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    left = _MARGIN + panels * (_PANEL_WIDTH + _MARGIN)
    figure.add_axes((left / total_width, bottom, _SCALE_THICKNESS / total_width, share))
    title = f"{clip_name(first)}    {true_class(first)}"
    figure.text(
        0.5, 1 - 0.15 / total_height, title, ha="center", va="top", fontsize=11, parse_math=False
    )
    return figure
