"""How a trial runs: as `train` does it, with its costs, its faults and its second start.

Comes in: what an oracle of `proposals` has chosen. Goes out: score and costs into keras-tuner's
books, which a search that was broken off goes on from. `tune` puts the two together.
"""

import contextlib
import gc
import io
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from cham_keras.files import replacing_file
from cham_keras.paths import AnyPath
from cham_keras.process_memory import reset_peak
from cham_keras.progress import stderr
from cham_keras.runs import RunSettings
from cham_keras.training import NonFiniteLossError, resolve, trained
from cham_keras.tuning.cluster import signs_of_life
from cham_keras.tuning.hyper_model import EPOCHS_OF_HYPERBAND, CHAMHyperModel
from cham_keras.tuning.oracles import BOOKS_FILE, OBJECTIVE
from cham_keras.tuning.search_folder import BOOKS_FOLDER, RUNS_FOLDER
from cham_keras.tuning.trial_cost import (
    TrialCost,
    least_memory_bytes,
    measure_cost,
    why_too_large,
)
from cham_keras.tuning.trials import EPOCHS, FailedTrial, Trial

#: So often a trial may take its process with it before it counts as failed.
_MOST_STARTS = 3

#: What the shards or the disk are at fault for, and not a trial; the next one would meet it too.
_OF_ALL_TRIALS = (ValueError, OSError)


class TrainingTuner(keras_tuner.Tuner):
    """Runs each trial as `train` does, so that its settings give the same run again.

    Args:
        oracle: what is tried.
        hyper_model: makes settings of an oracle's values.
        shards: the folder of shards, or a view of it for each fold.
        out: the folder of the search.
        memory_limit_bytes: what needs more is not started.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hyper_model: CHAMHyperModel,
        shards: Sequence[AnyPath],
        out: Path,
        memory_limit_bytes: int,
    ):
        self._shards, self._out = shards, out
        self._memory_limit_bytes = memory_limit_bytes
        with contextlib.redirect_stdout(io.StringIO()):  # it prints when it goes on
            super().__init__(
                oracle, hypermodel=hyper_model, directory=out, project_name=BOOKS_FOLDER
            )
        self.save()  # a search that breaks off in its first trial can go on, too

    def _populate_initial_space(self) -> None:
        # keras-tuner builds a model to see what is searched, however large.
        space = self.oracle.get_space()
        self.hypermodel.declare_hyperparameters(space)
        self.oracle.update_space(space)

    def _try_run_and_update_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
        # keras-tuner prints the traceback of each failure, and takes a chief that is away for one.
        try:
            self._run_and_update_trial(trial, *args, **kwargs)
            trial.status = "COMPLETED"
        except keras_tuner.errors.FailedTrialError as error:
            trial.status = "FAILED"
            trial.message = f"FailedTrialError: {error}"

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Trains one model; the score is the accuracy of the epoch that is kept."""
        run_settings = self.hypermodel.settings_of(trial.hyperparameters)
        values = {
            name: trial.hyperparameters.values[name] for name in self.hypermodel.space.choices()
        }
        if EPOCHS_OF_HYPERBAND in trial.hyperparameters.values:
            values[EPOCHS] = run_settings.epochs
        chosen = ", ".join(f"{name} {value}" for name, value in values.items())
        stderr.print(f"[bold]trial {trial.trial_id}[/bold] {chosen}", highlight=False)
        try:
            with signs_of_life(self.oracle, trial.trial_id, self.tuner_id):
                return self._scored(trial.trial_id, run_settings)
        except keras_tuner.errors.FailedTrialError as error:
            stderr.print(f"failed: {error}", markup=False, highlight=False)
            raise
        except Exception as error:
            failure = _failure_of_one_model(error)
            if failure is None:
                raise
            if failure == _as_sentence(error):  # not one of those that are expected
                stderr.print(traceback.format_exc(), markup=False, highlight=False)
            stderr.print(f"failed: {failure}", markup=False, highlight=False)
            raise keras_tuner.errors.FailedTrialError(failure) from error

    def _scored(self, trial_id: str, run_settings: RunSettings) -> dict[str, float]:
        self._refuse_what_does_not_fit(run_settings)
        folder = self._out / RUNS_FOLDER / trial_id
        with _counted_start(folder.with_name(f"{folder.name}.starts")):
            reset_peak()
            if len(self._shards) == 1:
                runs = [trained(self._shards[0], folder, run_settings)]
            else:
                runs = [trained(view, folder / view.name, run_settings) for view in self._shards]
            cost = measure_cost(runs)
        # Every clip that is validated on weighs the same.
        clips = [run.manifest.split("validation").clips for run in runs]
        scores = [run.metrics()["kept"][OBJECTIVE] for run in runs]
        return {OBJECTIVE: float(np.average(scores, weights=clips)), **cost.to_metrics()}

    def _refuse_what_does_not_fit(self, run_settings: RunSettings) -> None:
        shape = self.hypermodel.feature_shape
        least = least_memory_bytes(resolve(run_settings), shape, self.hypermodel.num_classes)
        if reason := why_too_large(least, self._memory_limit_bytes):
            raise keras_tuner.errors.FailedTrialError(f"not started: {reason}")

    def save(self) -> None:
        """Writes the books, where they are kept here."""
        if not self._is_worker():
            self.oracle.save()

    def reload(self) -> None:
        """Reads the books, where they are kept here."""
        if not self._is_worker():
            self.oracle.reload()

    def _get_tuner_fname(self) -> str:
        # keras-tuner looks for a file by the process's name before it reads the books, and begins
        # anew where a search was begun alone and goes on with a chief.
        return str(Path(self.directory, self.project_name, BOOKS_FILE))

    def on_trial_end(self, trial: Any) -> None:
        """Enters the trial in the books, and frees what it held."""
        super().on_trial_end(trial)
        keras.backend.clear_session()
        gc.collect()


