"""Which devices compute a fit: one, several of this host, or those of several hosts.

Comes in: `--devices` and `--hosts` of `cham train`. Goes out: a `DeviceLayout`, before anything
is computed or written; or a sentence that names the way that works. `train` calls it.
"""

import json
import os
from typing import Any, Literal

import keras
import tensorflow as tf

from cham_keras.training.device_layout import DeviceLayout
from cham_keras.training.hosts import Hosts, connect
from cham_keras.training.mirrored_devices import MirroredDevices
from cham_keras.training.parallel_devices import ParallelDevices
from cham_keras.training.parallel_hosts import ParallelHosts

#: How many devices of this host.
Devices = int | Literal["all"]

_THE_WAYS_THAT_WORK = (
    "Several hosts train with KERAS_BACKEND=jax and `--hosts`, several devices of one host with "
    "`--devices` (docs/many_devices.md)"
)


def device_layout(devices: Devices = 1, hosts: Hosts | None = None) -> DeviceLayout:
    """How a fit is laid over devices.

    With hosts it connects them, and returns when all are there. Call it before anything is
    computed: JAX cannot connect afterwards.

    Args:
        devices: how many devices of this host share a batch; "all" takes all GPUs, or where
            there is none, all CPU devices that the backend makes.
        hosts: the hosts that train together, each with all the devices that it has.

    Returns:
        the layout.

    Raises:
        ValueError: there are fewer devices, the backend cannot do it, or another engine is at
            work (TF_CONFIG, the scope of a strategy).
        ConnectionError: the hosts do not find each other in time.

    Example:

    >>> device_layout().num_devices
    1
    """
    if hosts is not None:
        if devices != 1:
            raise ValueError(
                "`devices` must not be given with `hosts`: each host takes all devices that it "
                f"has. Received: {devices}. CUDA_VISIBLE_DEVICES=0,1 hides the others."
            )
        connect(hosts)
        return ParallelHosts(hosts)
    _refuse_other_engines()
    if devices == 1:
        return DeviceLayout()
    return _devices_of_this_host(devices)


def _devices_of_this_host(devices: Devices) -> DeviceLayout:
    backend = keras.config.backend()
    if backend == "tensorflow":
        of_tensorflow = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices(
            "CPU"
        )
        available = [device.name for device in of_tensorflow]
    elif backend == "jax":
        available = keras.distribution.list_devices()
    else:
        raise ValueError(
            "`devices` above 1 needs Keras's backend tensorflow or jax. "
            f"Received: KERAS_BACKEND={backend}."
        )
    chosen = chosen_devices(devices, available)
    if len(chosen) == 1:
        return DeviceLayout()
    return MirroredDevices(chosen) if backend == "tensorflow" else ParallelDevices(chosen)


def chosen_devices(wanted: Devices, available: list[str]) -> list[str]:
    """The first so many of the devices that there are.

    Args:
        wanted: how many, or "all".
        available: their names, of one kind.

    Raises:
        ValueError: there are fewer, or fewer than one is wanted.

    Example:

    >>> chosen_devices(2, ["gpu:0", "gpu:1", "gpu:2"])
    ['gpu:0', 'gpu:1']
    """
    number = len(available) if wanted == "all" else wanted
    if not 1 <= number <= len(available):
        raise ValueError(
            f"`devices` must be from 1 to {len(available)}, or all. Received: {wanted}. "
            f"Keras sees {', '.join(available)} on this host."
        )
    return available[:number]


def _refuse_other_engines() -> None:
    """Refuses what would start and then fail, or give each host a training of its own."""
    processes = _processes_of_tf_config(os.environ.get("TF_CONFIG", ""))
    if len(processes) > 1:
        raise ValueError(
            f"TF_CONFIG must not name several processes. Received: {', '.join(processes)}. Keras "
            "cannot `fit` under MultiWorkerMirroredStrategy or ParameterServerStrategy. "
            f"{_THE_WAYS_THAT_WORK}; unset TF_CONFIG."
        )
    if keras.config.backend() == "tensorflow" and tf.distribute.has_strategy():
        name = type(tf.distribute.get_strategy()).__name__
        raise ValueError(
            f"`train` must not be called in the scope of a strategy. Received: {name}. Leave the "
            f"scope: `train` makes what it needs. {_THE_WAYS_THAT_WORK}."
        )


def _processes_of_tf_config(text: str) -> list[str]:
    """`worker 10.0.0.1:1234` and so on."""
    try:
        cluster: Any = json.loads(text or "{}").get("cluster", {})
        return [f"{job} {address}" for job in cluster for address in cluster[job]]
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"TF_CONFIG must be a cluster in JSON, or unset. Received: {text!r}."
        ) from error
