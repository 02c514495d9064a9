"""A stop where the loss is no finite number.

Comes in: Keras's figures of each batch and epoch. Goes out: an error that names the step, the
clips and what to do; a `BadLossExplainer` finds them.
"""

import math
from typing import Protocol

import keras

from cham_keras.training.resume_state import FitPlan, FitState


class BadLossExplainer(Protocol):
    """Says why a loss is no finite number; `bad_batches.BadBatches` for a fit on features."""

    def error_in_training(self, loss: float, batch: int, epoch: int) -> ValueError:
        """The error for a training loss; `batch` counts from 0 since the fit began."""

    def error_in_validation(self, loss: float, epoch: int) -> ValueError:
        """The error for a validation loss after an epoch, counted from 1."""


class StopOnBadLoss(keras.callbacks.Callback):
    """Ends training with an error where the loss is not a finite number.

    It stands before `KeepRun`, so that no checkpoint holds what came of such a loss.

    Args:
        state: where the fit stands before the batch that ends.
        plan: how long it is.
        bad_losses: says why a loss is not finite.
    """

    def __init__(self, state: FitState, plan: FitPlan, bad_losses: BadLossExplainer):
        super().__init__()
        self._state, self._plan, self._bad_losses = state, plan, bad_losses

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the loss after each batch."""
        if not math.isfinite(logs["loss"]):
            raise self._bad_losses.error_in_training(
                logs["loss"], self._state.batches_done(self._plan), self._state.epoch + 1
            )

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the loss over the validation clips."""
        if not math.isfinite(logs.get("val_loss", 0.0)):
            raise self._bad_losses.error_in_validation(logs["val_loss"], epoch + 1)
