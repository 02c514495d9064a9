"""Keras callbacks of a run: progress, history, the best model on disk, a stop at a bad loss."""

import csv
import math
from pathlib import Path

import keras

from cham_keras.files import replacing_file
from cham_keras.progress import progress_bar


class ProgressBar(keras.callbacks.Callback):
    """One bar for the whole fit, with the latest figures behind it.

    Args:
        description: what is being trained.
        num_steps: training steps in all.
    """

    def __init__(self, description: str, num_steps: int):
        super().__init__()
        self._bar = progress_bar()
        self._task = self._bar.add_task(description, total=num_steps, note="")
        self._validation = ""

    def on_train_begin(self, logs=None):
        """Shows the bar."""
        self._bar.start()

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar on by one step."""
        note = f"loss {logs['loss']:.2f} acc {logs['clip_accuracy']:.2f}{self._validation}"
        self._bar.update(self._task, advance=1, note=note)

    def on_epoch_end(self, epoch, logs=None):
        """Takes up the validation's figures."""
        if "val_clip_accuracy" in logs:
            self._validation = f" val {logs['val_clip_accuracy']:.2f}"

    def close(self):
        """Leaves the bar as it is; safe to call after an error."""
        self._bar.stop()


class StopOnBadLoss(keras.callbacks.Callback):
    """Ends training with an error where the loss is not a finite number."""

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the loss after each step."""
        loss = logs["loss"]
        if not math.isfinite(loss):
            step = int(self.model.optimizer.iterations)
            raise ValueError(
                f"The loss must be a finite number. Received: {loss} at step {step}. "
                "Lower `optimizer.learning_rate`, set `optimizer.clip_norm`, or look for "
                "broken features with `cham verify`."
            )


class KeepModel(keras.callbacks.Callback):
    """Keeps a model on disk, whole at any moment: the best so far, or the last.

    Args:
        path: the `.keras` file.
        monitor: the figure that decides, the higher the better; None keeps the last epoch.
    """

    def __init__(self, path: Path, monitor: str | None):
        super().__init__()
        self._path = path
        self._monitor = monitor
        self._best = -math.inf
        #: The epoch whose model is on disk, counted from 1.
        self.epoch = 0

    def on_epoch_end(self, epoch, logs=None):
        """Saves the model where it is better than what is on disk."""
        if self._monitor is not None:
            if logs[self._monitor] <= self._best:
                return
            self._best = logs[self._monitor]
        with replacing_file(self._path) as temporary:
            self.model.save(temporary)
        self.epoch = epoch + 1


class HistoryFile(keras.callbacks.Callback):
    """Adds a row of figures to a CSV file after each epoch.

    `keras.callbacks.CSVLogger` leaves its file open where training ends with an error.

    Args:
        path: the file; begun anew.
    """

    def __init__(self, path: Path):
        super().__init__()
        self._path = path
        self._columns: list[str] = []

    def on_epoch_end(self, epoch, logs=None):
        """Writes the epoch's row, and before the first one the names of the columns."""
        row = {"epoch": epoch + 1, **logs}
        first = not self._columns
        if first:
            self._columns = list(row)
        with self._path.open("w" if first else "a", newline="") as file:
            writer = csv.DictWriter(file, self._columns, lineterminator="\n")
            if first:
                writer.writeheader()
            writer.writerow(row)
