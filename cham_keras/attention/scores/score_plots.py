"""The scores of attention as a picture.

Comes in: `AttentionScores`. `AttentionScores.write` calls it. What differs in colour differs
in its stroke or its words too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cham_keras.attention.scores.measures import (
    CENTRE,
    CHANCE,
    CORRELATION,
    DELETION,
    IN_BOXES,
    INSERTION,
    MODEL,
    POINTING,
    SHUFFLED,
)
from cham_keras.evaluation.plots import save_figure

if TYPE_CHECKING:
    from cham_keras.attention.scores.attention_scores import AttentionScores

# Okabe and Ito's colours, told apart with any colour vision; strokes for those who see none.
_STROKES: dict[str, dict[str, Any]] = {
    MODEL: {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    CENTRE: {"color": "#D55E00", "linestyle": "--", "marker": "s"},
    CHANCE: {"color": "#767676", "linestyle": ":", "marker": "^"},
    SHUFFLED: {"color": "#009E73", "linestyle": "-.", "marker": "d"},
}
_OF_MODEL, _OF_OTHERS = "#0072B2", "#B0B0B0"
_BAR_TITLES = {
    POINTING: ("Pointing game", "frames whose most attended\ncell meets a box"),
    IN_BOXES: ("Attention in boxes", "share of the attention\nthat lies inside boxes"),
    CORRELATION: ("Randomisation test", "rank correlation with\nthe model's maps"),
}
_CURVE_TITLES = {
    DELETION: ("Deletion: lower is better", "share of cells taken away"),
    INSERTION: ("Insertion: higher is better", "share of cells shown"),
}


def plot_scores(scores: AttentionScores, path: Path) -> None:
    """Draws bars with intervals, the curves of removal, and entropy over time.

    Args:
        scores: what to draw.
        path: the PNG to write.
    """
    bars = [measure for measure in _BAR_TITLES if measure in scores.values]
    curves = [measure for measure in _CURVE_TITLES if measure in scores.curves]
    panels = len(bars) + len(curves) + 1
    columns = 3 if panels > 4 else 2
    rows = -(-panels // columns)
    figure = Figure(figsize=(4.3 * columns, 3.3 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for measure, of in zip(bars, axes, strict=False):
        _draw_bars(of, scores, measure)
    for measure, of in zip(curves, axes[len(bars) :], strict=False):
        _draw_curves(of, scores, measure)
    _draw_entropy(axes[panels - 1], scores.entropy_by_step)
    for of in axes[panels:]:
        of.set_axis_off()
    figure.suptitle(
        f"Attention of {scores.model}: {scores.split}, {len(scores.clips)} clips", fontsize=11
    )
    save_figure(figure, path)


def _draw_bars(axes: Axes, scores: AttentionScores, measure: str) -> None:
    rows = [row for row in scores.rows if row.measure == measure]
    places = range(len(rows))
    values = np.array([row.value for row in rows])
    ends = np.array([row.interval for row in rows])
    # Without intervals, where all clips are of one group, there is nothing to draw.
    reach = np.nan_to_num(np.abs(ends - values[:, None])).T
    axes.barh(
        places,
        values,
        xerr=reach if reach.any() else None,
        color=[_OF_MODEL if row.map == MODEL else _OF_OTHERS for row in rows],
        error_kw={"elinewidth": 1.2, "capsize": 3},
        height=0.7,
    )
    axes.set_yticks(places, [row.map for row in rows], fontsize=8)
    axes.invert_yaxis()
    title, label = _BAR_TITLES[measure]
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(f"{label}\n(black: 95 % interval)", fontsize=8)
    if measure == CORRELATION:
        axes.set_xlim(min(-0.1, (values - reach[0]).min() - 0.05), 1.02)
        axes.axvline(0, color="black", linewidth=0.8)
    else:
        axes.set_xlim(0, 1.02)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
    _tidy(axes, "x")


def _draw_curves(axes: Axes, scores: AttentionScores, measure: str) -> None:
    for name, curve in scores.curves[measure].items():
        area = np.nanmean(scores.values[measure][name])
        stroke = _STROKES[name]
        axes.plot(scores.shares, curve, markersize=4, label=f"{name}: area {area:.2f}", **stroke)
    title, label = _CURVE_TITLES[measure]
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(label, fontsize=8)
    axes.set_ylabel("mean probability of the\nclass of the whole clip", fontsize=8)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(fontsize=7, title="in the order of", title_fontsize=7)
    _tidy(axes, "both")


def _draw_entropy(axes: Axes, by_step: np.ndarray) -> None:
    steps = np.arange(1, len(by_step) + 1)
    axes.plot(steps, by_step, "o-", color=_OF_MODEL, markersize=4)
    axes.axhline(1, color="#767676", linestyle=":")
    axes.annotate("uniform", (1, 1), fontsize=8, color="#595959", va="bottom")
    axes.set_title("Entropy over time", fontsize=10)
    axes.set_xlabel("step", fontsize=8)
    axes.set_ylabel("entropy, relative to uniform", fontsize=8)
    axes.set_ylim(0, 1.08)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _tidy(axes, "y")


def _tidy(axes: Axes, grid: Literal["both", "x", "y"]) -> None:
    axes.tick_params(labelsize=8)
    axes.grid(axis=grid, alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
