"""A stop where the loss is no finite number.

Comes in: Keras's figures of each batch and epoch. Goes out: an error that names the step, the
clips and what to do; `bad_batches` finds them.
"""

import math

import keras

from cham_keras.training.bad_batches import BadBatches
from cham_keras.training.resume_state import FitPlan, FitState


class StopOnBadLoss(keras.callbacks.Callback):
    """Ends training with an error where the loss is not a finite number.

    It stands before `KeepRun`, so that no checkpoint holds what came of such a loss.

    Args:
        state: where the fit stands before the batch that ends.
        plan: how long it is.
        bad_batches: finds what is wrong with a batch.
    """

    def __init__(self, state: FitState, plan: FitPlan, bad_batches: BadBatches):
        super().__init__()
        self._state, self._plan, self._bad_batches = state, plan, bad_batches

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the loss after each batch."""
        if not math.isfinite(logs["loss"]):
            raise self._bad_batches.error_in_training(
                logs["loss"], self._state.batches_done(self._plan), self._state.epoch + 1
            )

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the loss over the validation clips."""
        if not math.isfinite(logs.get("val_loss", 0.0)):
            raise self._bad_batches.error_in_validation(logs["val_loss"], epoch + 1)
