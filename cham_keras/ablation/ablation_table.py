"""The table of an ablation, in Markdown."""

from cham_keras.ablation.line_scores import AblationScores, LineScore
from cham_keras.ablation.settings import AblationSettings
from cham_keras.evaluation.report import number


def ablation_table(scores: AblationScores, settings: AblationSettings) -> str:
    """A row a line, what was chosen, and what choosing gives."""
    chosen = scores.chosen.scores
    lower, upper = chosen["clip_accuracy_interval"]
    seeds = len(settings.seeds)
    runs = len(scores.lines) * seeds * settings.runs_of_line
    pairs = "every two folds" if settings.pairs == "all" else "every two neighbouring folds"
    lines = [
        f"# Ablation of `{settings.recipe}`",
        "",
        f"{len(scores.chosen.labels)} clips in {settings.folds} folds by whole groups. Every line "
        f"is trained without {pairs} and scored on both, {_seeds(seeds)}: {runs} runs. "
        "Change: log loss less that of the first line, with its 95 % interval. Chosen: how many "
        "folds would choose the line by its log loss on the other folds.",
        "",
        "| line | accuracy | log loss | change | 95 % interval | chosen |",
        "|---|---:|---:|---:|---|---:|",
        *(_row(line, is_first=position == 0) for position, line in enumerate(scores.lines)),
        "",
        "With each fold scored by what was chosen without it, a clip by the mean of "
        f"{settings.runs_of_clip} models of {settings.folds - 2} folds: accuracy "
        f"{number(chosen['clip_accuracy'])} ({number(lower)} to {number(upper)}).",
    ]
    return "\n".join(lines) + "\n"


def _row(line: LineScore, is_first: bool) -> str:
    ends = line.change_interval
    cells = [
        line.name,
        number(line.accuracy),
        number(line.log_loss),
        "" if is_first else f"{line.change:+.3f}",
        "" if is_first or ends is None else f"{ends[0]:+.3f} to {ends[1]:+.3f}",
        str(line.chosen),
    ]
    return f"| {' | '.join(cells)} |"


def _seeds(count: int) -> str:
    return "with one seed" if count == 1 else f"the mean over {count} seeds"
