"""Pictures of an evaluation and of a training history."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cham_keras.files import replacing_file

#: Of more classes the cells are too small for a number.
MOST_CLASSES_WITH_COUNTS = 20


def plot_confusion(confusion: np.ndarray, classes: tuple[str, ...], title: str, path: Path) -> None:
    """Draws a confusion matrix, with the counts in its cells where there are few classes.

    Args:
        confusion: counts `(classes, classes)`; rows are labels.
        classes: names of the classes.
        title: what stands above.
        path: the PNG to write.
    """
    few = len(classes) <= MOST_CLASSES_WITH_COUNTS
    size = 2.6 + (0.45 if few else 0.17) * len(classes)
    figure = Figure(figsize=(size + 1.2, size), layout="constrained")
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    # From white to dark blue: a few clips beside the diagonal stand out, and no hue matters.
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    fontsize = 9 if few else 7
    axes.set_xticks(range(len(classes)), classes, rotation=45 if few else 90, fontsize=fontsize)
    axes.set_yticks(range(len(classes)), classes, fontsize=fontsize)
    if few:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_xlabel("predicted class")
    axes.set_ylabel("class of the clip")
    axes.set_title(title, fontsize=10)
    if few:
        for (row, column), count in np.ndenumerate(confusion):
            if count:
                colour = "white" if shares[row, column] > 0.6 else "black"
                axes.text(
                    column, row, str(count), ha="center", va="center", color=colour, fontsize=8
                )
    figure.colorbar(image, label="share of the class's clips", shrink=0.8, aspect=30)
    save_figure(figure, path)


def plot_histories(histories: Mapping[str, Path], path: Path) -> None:
    """Draws the loss and the accuracy over the epochs of one run or several.

    Args:
        histories: the `history.csv` of each run, by the run's name.
        path: the PNG to write.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    for axes, figure_name in ((loss_axes, "loss"), (accuracy_axes, "clip_accuracy")):
        _draw_histories(axes, histories, figure_name)
    accuracy_axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    save_figure(figure, path)


def plot_history(history_file: Path, figure_name: str, kept_epoch: int | None, path: Path) -> None:
    """Draws one figure of one run over its epochs, and which epoch's model was kept.

    Args:
        history_file: the run's `history.csv`.
        figure_name: loss or clip_accuracy.
        kept_epoch: the epoch, from 1 on; None where it is not known.
        path: the picture to write.
    """
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axes = figure.subplots()
    _draw_histories(axes, {"": history_file}, figure_name)
    if kept_epoch is not None:
        axes.axvline(kept_epoch, color="#767676", linestyle="--", label=f"kept: epoch {kept_epoch}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=9, loc="best")
    save_figure(figure, path)


def _draw_histories(axes: Axes, histories: Mapping[str, Path], figure_name: str) -> None:
    """Dotted what was found in training, solid what was found on the validation clips."""
    for index, (name, history_file) in enumerate(histories.items()):
        columns = read_history(history_file)
        epochs = np.arange(1, len(columns["loss"]) + 1)
        of_run = f"{name}, " if name else ""
        values = {"training": figure_name, "validation": f"val_{figure_name}"}
        for (data, column), stroke in zip(values.items(), (":", "-"), strict=True):
            if column in columns:
                label = f"{of_run}{data}"
                axes.plot(epochs, columns[column], stroke, color=f"C{index}", label=label)
    if figure_name == "loss":
        axes.set(xlabel="epoch", ylabel="loss of a clip (nats)", title="Loss")
    else:
        axes.set(xlabel="epoch", ylabel="share of clips", ylim=(0, 1.02), title="Clip accuracy")


def read_history(path: Path) -> dict[str, np.ndarray]:
    """The columns of a `history.csv`, a number an epoch; empty before the first epoch's end."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return {}
    try:
        return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    except TypeError:
        raise ValueError(
            f"{path} must hold a number in each column of each epoch. Received: {rows[-1]}."
        ) from None


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure as the path's ending says, whole or not at all; no screen is needed."""
    FigureCanvasAgg(figure)
    with replacing_file(path) as temporary:
        figure.savefig(temporary, dpi=130)
