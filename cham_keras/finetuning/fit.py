"""The fit from frames: stage after stage, from wherever an earlier call was broken off.

Comes in: a model from frames, batches, where the fit stands. Goes out: the trained model, its
best weights and checkpoints on disk, by the callbacks of `training`. `finetune` calls it.
"""

from pathlib import Path
from typing import Any

import keras

from cham_keras.data.reading.frame_clips import clip_errors_named
from cham_keras.finetuning.frame_batches import FrameBatches
from cham_keras.finetuning.settings import FinetuningSettings
from cham_keras.finetuning.tuned_model import compile_stage, optimizer_settings
from cham_keras.runs import RunSettings
from cham_keras.runs.run_folder import CHECKPOINT_FILE, TENSORBOARD_FOLDER
from cham_keras.training.bad_batches import NonFiniteLossError
from cham_keras.training.callbacks.bad_loss import StopOnBadLoss
from cham_keras.training.callbacks.keep_run import KeepRun
from cham_keras.training.callbacks.progress import ProgressBar
from cham_keras.training.callbacks.tensorboard import TensorBoardLog
from cham_keras.training.checkpoint import Values, restore_variables
from cham_keras.training.input_wait import InputWait
from cham_keras.training.resume_state import FitPlan, FitState
from cham_keras.training.stop_signals import StopSignals


class Fit:
    """Trains a model from frames.

    The optimizer begins anew where the CNN is unfrozen, for there it gets more variables.

    Args:
        model: from `model_from_frames`.
        batches: what it is trained on.
        settings: of the tuning.
        run_settings: of the run as it is tuned.
        plan: how long the fit is.
        folder: where checkpoints, best model, history and logs lie.
        state: where the fit stands.
        restored: the values of the variables there; None for a new fit.
        signals: notes Ctrl-C and SIGTERM.
        num_classes: number of classes.
    """

    def __init__(
        self,
        model: keras.Model,
        batches: FrameBatches,
        settings: FinetuningSettings,
        run_settings: RunSettings,
        plan: FitPlan,
        folder: Path,
        state: FitState,
        restored: Values | None,
        signals: StopSignals,
        num_classes: int,
    ) -> None:
        self._model, self._batches, self._plan, self._state = model, batches, plan, state
        self._settings, self._run_settings = settings, run_settings
        self._validation = batches.validation()
        # A checkpoint of the end of the frozen epochs still holds their optimizer.
        is_frozen = state.epoch < settings.frozen_epochs
        at_its_end = state.epoch == settings.frozen_epochs and state.batch == 0
        self._begin_stage(is_frozen or (at_its_end and state.epoch > 0))
        if restored is not None:
            restore_variables(model, restored, folder / CHECKPOINT_FILE)
        self._wait = InputWait()
        self._bar = ProgressBar(
            f"tuning {run_settings.model.name}",
            state,
            plan,
            optimizer_settings(settings),
            self._wait,
        )
        self._keep = KeepRun(
            folder,
            state,
            plan,
            signals,
            checkpoint_minutes=settings.checkpoint_minutes,
            num_classes=num_classes,
            restored=restored,
        )
        self._keep.begin(model)
        logs = folder / TENSORBOARD_FOLDER
        self._callbacks = [
            self._wait,
            self._bar,
            StopOnBadLoss(state, plan, _BadFrameBatches(batches, plan)),  # type: ignore[arg-type]
            TensorBoardLog(logs, self._wait, write_graph=False),
            self._keep,
        ]

    def run(self) -> None:
        """Trains until the plan is done.

        Raises:
            ValueError: a clip cannot be read; it is named.
            NonFiniteLossError: training diverges.
            TrainingStopped: after Ctrl-C or SIGTERM.
        """
        try:
            with clip_errors_named():
                while not self._state.is_finished(self._plan):
                    self._run_stage()
        finally:
            self._bar.close()

    def _run_stage(self) -> None:
        """Goes on to the end of the stage, or of the epoch that was broken off."""
        state, plan = self._state, self._plan
        is_frozen = state.epoch < self._settings.frozen_epochs
        if is_frozen != self._is_frozen:
            self._begin_stage(is_frozen)
        if state.batch == plan.batches_per_epoch:
            self._validate()
        elif state.batch:
            self._fit_epochs(state.epoch + 1, plan.batches_per_epoch - state.batch)
        else:
            end = self._settings.frozen_epochs if is_frozen else plan.num_epochs
            self._fit_epochs(end, plan.batches_per_epoch)

    def _begin_stage(self, is_frozen: bool) -> None:
        self._is_frozen = is_frozen
        steps_before = 0 if is_frozen else self._settings.frozen_epochs * self._plan.steps_per_epoch
        #: Layers of the CNN that are trained in the stage.
        self.trained_layers = compile_stage(
            self._model,
            self._settings,
            self._run_settings,
            frozen=is_frozen,
            steps_before=steps_before,
        )

    def _fit_epochs(self, end: int, batches_per_epoch: int) -> None:
        clips = self._batches.training(self._state.batches_done(self._plan))
        self._model.fit(
            self._wait.watched(clips),
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
        logs: dict[str, Any] = dict(model.get_metrics_result())
        if self._validation is not None:
            found = model.evaluate(
                self._validation, callbacks=callbacks, return_dict=True, verbose=0
            )
            logs |= {f"val_{name}": value for name, value in found.items()}
        callbacks.on_epoch_end(epoch, logs)
        callbacks.on_train_end(logs)


class _BadFrameBatches:
    """What is wrong where a loss is no number: frames are whole numbers, so training diverged."""

    def __init__(self, batches: FrameBatches, plan: FitPlan) -> None:
        self._batches, self._plan = batches, plan

    def error_in_training(self, loss: float, batch: int, epoch: int) -> ValueError:
        """The error for a training loss that is not finite."""
        step = batch // self._plan.accumulation_steps + 1
        clips = ", ".join(self._batches.ids_of_batch(batch))
        return self._error(f"{loss} at step {step} (epoch {epoch}), on the clips {clips}")

    def error_in_validation(self, loss: float, epoch: int) -> ValueError:
        """The error for a validation loss that is not finite."""
        return self._error(f"a validation loss of {loss} after epoch {epoch}")

    def _error(self, what: str) -> ValueError:
        return NonFiniteLossError(
            f"The loss must be a finite number. Received: {what}. Tuning has diverged. Lower "
            "`optimizer.learning_rate` or `optimizer.backbone_factor`, or set "
            "`optimizer.clip_norm`."
        )
