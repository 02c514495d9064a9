"""The picture of a benchmark: times as bars, sweeps as lines."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator

from cham_keras.benchmark.tables import (
    MODE_TITLES,
    machine_in_words,
    milliseconds,
    size_in_words,
)
from cham_keras.files import replacing_file

#: Okabe and Ito's colours, which the colour-blind can tell apart.
OURS, KERAS, TORCH = "#0072B2", "#E69F00", "#009E73"
COLOURS = {"plain_rnn": KERAS, "conv_lstm_2d": KERAS, "torch_eager": TORCH, "torch_compiled": TORCH}
LEGEND = {OURS: "cham_keras", KERAS: "Keras", TORCH: "PyTorch"}
#: Systems of one colour differ by these.
LINE_STYLES = ("-", "--", "-.", (0, (1, 1)))
MARKERS = "osD^"


def plot_benchmark(values: dict[str, Any], path: Path) -> None:
    """Draws a benchmark.

    Args:
        values: those of `benchmark.json`.
        path: the PNG to write.
    """
    sweeps = values["sweeps"]
    bars_height = 1.7 + 0.42 * len(values["systems"])
    heights = [bars_height, 3.4] if sweeps else [bars_height]
    figure = Figure(figsize=(11, 1.1 + sum(heights)), layout="constrained")
    rows = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, mode in zip(rows[0].subplots(1, 2, sharey=True), MODE_TITLES, strict=True):
        _draw_times(axes, values, mode)
    if sweeps:
        panels = rows[1].subplots(1, 2)
        for axes, swept in zip(panels, sweeps, strict=False):
            _draw_sweep(axes, swept)
        for axes in panels[len(sweeps) :]:
            axes.set_visible(False)
    shown = {COLOURS.get(name, OURS) for name in values["systems"]}
    rows[0].legend(
        handles=[Patch(color=c, label=label) for c, label in LEGEND.items() if c in shown],
        loc="outside lower center",
        ncols=len(shown),
        fontsize=9,
        frameon=False,
    )
    figure.suptitle(
        f"Time of the recurrence, {size_in_words(values['settings'])}\n"
        f"{machine_in_words(values['environment'])}",
        fontsize=10.5,
    )
    FigureCanvasAgg(figure)
    with replacing_file(path) as temporary:
        figure.savefig(temporary, dpi=140)


def _draw_times(axes: Axes, values: dict[str, Any], mode: str) -> None:
    names = list(values["systems"])
    rows = [values["systems"][name][mode] for name in names]
    medians = [1000 * row["median_seconds"] for row in rows]
    lowest = [1000 * (row["median_seconds"] - row["min_seconds"]) for row in rows]
    highest = [1000 * (row["max_seconds"] - row["median_seconds"]) for row in rows]
    colours = [COLOURS.get(name, OURS) for name in names]
    whiskers: dict[str, Any] = {"xerr": [lowest, highest], "ecolor": "#444444", "capsize": 3}
    axes.barh(names, medians, color=colours, height=0.66, **whiskers)
    for index, row in enumerate(rows):
        text = f"{milliseconds(row['median_seconds'])} ms"
        text += f" · {row['share_of_matrix_product']:.0%}"
        axes.annotate(
            text,
            (1000 * row["max_seconds"], index),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
        )
    axes.set_xlim(0, 1.38 * max(1000 * row["max_seconds"] for row in rows))
    if not axes.yaxis_inverted():  # both panels share the axis
        axes.invert_yaxis()
    axes.set_title(MODE_TITLES[mode], fontsize=10.5)
    axes.set_xlabel("ms; median, whiskers from min to max · share of the matrix-product rate")
    axes.xaxis.label.set_fontsize(8.5)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_sweep(axes: Axes, swept: dict[str, Any]) -> None:
    along = swept["along"]
    other = "steps" if along == "batch" else "batch"
    sizes = swept["sizes"]
    drawn: list[str] = []
    for name, row in swept["systems"].items():
        colour = COLOURS.get(name, OURS)
        index = drawn.count(colour) % len(MARKERS)
        drawn.append(colour)
        exponent = row["exponent"]
        label = name if exponent is None else f"{name}: size^{exponent:.2f}"
        times = [1000 * seconds for seconds in row["train_seconds"]]
        style: dict[str, Any] = {"marker": MARKERS[index], "linestyle": LINE_STYLES[index]}
        axes.plot(sizes, times, color=colour, label=label, lw=1.8, **style)
        proportional = [times[0] * size / sizes[0] for size in sizes]
        axes.plot(sizes, proportional, ":", color=colour, lw=0.8, alpha=0.8)
    axes.plot([], [], ":", color="#444444", lw=0.8, label="growth in proportion")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.set_xlabel("clips at once (batch)" if along == "batch" else "frames a clip (steps)")
    axes.set_ylabel("ms a train step")
    axes.set_title(f"Train step over {along}, {other} {swept[other]}", fontsize=10.5)
    axes.legend(fontsize=8.5)
    axes.spines[["top", "right"]].set_visible(False)
