"""How long a model waits for its input.

Comes in: the data set that `fit` gets. Goes out: the same batches, and seconds. `fit` asks for a
batch within its compiled step, where Python cannot look; so the data set itself tells when it
gave one, and a callback when the step began. Between the two the model had nothing to do.

With several devices Keras fetches batches ahead for each of them; there the figure means little.
"""

import time

import keras
import numpy as np
import tensorflow as tf


class InputWait(keras.callbacks.Callback):
    """Adds up the seconds of the steps, and those in which they waited for their batch.

    It stands before all other callbacks: what they do is no part of a step.

    Attributes:
        seconds: waited so far.
        training_seconds: passed in steps so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.training_seconds = 0.0
        self._began: float | None = None
        self._is_waiting = False
        self._is_first = True

    def watched(self, clips: tf.data.Dataset) -> tf.data.Dataset:
        """The same data set, which tells when it gives a batch."""

        def told(*batch):
            with tf.control_dependencies([tf.numpy_function(self._delivered, [], tf.int64)]):
                return tf.nest.map_structure(tf.identity, batch)

        options = tf.data.Options()
        # What is fetched ahead behind this point would be told before anybody asked for it.
        options.experimental_optimization.inject_prefetch = False
        return clips.map(told).with_options(options)

    def share_since(self, training_seconds: float, seconds: float) -> float:
        """The share of the steps' time that went into waiting, since both sums were these."""
        passed = self.training_seconds - training_seconds
        return (self.seconds - seconds) / passed if passed > 0 else 0.0

    def on_train_begin(self, logs=None):
        """The first step of a `fit` counts nothing: it is compiled before it asks."""
        self._is_first = True

    def on_train_batch_begin(self, batch, logs=None):
        """A step begins, and asks for a batch."""
        self._began = None if self._is_first else time.perf_counter()
        self._is_waiting = True
        self._is_first = False

    def on_train_batch_end(self, batch, logs=None):
        """A step is done."""
        if self._began is not None:
            self.training_seconds += time.perf_counter() - self._began

    def _delivered(self) -> np.int64:
        if self._is_waiting and self._began is not None:
            self.seconds += time.perf_counter() - self._began
            self._is_waiting = False
        return np.int64(0)
