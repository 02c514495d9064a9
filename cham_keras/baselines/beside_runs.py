"""The pooled baselines that `cham evaluate` prints beside a run: what to beat on the same clips.

Comes in: shards and the run folders that were evaluated on them. Goes out: accuracies with their
intervals, kept in each run's evaluation folder, so that a second call fits nothing. The whole
table with all files of each method is `cham baselines`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cham_keras.baselines.linear_classifiers import Classifier, fit_linear_classifier
from cham_keras.baselines.pooled_baselines import POOLINGS, classifiers_for, folds_for
from cham_keras.baselines.pooled_clips import manifest_checksum, pooled_clips
from cham_keras.data import read_manifest
from cham_keras.evaluation import summarize
from cham_keras.evaluation.report import number
from cham_keras.evaluation.results_files import without_nan
from cham_keras.files import read_json, write_json
from cham_keras.paths import AnyPath
from cham_keras.progress import track
from cham_keras.runs.run_folder import EVALUATION_FOLDER

#: How the file is called, behind the name of the split.
BASELINES_ENDING = "-baselines.json"

_FITTED_ON = "train"
# As many rows stand in the table.
_BEST = 3
# A change of what is fitted makes the kept files void.
_FORM = 1


@dataclasses.dataclass(frozen=True)
class PooledBaseline:
    """A linear classifier on one pooling.

    Attributes:
        pooling: which one; see `pooling.STATISTICS_OF_POOLING`.
        clip_accuracy: on the split.
        interval: its 95 % interval; nan where all clips are of one group.
        held_out_accuracy: on the clips that were fitted on, while they were held out.
        held_out_log_loss: of these, in nats.
    """

    pooling: str
    clip_accuracy: float
    interval: tuple[float, float]
    held_out_accuracy: float
    held_out_log_loss: float


@dataclasses.dataclass(frozen=True)
class BaselinesBesideRuns:
    """What pooled features come to on the clips of an evaluation.

    Attributes:
        split: what was evaluated.
        clips_fitted_on: number of training clips.
        classifier: logistic, or ridge where there are many of them.
        baselines: one a pooling; the best on held-out training clips first.
    """

    split: str
    clips_fitted_on: int
    classifier: Classifier
    baselines: tuple[PooledBaseline, ...]

    def to_markdown(self) -> str:
        """A row each of the poolings that did best on held-out training clips."""
        lines = [
            f"Pooled baselines on the same clips: {self.classifier} regression on features pooled "
            f"over time and space, fitted on the {self.clips_fitted_on} clips of `{_FITTED_ON}` in "
            f"these shards. Of {len(self.baselines)} poolings, those that did best on held-out "
            "training clips.",
            "",
            "| pooling | clip accuracy | 95 % interval | held out |",
            "|---|---|---|---|",
        ]
        for found in self.baselines[:_BEST]:
            lower, upper = map(number, found.interval)
            lines.append(
                f"| {found.pooling} | {number(found.clip_accuracy)} | {lower} to {upper} "
                f"| {number(found.held_out_accuracy)} |"
            )
        return "\n".join(lines) + "\n"


def baselines_beside_runs(
    run_folders: Sequence[Path], shards: AnyPath | str, split: str = "test"
) -> BaselinesBesideRuns:
    """Fits a linear classifier on every pooling, or reads what an earlier call has kept.

    The strength of each is chosen by cross-validation over whole groups of training clips. The
    result is kept as `evaluation/<split>-baselines.json` in each run folder, with the checksum
    of the shards; that of other shards is made anew.

    Args:
        run_folders: the runs that were evaluated.
        shards: what they were evaluated on.
        split: the split.

    Raises:
        FileNotFoundError: a shard is missing.
        ValueError: the split is the one to fit on, the shards do not hold both, or there are too
            few classes or groups to fit and choose.
    """
    manifest = read_manifest(shards)
    checksum = manifest_checksum(manifest)
    files = [folder / EVALUATION_FOLDER / f"{split}{BASELINES_ENDING}" for folder in run_folders]
    kept = next((found for file in files if (found := _read(file, checksum)) is not None), None)
    found = _fitted(shards, split) if kept is None else kept
    for file in files:
        if _read(file, checksum) is None:
            facts = {"form": _FORM, "shards": checksum, **dataclasses.asdict(found)}
            write_json(file, without_nan(facts))
    return found


def read_baselines_beside_run(run_folder: Path, split: str = "test") -> BaselinesBesideRuns | None:
    """What `baselines_beside_runs` has kept in a run folder; None where there is nothing."""
    return _read(run_folder / EVALUATION_FOLDER / f"{split}{BASELINES_ENDING}")


def _fitted(shards: AnyPath | str, split: str) -> BaselinesBesideRuns:
    manifest = read_manifest(shards)
    manifest.split(split)
    if split == _FITTED_ON:
        raise ValueError(f"They are fitted on the split `{_FITTED_ON}`, the one evaluated here.")
    if _FITTED_ON not in manifest.splits:
        raise ValueError(
            f"They are fitted on the split `{_FITTED_ON}`, and the shards hold only "
            f"{', '.join(manifest.splits)}."
        )
    training = pooled_clips(shards, _FITTED_ON)
    tested = pooled_clips(shards, split)
    classifier = classifiers_for(len(training.clips))[0]
    num_folds = folds_for(set(training.groups))
    found = []
    for pooling in track(POOLINGS, "fitting pooled baselines"):
        fitted = fit_linear_classifier(
            classifier,
            training.pooled(pooling),
            training.labels,
            training.groups,
            manifest.classes,
            num_folds,
        )
        probabilities = fitted.probabilities(tested.pooled(pooling))
        results = summarize(tested.clips, probabilities, classes=manifest.classes, split=split)
        found.append(
            PooledBaseline(
                pooling=pooling,
                clip_accuracy=results.point_scores["clip_accuracy"],
                interval=results.intervals["clip_accuracy"],
                held_out_accuracy=fitted.choice.accuracy,
                held_out_log_loss=fitted.choice.log_loss,
            )
        )
    found.sort(key=lambda baseline: baseline.held_out_log_loss)
    return BaselinesBesideRuns(split, len(training.clips), classifier, tuple(found))


def _read(file: Path, checksum: str | None = None) -> BaselinesBesideRuns | None:
    """What was kept, of these shards where a checksum is given, or None."""
    if not file.is_file():
        return None
    try:
        stored = read_json(file)
        if stored["form"] != _FORM or checksum not in (None, stored["shards"]):
            return None
        rows = tuple(PooledBaseline(**_row(row)) for row in stored["baselines"])
        of_all = {name: stored[name] for name in ("split", "clips_fitted_on", "classifier")}
        return BaselinesBesideRuns(**of_all, baselines=rows)
    except (KeyError, TypeError, ValueError):
        return None  # a broken file is made anew, as one of other shards is


def _row(stored: dict[str, Any]) -> dict[str, Any]:
    ends = (float("nan") if end is None else end for end in stored["interval"])
    return {**stored, "interval": tuple(ends)}
