"""A fit from where it stands to its end, by Keras's `fit`.

Comes in: a model, the state of its fit, its batches from any number on. Goes out: the model as it
is trained, and whatever the callbacks write. `train` calls it, and `finetuning` stage by stage.
"""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from cham_keras.runs import OptimizerSettings
from cham_keras.training.callbacks.bad_loss import BadLossExplainer, StopOnBadLoss
from cham_keras.training.callbacks.keep_run import KeepRun
from cham_keras.training.callbacks.progress import ProgressBar
from cham_keras.training.callbacks.tensorboard import TensorBoardLog
from cham_keras.training.device_layout import DeviceLayout
from cham_keras.training.gradient_registry import gradients_forgotten
from cham_keras.training.input_wait import InputWait
from cham_keras.training.resume_state import FitPlan, FitState


class Fit:
    """Calls `fit` as often as it takes: once a stage, and once more for a broken-off epoch.

    Args:
        model: compiled, with the values from which the fit begins or goes on.
        state: where the fit stands; `keep` moves it on.
        plan: how long it is.
        batches_from: gives the training batches, without end, from a number on; the number
            counts batches since the fit began.
        validation: the validation clips as `layout` gives them; None without any.
        keep: writes the run.
        description: what is being trained, for the progress bar.
        optimizer: decides on the learning rate, for the progress bar.
        bad_losses: says why a loss is no finite number.
        logs: the folder of TensorBoard's logs.
        write_graph: whether the model's graph goes there, too.
        layout: which devices compute; the one that Keras chooses by default.
        callbacks: further ones; they stand before `keep`.
    """

    def __init__(
        self,
        model: keras.Model,
        state: FitState,
        plan: FitPlan,
        batches_from: Callable[[int], tf.data.Dataset],
        validation: Any,
        keep: KeepRun,
        *,
        description: str,
        optimizer: OptimizerSettings,
        bad_losses: BadLossExplainer,
        logs: Path,
        write_graph: bool = False,
        layout: DeviceLayout | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> None:
        self._model, self._state, self._plan = model, state, plan
        self._batches_from, self._validation, self._keep = batches_from, validation, keep
        self._layout = layout or DeviceLayout()
        self._wait = InputWait()
        self._bar = ProgressBar(description, state, plan, optimizer, self._wait)
        self._callbacks = [
            *self._layout.callbacks(),
            self._wait,
            self._bar,
            StopOnBadLoss(state, plan, bad_losses),
            TensorBoardLog(logs, self._wait, write_graph=write_graph),
            *callbacks,
            keep,
        ]

    def run(self, begin_stage: Callable[[], int] | None = None) -> None:
        """Trains until the plan is done.

        Args:
            begin_stage: called before each `fit`; may compile the model anew, and returns the
                epoch at which the stage ends. By default all is one stage.

        Raises:
            NonFiniteLossError, NonFiniteFeaturesError: a loss is no finite number.
            TrainingStopped: after Ctrl-C or SIGTERM.
        """
        state, plan = self._state, self._plan
        with contextlib.ExitStack() as stack:
            stack.callback(self._bar.close)
            stack.enter_context(gradients_forgotten())
            while not state.is_finished(plan):
                end = plan.num_epochs if begin_stage is None else begin_stage()
                if state.batch == plan.batches_per_epoch:
                    self._validate()
                elif state.batch:
                    self._fit_epochs(state.epoch + 1, plan.batches_per_epoch - state.batch)
                else:
                    self._fit_epochs(end, plan.batches_per_epoch)

    def _fit_epochs(self, end: int, batches_per_epoch: int) -> None:
        batches = self._batches_from(self._state.batches_done(self._plan))
        self._model.fit(
            self._layout.training_clips(self._wait.watched(batches)),
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
