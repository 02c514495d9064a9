"""The head of the page and its table of scores.

Comes in: a run and its results. Goes out: names and values in words. `write_report`
calls it.
"""

import dataclasses
from typing import Any

from cham_keras.baselines import read_baselines_beside_run
from cham_keras.evaluation import Results
from cham_keras.evaluation.report import SCORE_TITLES
from cham_keras.files import read_json
from cham_keras.report.wording import counted, duration, interval, number, percent
from cham_keras.runs import Run
from cham_keras.runs.run_folder import METRICS_FILE, SETTINGS_FILE, VERSIONS_FILE

#: Scores that are no shares.
_NUMBERS = ("negative_log_likelihood", "calibration_error")


@dataclasses.dataclass(frozen=True)
class Fact:
    """A name and a value in words; `is_code` where it is to be copied."""

    name: str
    value: str
    is_code: bool = False


@dataclasses.dataclass(frozen=True)
class Score:
    """A score in words, with its interval; empty where there is none."""

    name: str
    value: str
    interval: str


def metrics_of(run: Run) -> dict[str, Any]:
    """What training ended with; empty where nobody wrote it down."""
    return run.metrics() if (run.folder / METRICS_FILE).is_file() else {}


def head_facts(run: Run, results: Results) -> list[Fact]:
    """What the run is: model, data, length, seed, command."""
    metrics, environment = metrics_of(run), _environment_of(run)
    data = [
        counted(len(results.classes), "class", "classes"),
        f"{counted(len(results.clip_ids), 'clip')} of the split {results.split}",
        f"{counted(results.num_groups, 'group')} of clips",
    ]
    backbone = run.manifest.backbone
    shape = " × ".join(map(str, run.manifest.feature_shape))
    facts = [
        Fact("Model", run.settings.model.name),
        Fact("Data", ", ".join(data)),
        Fact("Clips from", str(run.manifest.clips_root), is_code=True),
        Fact("Features", f"{backbone.name}, {shape}; {counted(run.num_frames, 'frame')} a clip"),
    ]
    if windows := windows_in_words(results):
        facts.append(Fact("Score of a clip", f"mean over {windows}"))
    if "kept_epoch" in metrics and "epochs" in metrics:
        kept = f"{metrics['kept_epoch']} of {metrics['epochs']}"
        validation = metrics.get("kept", {}).get("val_clip_accuracy")
        if validation is not None:
            kept += f", validation accuracy {percent(validation)}"
        facts.append(Fact("Best epoch", kept))
    if "parameters" in metrics:
        facts.append(Fact("Parameters", f"{metrics['parameters']:,}"))
    if "seconds" in metrics:
        facts.append(Fact("Training time", duration(metrics["seconds"])))
    facts.append(Fact("Seed", str(run.settings.seed)))
    if environment.get("processor"):
        cores = counted(environment.get("processor_count") or 1, "core")
        facts.append(Fact("Trained on", f"{environment['processor']}, {cores}"))
    if environment.get("command"):
        facts.append(Fact("Command", environment["command"], is_code=True))
    return facts


def windows_in_words(results: Results) -> str:
    """How many windows of frames a clip's score is the mean of; empty where it is one."""
    windows = 1 if results.frames is None else results.frames.windows
    if windows == 1:
        return ""
    return "as many windows as hold every frame" if windows == "all" else f"{windows} windows"


def score_table(results: Results) -> list[Score]:
    """Every score of the split."""
    rows = []
    for name, value in results.point_scores.items():
        said = number(value) if name in _NUMBERS else percent(value)
        rows.append(Score(SCORE_TITLES[name], said, interval(results.intervals.get(name))))
    return rows


def baseline_in_words(run: Run, results: Results) -> str:
    """What pooled features come to on the same clips; empty where nobody has fitted them."""
    beside = read_baselines_beside_run(run.folder, results.split)
    if beside is None:
        return ""
    best = beside.baselines[0]
    ends = interval(best.interval)
    return (
        f"A yardstick: {beside.classifier} regression on pooled features recognises "
        f"{percent(best.clip_accuracy)} of the same clips"
        f"{f' (95 % interval {ends})' if ends else ''}. The pooling is {best.pooling}, which did "
        f"best of {len(beside.baselines)} on held-out training clips."
    )


def settings_text(run: Run) -> str:
    """The resolved settings as they lie in the run folder."""
    return (run.folder / SETTINGS_FILE).read_text(encoding="utf-8")


def versions_of_run(run: Run) -> list[Fact]:
    """Versions of the packages that the run was trained with."""
    versions = _environment_of(run).get("versions", {})
    return [Fact(name, str(version)) for name, version in versions.items()]


def _environment_of(run: Run) -> dict[str, Any]:
    path = run.folder / VERSIONS_FILE
    return read_json(path) if path.is_file() else {}
