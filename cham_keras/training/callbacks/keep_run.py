"""What a run leaves on disk while it is trained, and when it ends early.

Comes in: Keras's figures of each batch and epoch. Goes out: `checkpoint.npz`, `model.keras`,
`history.csv`.

The checkpoint is the truth; the other files follow from it. It is written first, so a kill at
any moment leaves a checkpoint and files that are of it or of what it goes on to. `begin` makes
the files agree with a checkpoint that was read.
"""

import csv
import time
from pathlib import Path

import keras
import numpy as np

from cham_keras.files import replacing_file
from cham_keras.runs.run_folder import CHECKPOINT_FILE, HISTORY_FILE, MODEL_FILE
from cham_keras.training.checkpoint import (
    Values,
    random_states_of,
    restore_metrics,
    values_of,
    write_checkpoint,
)
from cham_keras.training.resume_state import FitPlan, FitState
from cham_keras.training.stop_signals import StopSignals, TrainingStopped

# Short epochs are not checkpointed each where that would take more than 1 / 20 of the time.
_TIMES_LONGER_THAN_WRITING = 20


class KeepRun(keras.callbacks.Callback):
    """Counts batches and epochs, keeps the run on disk, and ends the fit where it is to end.

    It stands behind all other callbacks: what it writes holds that they are done.

    Args:
        folder: the run folder.
        state: where the fit stands; this callback moves it on.
        plan: how long it is.
        signals: notes Ctrl-C and SIGTERM.
        checkpoint_minutes: how often a checkpoint is written within an epoch.
        num_classes: number of classes.
        restored: what the checkpoint held that the fit goes on from.
    """

    def __init__(
        self,
        folder: Path,
        state: FitState,
        plan: FitPlan,
        signals: StopSignals,
        checkpoint_minutes: float,
        num_classes: int,
        restored: Values | None = None,
    ):
        super().__init__()
        self._folder, self._state, self._plan, self._signals = folder, state, plan, signals
        self._longest_seconds = 60 * checkpoint_minutes
        self._num_classes = num_classes
        self._restored = restored
        self._shortest_seconds = 0.0
        self._written = self._counted = time.monotonic()
        # Metrics and random states when the epoch's last batch was done, which validation changes.
        self._before_validation: tuple[list, dict] | None = None

    def begin(self, model: keras.Model) -> None:
        """Makes the files agree with the state, before the fit begins or goes on.

        Args:
            model: with the values of the checkpoint, where there is one.

        Raises:
            ValueError: the best model of earlier epochs is gone.
        """
        self._write_history(self._state.history, "w")
        if self._plan.monitor is None or not self._state.kept_epoch:
            return
        if self._state.kept_epoch == self._state.epoch and self._state.batch == 0:
            self._save_model(model)
        elif not (self._folder / MODEL_FILE).is_file():
            raise ValueError(
                f"The unfinished run {self._folder} must hold the {MODEL_FILE} of its best epoch, "
                f"{self._state.kept_epoch}. It is gone: begin the run anew with --overwrite."
            )

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the running figures of an epoch that was broken off."""
        self._before_validation = None
        if self._restored is not None:
            if self._state.batch:
                self.restore_metrics(self.model)
            self._restored = None

    def restore_metrics(self, model: keras.Model) -> None:
        """Sets the running figures to those of the checkpoint."""
        path = self._folder / CHECKPOINT_FILE
        restore_metrics(model, self._restored or {}, self._num_classes, path)

    def remember(self, model: keras.Model) -> None:
        """Keeps what validation changes, so that it can begin again."""
        values = [np.array(keras.ops.convert_to_numpy(v)) for v in model.metrics_variables]
        self._before_validation = (values, random_states_of(model))

    def on_train_batch_end(self, batch, logs=None):
        """Counts the batch; writes a checkpoint where it is time or a signal came."""
        self._state.batch += 1
        if self._state.batch == self._plan.batches_per_epoch:
            self.remember(self.model)
        self._stop_where_asked()
        if time.monotonic() - self._written >= self._longest_seconds:
            self._write()

    def on_test_batch_end(self, batch, logs=None):
        """Where a signal came, leaves a checkpoint from which validation begins again."""
        self._stop_where_asked()

    def on_epoch_end(self, epoch, logs=None):
        """Takes up the figures; writes what has changed."""
        self._before_validation = None
        self._state.end_epoch(logs, self._plan)
        self._write_history(self._state.history[-1:], "a")
        is_finished = self._state.is_finished(self._plan)
        is_best = self._plan.monitor is not None and self._state.kept_epoch == self._state.epoch
        pause = min(self._longest_seconds, self._shortest_seconds)
        if is_best or is_finished or time.monotonic() - self._written >= pause:
            self._write()
        if is_best:
            self._save_model(self.model)
        if is_finished:
            self.model.stop_training = True
        else:
            self._stop_where_asked()

    def _stop_where_asked(self):
        if self._signals.received is not None:
            self._write()
            raise TrainingStopped(self._signals.received, self._state.step(self._plan))

    def _write(self):
        began = time.monotonic()
        self._state.seconds += began - self._counted
        self._counted = began
        values = values_of(self.model)
        if self._before_validation is not None:
            values["metrics"], random_states = self._before_validation
            for position, value in random_states.items():
                values["model"][position] = value
        write_checkpoint(self._folder / CHECKPOINT_FILE, self._state, values)
        self._written = time.monotonic()
        self._shortest_seconds = _TIMES_LONGER_THAN_WRITING * (self._written - began)

    def _save_model(self, model):
        with replacing_file(self._folder / MODEL_FILE) as temporary:
            model.save(temporary)

    def _write_history(self, rows: list[dict[str, float]], mode: str):
        """Adds rows, or begins the file anew; after a kill amid a row, `begin` does so."""
        path = self._folder / HISTORY_FILE
        if not rows:
            path.unlink(missing_ok=True)
            return
        with path.open(mode, newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            if rows[0]["epoch"] == 1:
                writer.writeheader()
            writer.writerows(rows)
