"""The two parts of a search for keras-tuner: what is tried next, and how a trial runs.

`tune` puts them together. keras-tuner keeps the books, so that a search which was
broken off goes on.
"""

import contextlib
import io
import random
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from cham_keras.paths import AnyPath
from cham_keras.progress import stderr
from cham_keras.runs.run_folder import LAST_MODEL_FILE, MODEL_FILE, open_run
from cham_keras.training import NonFiniteLossError, train
from cham_keras.tuning.hyper_model import CHAMHyperModel
from cham_keras.tuning.search import Search, Trial

OBJECTIVE = "val_clip_accuracy"
RUNS_FOLDER = "runs"
BOOKS_FOLDER = "keras_tuner"


class ShuffledCombinations(keras_tuner.Oracle):
    """Gives every combination once, in a random order that the seed decides.

    keras-tuner's random search draws again and again and gives up after some
    combinations that it has had, so it often misses the last ones of a small space;
    and it takes the seed 0 for none.

    Args:
        combinations: values by setting.
        max_trials: how many of them are tried.
        seed: decides the order. A search that goes on has the same order.
    """

    def __init__(self, combinations: list[dict[str, int]], max_trials: int, seed: int):
        super().__init__(
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            max_trials=min(max_trials, len(combinations)),
            # A model that is too large for the memory says nothing of the others.
            max_consecutive_failed_trials=len(combinations) + 1,
        )
        self.verbose = 0
        self._order = random.Random(seed).sample(combinations, len(combinations))

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The values of the next trial."""
        return {"status": "RUNNING", "values": self._order[len(self.start_order)]}


class TrainingTuner(keras_tuner.Tuner):
    """Runs each trial as `train` does, so that its settings give the same run again.

    Args:
        oracle: what is tried.
        hyper_model: makes settings of an oracle's values.
        shards: the folder of shards.
        out: the folder of the search.
    """

    def __init__(
        self,
        oracle: ShuffledCombinations,
        hyper_model: CHAMHyperModel,
        shards: AnyPath,
        out: Path,
    ):
        self._shards, self._out = shards, out
        with contextlib.redirect_stdout(io.StringIO()):  # it prints when it goes on
            super().__init__(
                oracle, hypermodel=hyper_model, directory=out, project_name=BOOKS_FOLDER
            )
        self.save()  # a search that breaks off in its first trial can go on, too

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        """Trains one model; the score is the accuracy of the epoch that is kept."""
        values = trial.hyperparameters.values
        number = self.oracle.start_order.index(trial.trial_id) + 1
        chosen = ", ".join(f"{name} {value}" for name, value in values.items())
        stderr.print(f"[bold]{number}/{self.oracle.max_trials}[/bold] {chosen}", highlight=False)
        run_settings = self.hypermodel.settings_of(trial.hyperparameters)
        try:
            run = train(self._shards, self._run_folder(trial), run_settings, overwrite=True)
        except Exception as error:
            failure = _failure_of_one_model(error)
            if failure is None:
                # keras-tuner would go on; `tune` takes the error out again.
                raise keras_tuner.errors.FatalError(str(error)) from error
            stderr.print(f"failed: {failure}", markup=False, highlight=False)
            raise keras_tuner.errors.FailedTrialError(failure) from error
        return run.metrics()["kept"][OBJECTIVE]

    def on_trial_end(self, trial: Any) -> None:
        """Enters the trial in the books and writes what has been found so far."""
        super().on_trial_end(trial)
        keras.backend.clear_session()
        search = self.found()
        if search is not None:
            for other in search.trials[1:]:  # models are large, and the run can be made again
                (other.run / MODEL_FILE).unlink(missing_ok=True)
            for trial_run in search.trials:
                (trial_run.run / LAST_MODEL_FILE).unlink(missing_ok=True)
            search.write()

    def found(self) -> Search | None:
        """What the trials that have ended found; None if none has ended well."""
        ended = [self.oracle.get_trial(trial_id) for trial_id in self.oracle.end_order]
        trials = sorted((self._result(trial) for trial in ended), key=lambda trial: trial.rank)
        if not trials or trials[0].score is None:
            return None
        return Search(tuple(trials), self._out)

    def _result(self, trial: Any) -> Trial:
        facts = {
            "values": dict(trial.hyperparameters.values),
            "run": self._run_folder(trial),
            "settings": self.hypermodel.settings_of(trial.hyperparameters),
        }
        if trial.status != "COMPLETED":
            # The message is a traceback that ends with the error's name and sentence.
            failure = trial.message.strip().rpartition("FailedTrialError: ")[2]
            return Trial(**facts, failure=failure)
        parameters = open_run(self._run_folder(trial)).metrics()["parameters"]
        return Trial(**facts, score=trial.score, parameters=parameters)

    def _run_folder(self, trial: Any) -> Path:
        return self._out / RUNS_FOLDER / trial.trial_id


def _failure_of_one_model(error: Exception) -> str | None:
    """Why this model failed where others may not; None if it ends the search."""
    if isinstance(error, NonFiniteLossError):
        return "the loss is not finite"
    if type(error).__name__ == "ResourceExhaustedError" or "RESOURCE_EXHAUSTED" in str(error):
        return "out of memory"
    return None
