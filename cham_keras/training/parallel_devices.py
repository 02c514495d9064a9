"""Several devices of one host on JAX: `keras.distribution.DataParallel`.

Comes in: which devices. Goes out: a `DeviceLayout`. `devices` chooses it, `parallel_hosts`
builds on it.

The compiler divides one computation over the devices. So what is computed is what one device
computes, with clipped or accumulated gradients and the dropout's masks, too.
"""

import contextlib

import keras
import tensorflow as tf

from cham_keras.training.device_layout import DeviceLayout


class ParallelDevices(DeviceLayout):
    """The devices of a `keras.distribution.DataParallel`.

    Args:
        devices: their names, as Keras has them.
    """

    def __init__(self, devices: list[str]):
        leave_gpus_to_jax()
        self.num_devices = len(devices)
        # Data sets come here as this process is to feed them.
        self._distribution = keras.distribution.DataParallel(
            devices=devices, auto_shard_dataset=False
        )

    def scope(self) -> contextlib.AbstractContextManager[None]:
        """The distribution's scope."""
        return self._distribution.scope()


def leave_gpus_to_jax() -> None:
    """TensorFlow only reads clips here; without this it would take the memory of the GPUs."""
    with contextlib.suppress(RuntimeError):  # it has computed already, so it is too late
        tf.config.set_visible_devices([], "GPU")
