"""The search: shards in, the best settings out, as a file that `cham train` takes."""

import dataclasses
import math
from pathlib import Path

import keras
import keras_tuner

from cham_keras.data import read_manifest, shard_errors_named
from cham_keras.files import replacing_file
from cham_keras.progress import progress_bar
from cham_keras.runs import RunSettings
from cham_keras.settings import write_settings
from cham_keras.training import clip_datasets, resolve
from cham_keras.tuning.hyper_model import CHAMHyperModel, SearchSpace

OBJECTIVE = "val_clip_accuracy"
BEST_FILE = "best.toml"
TRIALS_FILE = "trials.md"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One combination that was tried.

    Attributes:
        values: what was chosen, by setting.
        parameters: number of weights.
        score: best accuracy over the validation clips.
    """

    values: dict[str, int]
    parameters: int
    score: float


@dataclasses.dataclass(frozen=True)
class Search:
    """A finished search.

    Attributes:
        trials: all trials, the best first; of equal scores the smaller model.
        best: the settings of the best trial.
        folder: where `best.toml` and `trials.md` lie.
    """

    trials: tuple[Trial, ...]
    best: RunSettings
    folder: Path

    def to_markdown(self) -> str:
        """A table with a row a trial."""
        names = list(self.trials[0].values)
        rows = [
            f"| {' | '.join(names)} | parameters | validation accuracy |",
            "|" + "---|" * (len(names) + 2),
        ]
        for trial in self.trials:
            values = " | ".join(str(trial.values[name]) for name in names)
            rows.append(f"| {values} | {trial.parameters:,} | {trial.score:.3f} |")
        return "\n".join(rows) + "\n"


def tune(
    shards: Path,
    out: Path,
    settings: RunSettings | None = None,
    space: SearchSpace | None = None,
    max_trials: int = 10,
) -> Search:
    """Searches kernel sizes and channels by random search.

    Each trial trains from the same seed on the split `train`; the best accuracy
    over the clips of `validation` is its score. A search that was broken off
    goes on where it was.

    Args:
        shards: a folder that `cham extract` has written, with a split `validation`.
        out: the folder to write.
        settings: all settings that are not searched.
        space: the values that are tried.
        max_trials: number of combinations.

    Returns:
        the search; `best.toml` and `trials.md` lie in `out`.

    Raises:
        ValueError: the shards have no split `validation`, or the model has no kernels.
    """
    shards, out = Path(shards), Path(out)
    settings = resolve(settings or RunSettings())
    manifest = read_manifest(shards)
    manifest.split("validation")
    hyper_model = CHAMHyperModel(
        settings, manifest.feature_shape, len(manifest.classes), space or SearchSpace()
    )
    steps_per_epoch = math.ceil(manifest.split("train").clips / settings.data.batch_size)
    training_clips, validation_clips = clip_datasets(shards, settings)
    with progress_bar() as bar:
        tuner = _WatchedSearch(
            hyper_model,
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            max_trials=max_trials,
            seed=settings.seed,
            directory=out,
            project_name="trials",
        )
        tuner.watch(bar, bar.add_task("tuning", total=max_trials, note=""))
        with shard_errors_named():
            tuner.search(
                training_clips,
                validation_data=validation_clips,
                epochs=settings.epochs or math.ceil(settings.iterations / steps_per_epoch),
                steps_per_epoch=steps_per_epoch,
                shuffle=False,  # the data set shuffles
                verbose=0,
            )
    search = _result(tuner, hyper_model, out)
    write_settings(
        out / BEST_FILE,
        search.best,
        comment=f"Best of {len(search.trials)} trials: {OBJECTIVE} {search.trials[0].score:.3f}.\n"
        f"Train with: cham --settings {BEST_FILE} train SHARDS --out RUN",
    )
    with replacing_file(out / TRIALS_FILE) as temporary:
        temporary.write_text(search.to_markdown())
    return search


class _WatchedSearch(keras_tuner.RandomSearch):
    """Random search that moves a progress bar and counts each trial's weights."""

    def watch(self, bar, task):
        self._bar, self._task = bar, task
        bar.update(task, completed=len(self.oracle.trials))

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        best = self.oracle.get_best_trials(1)
        note = f"best {best[0].score:.3f}" if best else ""
        self._bar.update(self._task, completed=len(self.oracle.trials), note=note)
        keras.backend.clear_session()


def _result(tuner: _WatchedSearch, hyper_model: CHAMHyperModel, out: Path) -> Search:
    finished = tuner.oracle.get_best_trials(len(tuner.oracle.trials))
    if not finished:
        raise ValueError(
            f"A search must have at least one trial that ends well. Received none in {out}. "
            "The trials' own messages stand above."
        )
    trials = [
        Trial(
            values=dict(trial.hyperparameters.values),
            parameters=hyper_model.build(trial.hyperparameters).count_params(),
            score=trial.score,
        )
        for trial in finished
    ]
    order = sorted(range(len(trials)), key=lambda i: (-trials[i].score, trials[i].parameters))
    return Search(
        trials=tuple(trials[index] for index in order),
        best=hyper_model.settings_of(finished[order[0]].hyperparameters),
        folder=out,
    )
