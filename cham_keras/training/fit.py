"""A fit from where it stands to its end, by Keras's `fit`.

Comes in: a model and the state of its fit. Goes out: the model as it is trained, and whatever
the callbacks write. `train` calls it.
"""

from pathlib import Path
from typing import Any

import keras

from cham_keras import models
from cham_keras.paths import AnyPath
from cham_keras.runs import RunSettings
from cham_keras.runs.run_folder import TENSORBOARD_FOLDER
from cham_keras.training.bad_batches import BadBatches
from cham_keras.training.callbacks.bad_loss import StopOnBadLoss
from cham_keras.training.callbacks.keep_run import KeepRun
from cham_keras.training.callbacks.progress import ProgressBar
from cham_keras.training.callbacks.tensorboard import AttentionLog, TensorBoardLog
from cham_keras.training.device_layout import DeviceLayout
from cham_keras.training.input_wait import InputWait
from cham_keras.training.resume_state import FitPlan, FitState
from cham_keras.training.training_data import training_clips


class Fit:
    """Calls `fit` as often as it takes: once, or once more for an epoch that was broken off.

    Args:
        model: compiled, with the values from which the fit begins or goes on.
        shards: the folder of shards.
        settings: of the run, resolved.
        state: where the fit stands; `keep` moves it on.
        plan: how long it is.
        validation: the validation clips as `layout` gives them; None without any.
        keep: writes the run.
        layout: which devices compute.
        out: the run folder.
    """

    def __init__(
        self,
        model: keras.Model,
        shards: AnyPath,
        settings: RunSettings,
        state: FitState,
        plan: FitPlan,
        validation: Any,
        keep: KeepRun,
        layout: DeviceLayout,
        out: Path,
    ):
        self._model, self._shards, self._settings = model, shards, settings
        self._state, self._plan, self._validation, self._keep = state, plan, validation, keep
        self._layout = layout
        self._wait = InputWait()
        self._bar = ProgressBar(
            f"training {settings.model.name}", state, plan, settings.optimizer, self._wait
        )
        self._callbacks = self._list_callbacks(out / TENSORBOARD_FOLDER)

    def run(self) -> None:
        """Trains until the plan is done."""
        state, plan = self._state, self._plan
        if state.is_finished(plan):
            return
        if state.batch == plan.batches_per_epoch:
            self._validate()
        elif state.batch:
            self._fit_epochs(state.epoch + 1, plan.batches_per_epoch - state.batch)
        if not state.is_finished(plan):
            self._fit_epochs(plan.num_epochs, plan.batches_per_epoch)

    def close(self) -> None:
        """Leaves the progress bar; safe to call after an error."""
        self._bar.close()

    def _fit_epochs(self, end: int, batches_per_epoch: int) -> None:
        clips = training_clips(
            self._shards,
            self._settings,
            start_batch=self._state.batches_done(self._plan),
            read=self._layout.read,
        )
        self._model.fit(
            self._layout.training_clips(self._wait.watched(clips)),
            validation_data=self._validation,
            initial_epoch=self._state.epoch,
            epochs=end,
            steps_per_epoch=batches_per_epoch,
            shuffle=False,  # the data set shuffles
            verbose=0,
            callbacks=self._callbacks,
        )

    def _validate(self) -> None:
        """Ends an epoch that was broken off in its validation, as `fit` does it."""
        model, epoch = self._model, self._state.epoch
        callbacks = keras.callbacks.CallbackList(self._callbacks, model=model)
        callbacks.on_train_begin()
        callbacks.on_epoch_begin(epoch)
        self._keep.remember(model)
        logs = dict(model.get_metrics_result())
        if self._validation is not None:
            found = model.evaluate(
                self._validation, callbacks=callbacks, return_dict=True, verbose=0
            )
            logs |= {f"val_{name}": value for name, value in found.items()}
        callbacks.on_epoch_end(epoch, logs)
        callbacks.on_train_end(logs)

    def _list_callbacks(self, logs: Path) -> list[keras.callbacks.Callback]:
        settings, state, plan = self._settings, self._state, self._plan
        callbacks = [
            *self._layout.callbacks(),
            self._wait,
            self._bar,
            StopOnBadLoss(state, plan, BadBatches(self._shards, settings)),
            TensorBoardLog(logs, self._wait, write_graph=not logs.exists()),
        ]
        if self._validation is not None and models.has_attention(self._model):
            callbacks.append(AttentionLog(logs, self._shards, settings, plan.num_epochs))
        return [*callbacks, self._keep]
