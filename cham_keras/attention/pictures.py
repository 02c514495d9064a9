"""Attention as a picture: frames of a clip in a row, where each model looks below them.

Comes in: `ClipAttention`, of one model or of several for the same clip. Goes out: a
PNG in the manner of the paper's Fig. 3, with the scale that Fig. 3 leaves out.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cham_keras.attention.clip_attention import ClipAttention
from cham_keras.attention.overlay import add_scale, overlay, scale_top_of, shrunk
from cham_keras.attention.wording import (
    clip_name,
    number_of_steps,
    top_class,
    true_class,
    when,
    wrapped,
)
from cham_keras.files import replacing_file

DEFAULT_COLUMNS = 8

# Inches. A column must hold the name of a class; an upright frame must not fill the page.
_COLUMN_WIDTH = 1.5
_LARGEST_FRAME_HEIGHT = 2.1
_CAPTION_HEIGHT = 0.5
_TITLE_HEIGHT = 0.6
_SCALE_WIDTH = 1.0
_NAME_WIDTH = 1.6
_DPI = 120

# How the names of rows begin that show a layer's hidden state.
_STATE_OF = "energy of the state of"


def write_attention_picture(
    clip_attention: ClipAttention, path: Path | str, num_columns: int = DEFAULT_COLUMNS
) -> None:
    """Draws evenly chosen frames, the attention below each, and what the model thinks.

    Where the maps of the layers' hidden states were read too, each gets a row below.

    Args:
        clip_attention: one model on one clip.
        path: the PNG to write.
        num_columns: number of frames to show; all steps, if there are fewer.

    Raises:
        ValueError: `path` does not end in .png, or `num_columns` is below 1.
    """
    rows = {"attention" if clip_attention.layer_maps else "": clip_attention}
    for layer, maps in clip_attention.layer_maps.items():
        rows[f"{_STATE_OF} {layer}"] = dataclasses.replace(clip_attention, maps=maps)
    _draw(rows, Path(path), num_columns, one_model=True)


def write_comparison_picture(
    clip_attentions: Mapping[str, ClipAttention],
    path: Path | str,
    num_columns: int = DEFAULT_COLUMNS,
) -> None:
    """Draws where several models look in the same clip, a row a model, on one scale.

    Args:
        clip_attentions: what each model did, by the name that its row shall have. A
            model that saw other frames of the clip is shown at the nearest it saw.
        path: the PNG to write.
        num_columns: number of frames to show; all steps, if there are fewer.

    Raises:
        ValueError: there is no model, the clips differ, `path` does not end in .png,
            or `num_columns` is below 1.
    """
    require_same_clip(clip_attentions)
    _draw(clip_attentions, Path(path), num_columns, one_model=False)


def require_same_clip(clip_attentions: Mapping[str, ClipAttention]) -> None:
    """Refuses models that did not see the same clip."""
    if not clip_attentions:
        raise ValueError("`clip_attentions` must hold at least one model. Received: none.")
    first_name, *other_names = clip_attentions
    for name in other_names:
        ours, theirs = clip_attentions[first_name], clip_attentions[name]
        for what in ("name", "label", "classes"):
            if getattr(ours, what) != getattr(theirs, what):
                raise ValueError(
                    f"All models must have seen the same clip. Received: {what} "
                    f"{getattr(ours, what)!r} of {first_name} and "
                    f"{getattr(theirs, what)!r} of {name}."
                )


def evenly_chosen(num_steps: int, num_columns: int) -> np.ndarray:
    """The middle of each of `num_columns` equal parts of the steps, or all steps.

    Example:
    >>> evenly_chosen(16, 4).tolist()
    [2, 6, 10, 14]
    """
    if num_columns < 1:
        raise ValueError(f"`num_columns` must be at least 1. Received: {num_columns}.")
    parts = min(num_steps, num_columns)
    return (2 * np.arange(parts) + 1) * num_steps // (2 * parts)


def _draw(rows: Mapping[str, ClipAttention], path: Path, num_columns: int, one_model: bool) -> None:
    if path.suffix.lower() != ".png":
        raise ValueError(f"`path` of a picture must end in .png. Received: {path}.")
    first = next(iter(rows.values()))
    shown = evenly_chosen(len(first.frames), num_columns)
    top = max(scale_top_of(row.relative_maps) for row in rows.values())
    figure = _empty_figure(first, len(shown), num_models=len(rows), named="" not in rows)
    grid = figure.subplots(1 + len(rows), len(shown), squeeze=False)
    for axes, step in zip(grid[0], shown, strict=True):
        _show(axes, _for_page(first.frames[step]), caption=when(first, step))
    for row_of_axes, (name, row) in zip(grid[1:], rows.items(), strict=True):
        nearest = nearest_steps(row, first, shown)
        for axes, step, of_first in zip(row_of_axes, nearest, shown, strict=True):
            of_state = name.startswith(_STATE_OF) and one_model
            caption = "" if of_state else top_class(row, row.probabilities[step], line_length=20)
            if row.frame_numbers[step] != first.frame_numbers[of_first]:
                caption = f"({when(row, step)})\n{caption}"
            frame = _for_page(row.frames[step])
            _show(axes, overlay(frame, row.relative_maps[step], top, row.grid), caption)
        if one_model:
            _name_row(row_of_axes[0], name, "")
        else:
            predicted = top_class(row, row.clip_probabilities, line_length=20)
            _name_row(row_of_axes[0], name, f"predicted:\n{predicted}")
    title = f"{clip_name(first)}\n{true_class(first)}"
    if one_model:
        predicted = top_class(first, first.clip_probabilities, line_length=40, in_one_line=True)
        title += f"    predicted: {predicted} (mean of {number_of_steps(first)})"
    figure.suptitle(title, fontsize=11, parse_math=False)
    cells = {row.maps[0].size for row in rows.values()}
    add_scale(figure, top, sorted(cells), beside=grid[1:].ravel().tolist())
    FigureCanvasAgg(figure)
    with replacing_file(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, bbox_inches="tight", pad_inches=0.1)


def _empty_figure(
    clip_attention: ClipAttention, num_columns: int, num_models: int, named: bool
) -> Figure:
    height, width = clip_attention.frames.shape[1:3]
    frame_height = min(_COLUMN_WIDTH * height / width, _LARGEST_FRAME_HEIGHT)
    figure_width = num_columns * _COLUMN_WIDTH + _SCALE_WIDTH + named * _NAME_WIDTH
    rows = frame_height + 0.3 + num_models * (frame_height + _CAPTION_HEIGHT)
    return Figure(figsize=(figure_width, rows + _TITLE_HEIGHT), layout="compressed")


def _show(axes: Axes, picture: np.ndarray, caption: str) -> None:
    axes.imshow(picture)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(caption, fontsize=8, parse_math=False)
    axes.spines[:].set_visible(False)


def _for_page(frame: np.ndarray) -> np.ndarray:
    """A frame with no more pixels than are printed."""
    return shrunk(frame, int(_LARGEST_FRAME_HEIGHT * _DPI))


def _name_row(axes: Axes, name: str, prediction: str) -> None:
    """Writes to the left of a row: the name above the middle, the prediction below it."""
    for text, offset, weight in ((wrapped(name, 20), 3, "bold"), (prediction, -3, "normal")):
        axes.annotate(
            text,
            xy=(0, 0.5),
            xycoords="axes fraction",
            xytext=(-8, offset),
            textcoords="offset points",
            ha="right",
            va="bottom" if offset > 0 else "top",
            fontsize=9,
            fontweight=weight,
            parse_math=False,
        )


def nearest_steps(
    clip_attention: ClipAttention, first: ClipAttention, shown: np.ndarray
) -> list[int]:
    """The steps of a model that saw what `first` saw at some steps, or nearly."""
    frames = np.abs(clip_attention.frame_numbers[:, None] - first.frame_numbers[None, shown])
    # Below one frame, so it decides among the steps of a short clip's repeated last frame only.
    shares = np.arange(len(clip_attention.frames))[:, None] / len(clip_attention.frames)
    order = np.abs(shares - shown / len(first.frames))
    return (frames + order).argmin(axis=0).tolist()
