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


class _Clock:
    """The seconds, apart from the callback: TensorFlow keeps what a data set calls for the whole
    life of the process, and a callback holds the model.
    """

    def __init__(self) -> None:
        self.waited_seconds = 0.0
        self.began: float | None = None
        self.is_waiting = False

    def delivered(self) -> np.int64:
        if self.is_waiting and self.began is not None:
            self.waited_seconds += time.perf_counter() - self.began
            self.is_waiting = False
        return np.int64(0)


class InputWait(keras.callbacks.Callback):
    """Adds up the seconds of the steps, and those in which they waited for their batch.

    It stands before all other callbacks: what they do is no part of a step.

    Attributes:
        training_seconds: passed in steps so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.training_seconds = 0.0
        self._clock = _Clock()
        self._is_first = True

    @property
    def seconds(self) -> float:
        """Seconds waited so far."""
        return self._clock.waited_seconds

    def watched(self, clips: tf.data.Dataset) -> tf.data.Dataset:
        """The same data set, which tells when it gives a batch."""
        delivered = self._clock.delivered

        def told(*batch):
            with tf.control_dependencies([tf.numpy_function(delivered, [], tf.int64)]):
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
        self._clock.began = None if self._is_first else time.perf_counter()
        self._clock.is_waiting = True
        self._is_first = False

    def on_train_batch_end(self, batch, logs=None):
        """A step is done."""
        if self._clock.began is not None:
            self.training_seconds += time.perf_counter() - self._clock.began
