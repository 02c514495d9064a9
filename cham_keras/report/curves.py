"""The page's pictures: training, frames seen, calibration, precision and recall.

Comes in: a run and its results. Goes out: pictures with what they show in words.
`write_report` calls it.
"""

import functools
import math

import numpy as np

from cham_keras.evaluation import Results
from cham_keras.evaluation.curve_plots import (
    plot_frames_seen,
    plot_precision_recall,
    plot_reliability,
)
from cham_keras.evaluation.frames_seen import accuracy_at_share
from cham_keras.evaluation.plots import plot_history, read_history
from cham_keras.evaluation.report import MOST_PANELS
from cham_keras.report.facts import metrics_of
from cham_keras.report.pictures import Picture, draw_picture
from cham_keras.report.wording import number, percent
from cham_keras.runs import Run
from cham_keras.runs.run_folder import HISTORY_FILE


def training_pictures(run: Run) -> list[Picture]:
    """Loss and accuracy over the epochs; none where the run has no history."""
    path = run.folder / HISTORY_FILE
    if not path.is_file():
        return []
    columns = read_history(path)
    kept = metrics_of(run).get("kept_epoch")
    pictures = []
    for name in ("clip_accuracy", "loss"):
        if name in columns:
            said = _of_training(columns, name, kept)
            pictures.append(draw_picture(functools.partial(plot_history, path, name, kept), said))
    return pictures


def frames_seen_picture(results: Results) -> Picture | None:
    """Accuracy against the share of the clip that was seen; None where it is not known."""
    figures = results.frames
    if figures is None or not figures.accuracy_by_frames_seen:
        return None
    curve = figures.accuracy_by_frames_seen
    steps, half = accuracy_at_share(curve, 0.5)
    said = (
        f"After {steps} of {len(curve)} steps, half of the clip, {percent(half)} of the clips are "
        f"recognised; after all of them {percent(curve[-1])}."
    )
    reached = results.scores["share_of_clip_for_share_of_accuracy"]["0.9"]
    if not math.isnan(reached):
        kept = percent(0.9, 0)
        said += f" From {percent(reached, 0)} of the clip on, the accuracy keeps {kept} of that."
    if figures.sees_later_frames:
        said += (
            " The model's first steps depend on later frames, so this does not say how early it "
            "would be right on a stream."
        )
    majority = results.scores["majority_accuracy"]
    title = f"How early {len(results.clip_ids)} clips are right"
    return draw_picture(lambda file: plot_frames_seen(figures, majority, title, file), said)


def reliability_picture(results: Results) -> Picture:
    """Accuracy against confidence."""
    found = results.calibration
    mean = float(results.probabilities.max(axis=1).mean())
    accuracy = results.scores["clip_accuracy"]
    surer = "surer than right" if mean > accuracy else "less sure than right"
    said = (
        f"The model gives the class that it names {percent(mean)} on average and is right for "
        f"{percent(accuracy)} of the clips: {surer}. Calibration error {number(found.error)}."
    )
    title = f"Calibration of {len(results.clip_ids)} clips"
    return draw_picture(lambda file: plot_reliability(found, title, file), said)


def precision_recall_picture(results: Results) -> Picture | None:
    """Precision against recall of each class; None where there are too many classes."""
    if len(results.classes) > MOST_PANELS:
        return None
    found = {name: row["average_precision"] for name, row in results.per_class.items()}
    known = {name: value for name, value in found.items() if not math.isnan(value)}
    best, worst = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
    said = (
        "Precision against recall, a panel a class. Highest average precision: "
        f"{best}, {percent(known[best])}; lowest: {worst}, {percent(known[worst])}."
    )
    return draw_picture(
        lambda file: plot_precision_recall(
            results.labels, results.probabilities, results.classes, "Precision and recall", file
        ),
        said,
    )


def _of_training(columns: dict[str, np.ndarray], name: str, kept: int | None) -> str:
    """What a curve of training comes to, in a sentence or two."""
    is_loss = name == "loss"
    title = "The loss" if is_loss else "The accuracy"

    def said(value: float) -> str:
        return number(value) if is_loss else percent(value)

    values = columns[name]
    text = (
        f"{title} on the training clips goes from {said(values[0])} in the first epoch to "
        f"{said(values[-1])} in epoch {len(values)}."
    )
    validation = columns.get(f"val_{name}")
    if validation is not None and np.isfinite(validation).any():
        best = int(np.nanargmin(validation) if is_loss else np.nanargmax(validation))
        text += (
            f" On the validation clips it is {'lowest' if is_loss else 'highest'} in epoch "
            f"{best + 1}: {said(validation[best])}."
        )
        if kept is not None and kept - 1 != best and kept <= len(validation):
            text += f" The model of epoch {kept} was kept: {said(validation[kept - 1])}."
    return text
