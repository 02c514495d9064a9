"""The fit from frames: stage after stage, from wherever an earlier call was broken off.

Comes in: a model from frames, batches, where the fit stands. Goes out: the trained model, its
best weights and checkpoints on disk, by the callbacks of `training`. `finetune` calls it.
"""

from pathlib import Path

import keras

from cham_keras.data.reading.frame_clips import clip_errors_named
from cham_keras.finetuning.frame_batches import FrameBatches
from cham_keras.finetuning.settings import FinetuningSettings
from cham_keras.finetuning.tuned_model import compile_stage, optimizer_settings
from cham_keras.runs import RunSettings
from cham_keras.runs.run_folder import CHECKPOINT_FILE, TENSORBOARD_FOLDER
from cham_keras.training.bad_batches import NonFiniteLossError
from cham_keras.training.callbacks.keep_run import KeepRun
from cham_keras.training.checkpoint import Values, restore_variables
from cham_keras.training.fit import Fit
from cham_keras.training.resume_state import FitPlan, FitState
from cham_keras.training.stop_signals import StopSignals


class StagedFit:
    """Trains a model from frames, first with a frozen CNN.

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
        self._model, self._plan, self._state = model, plan, state
        self._settings, self._run_settings = settings, run_settings
        # A checkpoint of the end of the frozen epochs still holds their optimizer.
        is_frozen = state.epoch < settings.frozen_epochs
        at_its_end = state.epoch == settings.frozen_epochs and state.batch == 0
        self._compile(is_frozen or (at_its_end and state.epoch > 0))
        if restored is not None:
            restore_variables(model, restored, folder / CHECKPOINT_FILE)
        keep = KeepRun(
            folder,
            state,
            plan,
            signals,
            checkpoint_minutes=settings.checkpoint_minutes,
            num_classes=num_classes,
            restored=restored,
        )
        keep.begin(model)
        self._fit = Fit(
            model,
            state,
            plan,
            batches.training,
            batches.validation(),
            keep,
            description=f"tuning {run_settings.model.name}",
            optimizer=optimizer_settings(settings),
            bad_losses=_BadFrameBatches(batches, plan),
            logs=folder / TENSORBOARD_FOLDER,
        )

    def run(self) -> None:
        """Trains until the plan is done.

        Raises:
            ValueError: a clip cannot be read; it is named.
            NonFiniteLossError: training diverges.
            TrainingStopped: after Ctrl-C or SIGTERM.
        """
        with clip_errors_named():
            self._fit.run(self._begin_stage)

    def _begin_stage(self) -> int:
        """Unfreezes the CNN where it is time; returns the epoch at which the stage ends."""
        is_frozen = self._state.epoch < self._settings.frozen_epochs
        if is_frozen != self._is_frozen:
            self._compile(is_frozen)
        return self._settings.frozen_epochs if is_frozen else self._plan.num_epochs

    def _compile(self, is_frozen: bool) -> None:
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
