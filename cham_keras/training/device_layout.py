"""Over which devices a fit is laid out: what all ways of doing it have in common.

Comes in: settings, data sets, a model. Goes out: where the model lives, what `fit` gets and
which folder is written. `devices` chooses a layout, `train` asks it. The settings of a run say
nothing of this: a step has `data.batch_size` clips whatever computes it.

mirrored_devices.py  several devices of one host on TensorFlow
parallel_devices.py  several devices of one host on JAX
parallel_hosts.py    several hosts on JAX
"""

import contextlib
import math
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from cham_keras.data import Manifest, clip_dataset
from cham_keras.runs import RunSettings
from cham_keras.training.stop_signals import StopSignals


class DeviceLayout:
    """One device, the one that Keras chooses; the base of those with several.

    Attributes:
        num_devices: how many devices share a batch.
    """

    num_devices = 1

    @property
    def read(self) -> Callable[..., tf.data.Dataset]:
        """What reads training clips: `clip_dataset`, or the like for a part of each batch."""
        return clip_dataset

    def check(self, settings: RunSettings, manifest: Manifest) -> None:
        """Refuses settings that would not give what one device gives.

        Args:
            settings: of the run, resolved.
            manifest: of the shards.

        Raises:
            ValueError: a batch cannot be divided evenly, or Keras computes something else.
        """
        parts = settings.optimizer.accumulation_steps
        clips = settings.data.batch_size // parts
        if clips % self.num_devices:
            in_parts = f" in {parts} parts" if parts > 1 else ""
            raise ValueError(
                f"The clips that are computed at once must be a multiple of the {self.num_devices} "
                f"devices. Received: `data.batch_size` {settings.data.batch_size}{in_parts}, "
                f"so {clips} at once. Change it, or take another number of devices."
            )

    def scope(self) -> contextlib.AbstractContextManager[None]:
        """Where the model is built, filled and fitted."""
        return contextlib.nullcontext()

    def spread(self, model: keras.Model) -> None:
        """Gives the devices what must differ between them; call it when the model is filled."""

    def training_clips(self, clips: tf.data.Dataset) -> tf.data.Dataset:
        """The batches of `read` as `fit` is to get them."""
        return clips

    def validation_clips(
        self, clips: tf.data.Dataset, num_clips: int, batch_size: int
    ) -> tf.data.Dataset:
        """Validation batches as `fit` is to get them; means over them stay what they are.

        Args:
            clips: whole batches from `clip_dataset`, without `repeat`.
            num_clips: how many clips they hold.
            batch_size: clips of a batch; the last one may have fewer.
        """
        return evenly_divided(clips, num_clips, batch_size, self.num_devices)

    def run_folder(self, out: Path) -> contextlib.AbstractContextManager[Path]:
        """Yields the folder that this process writes: the run folder, or one that is thrown away.

        Args:
            out: the run folder.
        """
        return contextlib.nullcontext(out)

    def signals(self, of_process: StopSignals) -> StopSignals:
        """The signals that end the fit: this process's own ones.

        Args:
            of_process: what notes them.
        """
        return of_process

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """What must stand before all other callbacks."""
        return [StateInSight()] if keras.config.backend() == "jax" else []


class StateInSight(keras.callbacks.Callback):
    """Gives the variables their values after each batch, for callbacks that read them.

    On JAX, `fit` carries the values along and takes them out of the variables meanwhile.
    """

    def on_train_batch_end(self, batch, logs=None):
        """Puts the values back; the next step takes them from there."""
        self.model.jax_state_sync()


def evenly_divided(
    clips: tf.data.Dataset, num_clips: int, batch_size: int, num_devices: int
) -> tf.data.Dataset:
    """Batches which all can be divided by the number of devices, with unchanged means.

    The last batch of a split need not be divisible, and a device without a clip fails. So all
    clips are taken as often as it needs, each equally often: 2 devices and 9 clips give 18.

    Args:
        clips: batches of a split.
        num_clips: clips in it.
        batch_size: clips of a batch, a multiple of `num_devices`.
        num_devices: how many devices share a batch.

    Example:

    >>> batches = tf.data.Dataset.range(5).batch(4)
    >>> [len(batch) for batch in evenly_divided(batches, 5, 4, num_devices=2)]
    [4, 4, 2]
    """
    times = num_devices // math.gcd(num_clips, num_devices)
    if times == 1:
        return clips
    num_batches = math.ceil(times * num_clips / batch_size)
    even = clips.repeat(times).rebatch(batch_size)
    return even.apply(tf.data.experimental.assert_cardinality(num_batches))