def ended_trials(
    oracle: keras_tuner.Oracle, hyper_model: CHAMHyperModel, out: Path
) -> tuple[tuple[Trial, ...], tuple[FailedTrial, ...]]:
    """The trials of an oracle that have ended well, in the order of their rank, and the others.

    Args:
        oracle: with the books; not a worker's.
        hyper_model: makes settings of an oracle's values.
        out: the folder of the search.
    """
    booked = [oracle.get_trial(trial_id) for trial_id in oracle.end_order]
    names = list(hyper_model.space.choices())
    trials, failed = [], []
    for trial in booked:
        values = {name: trial.hyperparameters.values[name] for name in names}
        settings = resolve(hyper_model.settings_of(trial.hyperparameters))
        if trial.status == "COMPLETED":
            run, cost = out / RUNS_FOLDER / trial.trial_id, TrialCost.from_metrics(trial.metrics)
            trials.append(Trial(trial.trial_id, values, run, settings, trial.score, cost))
        else:
            # The message is the error's name and sentence; in older books below a traceback.
            reason = (trial.message or "").strip().rpartition("FailedTrialError: ")[2]
            reason = reason.partition("\n")[0]
            failed.append(FailedTrial(trial.trial_id, values, reason, settings.epochs))
    return tuple(sorted(trials, key=lambda trial: trial.rank)), tuple(failed)


@contextlib.contextmanager
def _counted_start(path: Path) -> Iterator[None]:
    """Counts the starts of a trial, so that one which kills its process is not tried for ever."""
    starts = int(path.read_text()) if path.is_file() else 0
    if starts >= _MOST_STARTS:
        path.unlink(missing_ok=True)
        raise keras_tuner.errors.FailedTrialError(
            f"its process ended {starts} times in the middle of it; the memory may not be enough"
        )
    _write(path, starts + 1)
    try:
        yield
    except KeyboardInterrupt:  # by the user's will
        _write(path, starts)
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)


def _write(path: Path, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(path) as temporary:
        temporary.write_text(str(count))


def _failure_of_one_model(error: Exception) -> str | None:
    """Why this model failed where others may not; None if it ends the search."""
    if isinstance(error, NonFiniteLossError):
        return "the loss is not finite"
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "ResourceExhaustedError"
        or "RESOURCE_EXHAUSTED" in str(error)
    ):
        return "out of memory"
    if isinstance(error, _OF_ALL_TRIALS):
        return None
    return _as_sentence(error)


def _as_sentence(error: Exception) -> str:
    sentence = (str(error).strip().splitlines() or ["no message"])[0]
    return f"{type(error).__name__}: {sentence}"
