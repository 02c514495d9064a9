"""What a search leaves to read: tables, a picture, a recipe for each of the best trade-offs.

Comes in: a `Search`. Goes out: `best.toml`, `trials.md`, `report.md`, `trade-offs.png` and
`trade-offs/<trial>.toml`. Written anew after each trial, so a search that is broken off leaves
them, too.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from cham_keras.files import replacing_file
from cham_keras.settings import write_settings
from cham_keras.tuning.trade_offs import Importance, best_trade_offs, importances
from cham_keras.tuning.trials import (
    EPOCHS,
    FailedTrial,
    Search,
    Trial,
    shown_values,
    varied_settings,
)

BEST_FILE = "best.toml"
TRIALS_FILE = "trials.md"
REPORT_FILE = "report.md"
PICTURE_FILE = "trade-offs.png"
RECIPES_FOLDER = "trade-offs"

_BLUE, _GREY, _ORANGE = "#0072b2", "#9a9a9a", "#d55e00"


def write_report(search: Search) -> None:
    """Writes all files.

    Args:
        search: what was found so far.
    """
    folder, front = search.folder, best_trade_offs(search.trials)
    num_trials = len(search.trials) + len(search.failed)
    _write_recipe(search.trials[0], num_trials, folder / BEST_FILE)
    recipes = folder / RECIPES_FOLDER
    recipes.mkdir(exist_ok=True)
    for trial in front:
        _write_recipe(trial, num_trials, recipes / f"{trial.name}.toml")
    for old in set(recipes.glob("*.toml")) - {recipes / f"{trial.name}.toml" for trial in front}:
        old.unlink()
    _plot(search, front, folder / PICTURE_FILE)
    _write(folder / TRIALS_FILE, trials_table(search.trials, search.failed))
    _write(folder / REPORT_FILE, report_as_markdown(search))


def write_failures(failed: Sequence[FailedTrial], folder: Path) -> None:
    """Writes the table of trials of a search in which none has ended well yet.

    Args:
        failed: at least one.
        folder: of the search.
    """
    _write(folder / TRIALS_FILE, trials_table((), failed))


def _write(path: Path, text: str) -> None:
    with replacing_file(path) as temporary:
        temporary.write_text(text)


def _write_recipe(trial: Trial, num_trials: int, path: Path) -> None:
    write_settings(
        path,
        trial.settings,
        comment=f"Trial {trial.name} of {num_trials}: accuracy {trial.score:.3f} over the "
        f"validation clips, {trial.cost.parameters:,} parameters.\n"
        f"Train with: cham --settings {path.name} train SHARDS --out RUN",
    )


def trials_table(
    trials: Sequence[Trial],
    failed: Sequence[FailedTrial] = (),
    names: Sequence[str] | None = None,
) -> str:
    """A Markdown table with a row a trial.

    Args:
        trials: in the order of the rows; these or those that failed are at least one.
        failed: rows behind them.
        names: settings that get a column; by default all, and the epochs where they vary.
    """
    rows_of: list[Trial | FailedTrial] = [*trials, *failed]
    if names is None:
        varied_epochs = [EPOCHS] if EPOCHS in varied_settings(rows_of) else []
        names = [*rows_of[0].values, *varied_epochs]
    unit, per_unit = _unit_of_operations(trials)
    head = ["trial", *names, "parameters", f"{unit} a clip", "ms a clip", "peak GiB"]
    rows = [[*head, "validation accuracy"], ["---"] * (len(head) + 1)]
    for trial in trials:
        cost = trial.cost
        rows.append(
            [
                trial.name,
                *(str(shown_values(trial)[name]) for name in names),
                f"{cost.parameters:,}",
                f"{cost.operations / per_unit:,.3f}",
                f"{cost.seconds_per_clip * 1000:.3g}",
                f"{cost.peak_memory_bytes / 2**30:.2f}",
                f"{trial.score:.3f}",
            ]
        )
    for failure in failed:
        values = [str(shown_values(failure)[name]) for name in names]
        rows.append([failure.name, *values, *[""] * 4, f"failed: {failure.reason}"])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _unit_of_operations(trials: Sequence[Trial]) -> tuple[str, float]:
    """GFLOP, or where all models are small, MFLOP; so many operations are one."""
    largest = max((trial.cost.operations for trial in trials), default=0)
    return ("GFLOP", 1e9) if largest >= 1e9 else ("MFLOP", 1e6)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def report_as_markdown(search: Search) -> str:
    """The report: the best, the trade-offs, what each setting was worth, all trials."""
    best, front = search.trials[0], best_trade_offs(search.trials)
    varied = varied_settings([*search.trials, *search.failed])
    parts = [
        "# A search",
        f"{_count(len(search.trials) + len(search.failed), 'trial')}, {len(search.failed)} of "
        "them failed, "
        f"{sum(trial.cost.train_seconds for trial in search.trials) / 60:.1f} minutes of training. "
        "Scores "
        f"are accuracies over {_count(search.validation_clips, 'validation clip')}: one clip is "
        f"{100 / search.validation_clips:.1f} points, and by chance alone a score of "
        f"{best.score:.2f} has a standard error of {_standard_error(search):.3f}. The best of "
        "many trials is chosen by these clips, so its own score is too high; `cham evaluate` on "
        "other clips tells what it is worth.",
        compared_with_default(search),
        "## The best trade-offs",
        "No other trial is at least as good in accuracy, parameters and operations. Each is a "
        f"recipe: `cham --settings {RECIPES_FOLDER}/TRIAL.toml train SHARDS --out RUN`.",
        trials_table(front, names=varied),
        f"![accuracy against parameters and time]({PICTURE_FILE})",
        "## What each setting was worth",
        "Of the scores' variance, the share that lies between the means of a setting's values. "
        "With few trials a value it is large by chance."
        + (" Trials with the most epochs count alone." if EPOCHS in varied else ""),
        _importance_table(importances(search.trials)),
        "## All trials",
        trials_table(search.trials, search.failed, varied),
    ]
    fixed = {name: value for name, value in best.values.items() if name not in varied}
    if fixed:
        parts.append(f"In all of them: {', '.join(f'{n} {v}' for n, v in fixed.items())}.")
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def _standard_error(search: Search) -> float:
    share = search.trials[0].score
    return math.sqrt(share * (1 - share) / search.validation_clips)


def compared_with_default(search: Search) -> str:
    """Says whether the search beats the settings as they stood, at their number of parameters.

    Args:
        search: what was found.
    """
    default = search.default
    if default is None:
        return "The settings as they stood before are not among the trials."
    limit = default.cost.parameters
    best = next(trial for trial in search.trials if trial.cost.parameters <= limit)
    epochs = ""
    if EPOCHS in varied_settings(search.trials):
        epochs = f" after {_count(default.epochs or 0, 'epoch')}"
    sentence = (
        f"The settings as they stood (trial {default.name}): {default.score:.3f}{epochs} with "
        f"{default.cost.parameters:,} parameters. "
    )
    if best.score <= default.score:
        return sentence + "No trial with at most as many parameters is better."
    more = round((best.score - default.score) * search.validation_clips)
    return sentence + (
        f"The best with at most as many: trial {best.name}, {best.score:.3f} with "
        f"{best.cost.parameters:,}, {_count(more, 'clip')} more."
    )


def _importance_table(found: Sequence[Importance]) -> str:
    if not found:
        return "Nothing was varied yet."
    rows = ["| setting | share | mean score by value (trials) |", "|---|---|---|"]
    for importance in found:
        means = ", ".join(
            f"{value}: {mean:.3f} ({count})" for value, (mean, count) in importance.means.items()
        )
        rows.append(f"| {importance.name} | {importance.share:.2f} | {means} |")
    return "\n".join(rows)


def _plot(search: Search, front: Sequence[Trial], path: Path) -> None:
    """Draws accuracy against parameters and against time, a point a trial."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, label, cost_of in (
        (panels[0], "parameters", lambda trial: trial.cost.parameters),
        (panels[1], "milliseconds a clip", lambda trial: trial.cost.seconds_per_clip * 1000),
    ):
        others = [trial for trial in search.trials if trial not in front]
        for trials, style in (
            (others, {"color": _GREY, "marker": "o", "label": "beaten by another"}),
            (front, {"color": _BLUE, "marker": "D", "label": "best trade-offs"}),
        ):
            axes.scatter(
                [cost_of(trial) for trial in trials],
                [100 * trial.score for trial in trials],
                **{"s": 34, **style},
            )
        if search.default is not None:
            axes.scatter(
                *([cost_of(search.default)], [100 * search.default.score]),
                s=150,
                facecolors="none",
                edgecolors=_ORANGE,
                linewidths=1.8,
                label="settings as they stood",
            )
        for trial in front:
            axes.annotate(
                trial.name,
                (cost_of(trial), 100 * trial.score),
                xytext=(5, 5),
                textcoords="offset points",
                fontsize=8,
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(0.08)
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("validation accuracy (%)")
    marks = panels[0].get_legend_handles_labels()
    figure.legend(*marks, fontsize=8, loc="outside lower center", ncols=3)
    figure.suptitle(
        f"{_count(len(search.trials), 'trial')}; numbers are those of the trials", fontsize=10
    )
    FigureCanvasAgg(figure)
    with replacing_file(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
