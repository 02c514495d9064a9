"""Pictures of an evaluation's curves: frames seen, reliability, precision and recall.

Comes in: what `frames_seen`, `calibration` and `scores` found. `report` calls it. What
differs in colour differs in its stroke too.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cham_keras.evaluation.calibration import Calibration
from cham_keras.evaluation.frames_seen import FrameFigures, share_reached
from cham_keras.evaluation.plots import save_figure
from cham_keras.evaluation.scores import average_precision, precision_and_recall

#: Two of Okabe and Ito's colours, and a grey.
BLUE, VERMILION, FAINT = "#0072B2", "#D55E00", "#767676"
#: The share of the last accuracy that is marked in the picture.
MARKED_SHARE = 0.9


def plot_frames_seen(figures: FrameFigures, majority: float, title: str, path: Path) -> None:
    """Draws the clip accuracy against the share of the clip that was seen.

    Args:
        figures: with the curve.
        majority: accuracy of always naming the most frequent class.
        title: what stands above.
        path: the PNG to write.
    """
    curve = np.array(figures.accuracy_by_frames_seen)
    shares = np.arange(1, len(curve) + 1) / len(curve)
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(shares, curve, "o-", color=BLUE, markersize=3.5, label="accuracy so far")
    axes.axhline(majority, color=FAINT, linestyle=":", label="always the most frequent class")
    reached = share_reached(curve.tolist(), MARKED_SHARE)
    if not np.isnan(reached):
        axes.axvline(
            reached,
            color=VERMILION,
            linestyle="--",
            label=f"keeps {MARKED_SHARE:.0%} of its last value from {reached:.0%} on",
        )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), ylabel="clip accuracy (share of clips)")
    axes.set_xlabel(f"share of the clip seen ({len(curve)} evenly spaced steps are all of it)")
    if figures.sees_later_frames:
        title += "\n(not a stream: the first steps depend on later frames)"
    axes.set_title(title, fontsize=10)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="best")
    save_figure(figure, path)


def plot_reliability(found: Calibration, title: str, path: Path) -> None:
    """Draws accuracy against confidence, and below it how many clips are how confident.

    Args:
        found: the clips by their confidence.
        title: what stands above.
        path: the PNG to write.
    """
    figure = Figure(figsize=(5.2, 5.6), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], "--", color=FAINT, label="as sure as right")
    filled = found.clips > 0
    confidence, accuracy = found.confidence[filled], found.accuracy[filled]
    axes.vlines(confidence, confidence, accuracy, color=VERMILION, alpha=0.6, label="gap")
    axes.plot(confidence, accuracy, "o-", color=BLUE, label="clips of a bin")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy (share of the bin's clips)")
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="upper left")
    widths = np.diff(found.edges)
    counts.bar(found.edges[:-1], found.clips, widths, align="edge", color=BLUE, ec="white")
    counts.set(xlabel="confidence (probability of the named class)", ylabel="clips")
    counts.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    save_figure(figure, path)


def plot_precision_recall(
    labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...], title: str, path: Path
) -> None:
    """Draws precision against recall, a panel for each class.

    Args:
        labels: int `(clips,)`.
        probabilities: `(clips, classes)`.
        classes: names of the classes.
        title: what stands above.
        path: the PNG to write.
    """
    columns = min(4, len(classes))
    rows = -(-len(classes) // columns)
    figure = Figure(figsize=(1 + 2.3 * columns, 1.2 + 2.1 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for index, (axes, name) in enumerate(zip(panels, classes, strict=False)):
        _draw_precision_recall(axes, labels == index, probabilities[:, index], name)
        if index + columns >= len(classes):
            axes.tick_params(labelbottom=True)  # also where no panel follows in the last row
    for axes in panels[len(classes) :]:
        axes.set_axis_off()
    figure.suptitle(f"{title}\n(dotted: a ranking by chance)", fontsize=10)
    figure.supxlabel("recall (share of the class's clips)", fontsize=10)
    figure.supylabel("precision (share of the clips named)", fontsize=10)
    save_figure(figure, path)


def _draw_precision_recall(
    axes: Axes, is_of_class: np.ndarray, scores: np.ndarray, name: str
) -> None:
    axes.set(xlim=(0, 1.02), ylim=(0, 1.05))
    axes.grid(alpha=0.25)
    if not is_of_class.any():
        axes.set_title(f"{name}: no clips", fontsize=8)
        return
    precision, recall = precision_and_recall(is_of_class, scores)
    # A step is as high as the precision that the average counts for it.
    heights = np.append(precision[0], precision)
    axes.step(np.append(0, recall), heights, where="pre", color=BLUE)
    axes.axhline(is_of_class.mean(), color=FAINT, linestyle=":")
    axes.set_title(f"{name}: {average_precision(is_of_class, scores):.2f}", fontsize=8)
