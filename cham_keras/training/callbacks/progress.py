"""One progress bar for the whole fit.

Comes in: Keras's figures of each batch. Goes out: a bar on standard error, with loss, accuracy,
learning rate, share of the time in which the model waited for input, steps a second, time left.
"""

import time

import keras

from cham_keras.progress import progress_bar
from cham_keras.runs import OptimizerSettings
from cham_keras.training.compilation import learning_rate_at
from cham_keras.training.input_wait import InputWait
from cham_keras.training.resume_state import FitPlan, FitState

# Speed and wait are those of about so many seconds.
_WINDOW_SECONDS = 2.0


class ProgressBar(keras.callbacks.Callback):
    """One bar for the whole fit, with the latest figures behind it.

    Args:
        description: what is being trained.
        state: where the fit begins.
        plan: how long it is.
        optimizer: decides on the learning rate.
        wait: measures how long the model waits for input.
    """

    def __init__(
        self,
        description: str,
        state: FitState,
        plan: FitPlan,
        optimizer: OptimizerSettings,
        wait: InputWait,
    ):
        super().__init__()
        self._plan, self._optimizer, self._wait = plan, optimizer, wait
        self._batches = state.batches_done(plan)
        self._window: tuple[float, int, float, float] | None = None
        self._speed = self._validation = ""
        self._bar = progress_bar()
        self._task = self._bar.add_task(
            description,
            total=plan.num_epochs * plan.steps_per_epoch,
            completed=state.step(plan),
            note="",
        )

    def on_train_begin(self, logs=None):
        """Shows the bar."""
        self._bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        """The speed is that of the steps: validation does not count, nor what comes before."""
        self._window = None

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar on where a step is done."""
        self._batches += 1
        step, part = divmod(self._batches, self._plan.accumulation_steps)
        if part:
            return
        if self._window is None:
            self._open_window()
        else:
            self._measure(*self._window)
        # Counted here: `optimizer.iterations` would be a question to the device each time.
        rate = learning_rate_at(self._optimizer, step - 1)
        # The end of a note is lost on a narrow terminal.
        note = f"loss {logs['loss']:.2f} acc {logs['clip_accuracy']:.2f}{self._validation}"
        self._bar.update(self._task, completed=step, note=f"{note}{self._speed} lr {rate:g}")

    def on_epoch_end(self, epoch, logs=None):
        """Takes up the validation's figures."""
        if "val_clip_accuracy" in logs:
            self._validation = f" val {logs['val_clip_accuracy']:.2f}"

    def close(self):
        """Leaves the bar as it is; safe to call after an error."""
        self._bar.stop()

    def _measure(self, began, batches, *waited):
        passed = time.perf_counter() - began
        if passed < _WINDOW_SECONDS:
            return
        rate = (self._batches - batches) / self._plan.accumulation_steps / passed
        share = self._wait.share_since(*waited)
        self._speed = f" {rate:.3g} steps/s wait {share:.0%}"
        self._open_window()

    def _open_window(self):
        now = time.perf_counter()
        self._window = (now, self._batches, self._wait.training_seconds, self._wait.seconds)
