"""The controlled proof as files: `results.json`, `results.md`, `results.png`.

Comes in: outcomes as `experiment.outcomes` gives them. Goes out: every outcome, the
tables, and a picture of all seeds.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from cham_keras.demo.controlled.experiment import TITLES
from cham_keras.demo.controlled.plans import CONTROLLED_SETS, ControlledSet
from cham_keras.demo.controlled.statistics import SeedMean, differences, means
from cham_keras.evaluation.plots import save_figure
from cham_keras.evaluation.results_files import without_nan
from cham_keras.files import replacing_file, write_json

_SCORE_WORDS = {
    "clip_accuracy": "mean over the clip's frames",
    "last_frame_accuracy": "the clip's last frame",
}


def write_report(folder: Path, outcomes: Sequence[dict[str, Any]], facts: dict[str, Any]) -> None:
    """Writes the three files.

    Args:
        folder: where.
        outcomes: what each run came to.
        facts: what else stands in `results.json`: settings, versions.

    Raises:
        ValueError: there are no outcomes.
    """
    if not outcomes:
        raise ValueError("`outcomes` must hold at least one run. Received: none.")
    folder = Path(folder)
    answers = [dataclasses.asdict(one) | {"verdict": one.verdict} for one in differences(outcomes)]
    result = {**facts, "outcomes": list(outcomes), "differences": answers}
    write_json(folder / "results.json", without_nan(result))
    with replacing_file(folder / "results.md") as temporary:
        temporary.write_text(report_markdown(outcomes))
    plot_outcomes(outcomes, folder / "results.png")


def report_markdown(outcomes: Sequence[dict[str, Any]]) -> str:
    """All tables: accuracies by set and method, and what differs from what."""
    sets = [one for name, one in CONTROLLED_SETS.items() if name in _present(outcomes, "set")]
    seeds = _present(outcomes, "seed")
    lines = [
        f"Accuracy on the test clips, mean over {len(seeds)} seeds ± 95 % interval "
        "(standard deviation).",
        "",
        "| method | parameters | " + " | ".join(_heading(one) for one in sets) + " |",
        "|---|---|" + "---|" * len(sets),
    ]
    scores = {figure: means(outcomes, figure) for figure in _SCORE_WORDS}
    sizes = means(outcomes, "parameters")
    for method in _methods(outcomes):
        row = []
        for one in sets:
            # A classifier of whole clips has one figure only.
            key = (one.name, method)
            row.append(_cell(scores[one.score].get(key) or scores["clip_accuracy"].get(key)))
        of_method = [round(size.mean) for (_, name), size in sizes.items() if name == method]
        span = (
            "–".join(f"{size:,}" for size in sorted({min(of_method), max(of_method)}))
            if of_method
            else ""
        )
        lines.append(f"| {TITLES[method]} | {span} | " + " | ".join(row) + " |")
    lines += _bounds(sets)
    for one in sets:
        lines += _other_score(one, outcomes, scores)
    lines += ["", "## What differs from what", ""]
    lines += _difference_table(outcomes)
    lines += ["", "## Training", "", *_training_table(outcomes, sets)]
    return "\n".join(lines) + "\n"


def plot_outcomes(outcomes: Sequence[dict[str, Any]], path: Path) -> None:
    """Draws a panel a set: every seed as a dot, the mean as a bar, chance and bounds as lines.

    Args:
        outcomes: what each run came to.
        path: the PNG to write.
    """
    sets = [one for name, one in CONTROLLED_SETS.items() if name in _present(outcomes, "set")]
    methods = _methods(outcomes)
    figure = Figure(
        figsize=(3.0 + 2.4 * len(sets), 1.6 + 0.28 * len(methods)), layout="constrained"
    )
    all_axes = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    for axes, one in zip(all_axes, sets, strict=True):
        for place, method in enumerate(methods):
            values = [
                found[one.score] if found[one.score] is not None else found["clip_accuracy"]
                for found in outcomes
                if (found["set"], found["method"]) == (one.name, method)
            ]
            if values:
                axes.barh(place, sum(values) / len(values), color="#c7d7ea", height=0.7)
                axes.plot(values, [place] * len(values), "o", color="#1f4e79", ms=3.5, alpha=0.8)
        axes.axvline(1 / len(one.classes), color="black", lw=1, ls=":")
        bound = min(one.without_place, one.without_order, one.without_memory)
        if 1 / len(one.classes) < bound < 1:
            axes.axvline(bound, color="#b3541e", lw=1, ls="--")
        axes.set(title=one.name, xlim=(0, 1.03), xlabel=f"accuracy,\n{_SCORE_WORDS[one.score]}")
    all_axes[0].set_yticks(range(len(methods)), [TITLES[name] for name in methods])
    all_axes[0].invert_yaxis()
    figure.suptitle(
        "Dots: seeds. Dotted: chance. Dashed: bound without what the set isolates.", fontsize=9
    )
    save_figure(figure, path)


def _bounds(sets: Sequence[ControlledSet]) -> list[str]:
    """Rows of the first table for what no method exceeds that lacks an ability."""
    rows = []
    for title, bound in (
        ("*bound without place*", "without_place"),
        ("*bound without order*", "without_order"),
        ("*bound without memory*", "without_memory"),
    ):
        cells = " | ".join(f"{getattr(one, bound):.3f}" for one in sets)
        rows.append(f"| {title} | | {cells} |")
    chance = " | ".join(f"{1 / len(one.classes):.3f}" for one in sets)
    return [*rows, f"| *chance* | | {chance} |"]


def _heading(one: ControlledSet) -> str:
    return f"{one.name} ({_SCORE_WORDS[one.score]})"


def _other_score(
    one: ControlledSet,
    outcomes: Sequence[dict[str, Any]],
    scores: dict[str, dict[tuple[str, str], SeedMean]],
) -> list[str]:
    """The figure that is not in the first table, for the sets where it says something else."""
    if one.score == "clip_accuracy":
        return []
    lines = [
        "",
        f"{one.name} by the {_SCORE_WORDS['clip_accuracy']}, which needs no memory in the model:",
        "",
        "| method | accuracy |",
        "|---|---|",
    ]
    return lines + [
        f"| {TITLES[method]} | {_cell(scores['clip_accuracy'].get((one.name, method)))} |"
        for method in _methods(outcomes)
    ]


def _difference_table(outcomes: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        "Differences of accuracy, seed by seed on the same clips, in points.",
        "",
        "| set | in what they differ | first | second | first − second ± 95 % interval "
        "| seeds better, worse | says |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in differences(outcomes):
        apart = one.difference
        lines.append(
            f"| {one.set} | {one.about} | {TITLES[one.first]} | {TITLES[one.second]} "
            f"| {100 * apart.mean:+.1f} ± {100 * apart.half_width:.1f} "
            f"| {one.better}, {one.worse} of {apart.seeds} | {one.verdict} |"
        )
    return lines


def _training_table(outcomes: Sequence[dict[str, Any]], sets: Sequence[ControlledSet]) -> list[str]:
    """Kept epoch of how many, and seconds, in the mean over the seeds."""
    figures = [means(outcomes, name) for name in ("kept_epoch", "epochs", "seconds")]
    lines = [
        "Mean over the seeds of: the kept epoch / the epochs trained, and the seconds.",
        "",
        "| method | " + " | ".join(one.name for one in sets) + " |",
        "|---|" + "---|" * len(sets),
    ]
    for method in _methods(outcomes):
        cells = []
        for one in sets:
            key = (one.name, method)
            kept, epochs, seconds = (figure.get(key) for figure in figures)
            if kept is None or epochs is None or seconds is None:
                cells.append("")
            else:
                cells.append(f"{kept.mean:.0f} / {epochs.mean:.0f}, {seconds.mean:.0f} s")
        lines.append(f"| {TITLES[method]} | " + " | ".join(cells) + " |")
    return lines


def _cell(found: SeedMean | None) -> str:
    if found is None:
        return ""
    if found.seeds == 1:
        return f"{found.mean:.3f}"
    return f"{found.mean:.3f} ± {found.half_width:.3f} ({found.standard_deviation:.3f})"


def _methods(outcomes: Sequence[dict[str, Any]]) -> list[str]:
    return [name for name in TITLES if name in _present(outcomes, "method")]


def _present(outcomes: Sequence[dict[str, Any]], name: str) -> set[Any]:
    return {one[name] for one in outcomes}
