"""Several devices of one host on TensorFlow: `tf.distribute.MirroredStrategy`.

Comes in: how many devices. Goes out: a `DeviceLayout`. `devices` chooses it.

Each device, a replica, has a copy of the weights and an even share of the clips. Its loss is the
mean of its share, and the gradients' mean over the replicas is that of the whole batch, as the
shares are equal.
"""

import contextlib

import keras
import tensorflow as tf

from cham_keras.data import Manifest
from cham_keras.runs import RunSettings
from cham_keras.training.device_layout import DeviceLayout, evenly_divided

# Between the seeds of two replicas; any odd number that is no usual distance of seeds.
_SEED_STEP = 0x9E3779B1


class MirroredDevices(DeviceLayout):
    """The devices of a `tf.distribute.MirroredStrategy`.

    Args:
        devices: their names, as TensorFlow has them.
    """

    def __init__(self, devices: list[str]):
        self.num_devices = len(devices)
        self._strategy = tf.distribute.MirroredStrategy(devices)

    def check(self, settings: RunSettings, manifest: Manifest) -> None:
        """Refuses uneven batches, and what Keras does for each device on its own."""
        super().check(settings, manifest)
        optimizer = settings.optimizer
        what = None
        if optimizer.clip_norm is not None:
            what = f"`optimizer.clip_norm` ({optimizer.clip_norm}), which limits each device's own"
            what += " gradient there and not the batch's"
        if optimizer.accumulation_steps > 1:
            what = f"`optimizer.accumulation_steps` ({optimizer.accumulation_steps}), which fails"
        if what is not None:
            raise ValueError(
                "Several devices on TensorFlow must train without what Keras does not do there as "
                f"on one device. Received: {what}. Leave it out, or set KERAS_BACKEND=jax, where "
                "several devices give what one gives."
            )

    def scope(self) -> contextlib.AbstractContextManager:
        """The strategy's scope."""
        return self._strategy.scope()

    def spread(self, model: keras.Model) -> None:
        """Gives each replica its own dropout; Keras would give all of them the same masks.

        A checkpoint holds the first replica's state, from which the others' follow.
        """
        for variable in model.variables:
            if not variable.path.endswith("seed_generator_state"):
                continue
            seed, count = keras.ops.convert_to_numpy(variable)
            of_replicas = self._strategy.experimental_local_results(variable.value)
            for replica, state in enumerate(of_replicas):
                state.assign([seed + replica * _SEED_STEP, count])

    def training_clips(self, clips: tf.data.Dataset) -> tf.data.Dataset:
        """Whole batches: the strategy divides them, and no file is left to one worker only."""
        return clips.with_options(_whole())

    def validation_clips(
        self, clips: tf.data.Dataset, num_clips: int, batch_size: int
    ) -> tf.data.Dataset:
        """Batches that can be divided evenly."""
        even = evenly_divided(clips, num_clips, batch_size, self.num_devices)
        return even.with_options(_whole())


def _whole() -> tf.data.Options:
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options
