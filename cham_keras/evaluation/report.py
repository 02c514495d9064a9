"""Results in words: the Markdown of an evaluation, and which pictures go with it.

Comes in: `Results`. `results_files` calls it.
"""

import math
from pathlib import Path

from cham_keras.evaluation import curve_plots, plots
from cham_keras.evaluation.calibration import NUM_BINS
from cham_keras.evaluation.frames_seen import TABLE_SHARES, accuracy_at_share
from cham_keras.evaluation.results import TOP_K, Results

#: The scores of `Results.point_scores` in words.
SCORE_TITLES = {
    "clip_accuracy": "clip accuracy (top-1)",
    **{f"top_{k}_accuracy": f"top-{k} accuracy" for k in TOP_K},
    "mean_class_accuracy": "mean class accuracy",
    "mean_average_precision": "mean average precision",
    "frame_accuracy": "frame accuracy",
    "negative_log_likelihood": "negative log-likelihood (nats)",
    "calibration_error": f"calibration error ({NUM_BINS} bins)",
    "majority_accuracy": "accuracy of always naming the most frequent class",
}
#: How the names of the pictures end, behind that of the split.
PICTURES = (".png", "-reliability.png", "-frames-seen.png", "-precision-recall.png")
#: Precision and recall of more classes make too large a picture.
MOST_PANELS = 24


def number(value: float) -> str:
    """Three decimals, or a dash where there is no number."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def results_as_markdown(results: Results) -> str:
    """The figures, the accuracy against frames seen, and the per-class table."""
    frames = "" if results.frames is None else f", {results.frames.frames} frames"
    lines = [
        f"# Split {results.split}: {len(results.clip_ids)} clips{frames}",
        "",
        f"| figure | value | 95 % interval over {results.num_groups} groups |",
        "|---|---|---|",
    ]
    for name, value in results.point_scores.items():
        ends = results.intervals.get(name)
        interval = "" if ends is None else f"{number(ends[0])} to {number(ends[1])}"
        lines.append(f"| {SCORE_TITLES[name]} | {number(value)} | {interval} |")
    lines += [*_remarks(results), *_frames_seen(results), *_classes(results)]
    return "\n".join(lines) + "\n"


def plot_results(results: Results, folder: Path) -> None:
    """Draws `<split>.png`, the confusion matrix, and the pictures of its curves."""
    clips, stem = len(results.clip_ids), results.split
    accuracy = results.scores["clip_accuracy"]
    plots.plot_confusion(
        results.confusion,
        results.classes,
        title=f"{stem}: clip accuracy {accuracy:.1%} of {clips} clips",
        path=folder / f"{stem}.png",
    )
    curve_plots.plot_reliability(
        results.calibration,
        title=f"{stem}: calibration error {results.calibration.error:.3f}, {clips} clips",
        path=folder / f"{stem}-reliability.png",
    )
    if results.frames is not None and results.frames.accuracy_by_frames_seen:
        curve_plots.plot_frames_seen(
            results.frames,
            majority=results.scores["majority_accuracy"],
            title=f"{stem}: how early {clips} clips are right",
            path=folder / f"{stem}-frames-seen.png",
        )
    if len(results.classes) <= MOST_PANELS:
        curve_plots.plot_precision_recall(
            results.labels,
            results.probabilities,
            results.classes,
            title=f"{stem}: precision and recall, mean average precision "
            f"{number(results.scores['mean_average_precision'])}",
            path=folder / f"{stem}-precision-recall.png",
        )


def _remarks(results: Results) -> list[str]:
    remarks = []
    if results.num_groups < 2:
        remarks.append("All clips are of one group, so there are no intervals.")
    missing = results.scores["classes_without_clips"]
    if missing:
        remarks.append(
            f"Without clips in this split, and left out of the means: {', '.join(missing)}."
        )
    if results.frames is not None and results.frames.windows != 1:
        windows = results.frames.windows
        many = "as many as hold every frame once" if windows == "all" else str(windows)
        remarks.append(f"Windows that a clip's score is the mean of: {many}.")
    return ["", *remarks] if remarks else []


def _frames_seen(results: Results) -> list[str]:
    if results.frames is None or not results.frames.accuracy_by_frames_seen:
        return []
    curve = results.frames.accuracy_by_frames_seen
    lines = [
        "",
        f"| steps of {len(curve)} | share of the clip seen | clip accuracy |",
        "|---|---|---|",
    ]
    for steps, accuracy in dict(accuracy_at_share(curve, share) for share in TABLE_SHARES).items():
        lines.append(f"| {steps} | {steps / len(curve):.0%} | {accuracy:.3f} |")
    reached = results.scores["share_of_clip_for_share_of_accuracy"]
    said = [
        f"{float(share):.0%} of it after {part:.0%} of the clip"
        for share, part in reached.items()
        if not math.isnan(part)
    ]
    if said:
        lines += ["", f"The accuracy of whole clips is reached, and kept: {', '.join(said)}."]
    if results.frames.sees_later_frames:
        lines.append(
            "The model's first steps depend on later frames (a start from the clip's mean, for "
            "example), so this does not say how early it would be right on a stream."
        )
    return lines


def _classes(results: Results) -> list[str]:
    lines = ["", "| class | clips | accuracy | average precision |", "|---|---|---|---|"]
    for name, row in results.per_class.items():
        accuracy, precision = number(row["accuracy"]), number(row["average_precision"])
        lines.append(f"| {name} | {row['clips']} | {accuracy} | {precision} |")
    return lines
