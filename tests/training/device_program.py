"""Trains once in a process of its own: how many devices there are is settled once a process.

    python tests/training/device_program.py SHARDS OUT OPTIONS

OPTIONS is JSON: `settings` of the run; `logical_devices`, how many the processor is made to be;
`devices`, `hosts` and `index` for `train`; `stop_at_batch`, when the process gets what Ctrl-C
sends; `fail_at_batch`, when it fails; `wait_seconds`, how long a host waits for another one.
`test_devices.py` and `test_hosts.py` start it.
"""

import json
import os
import signal
import sys
from pathlib import Path

import keras


def make_logical_devices(number):
    """Makes the processor that many devices."""
    if keras.config.backend() == "jax":
        import jax

        jax.config.update("jax_num_cpu_devices", number)
        return
    import tensorflow as tf

    processor = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration() for _ in range(number)]
    tf.config.set_logical_device_configuration(processor, devices)


class AtBatch(keras.callbacks.Callback):
    """Does something at the end of one batch, counted from 1 over all epochs."""

    def __init__(self, number, action):
        super().__init__()
        self._left, self._action = number, action

    def on_train_batch_end(self, batch, logs=None):
        self._left -= 1
        if self._left == 0:
            self._action()


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def fail():
    raise ValueError("This batch was to fail.")


def main(shards, out, options):
    make_logical_devices(options.get("logical_devices", 1))

    from cham_keras.runs import RunSettings
    from cham_keras.settings import settings_from_dict
    from cham_keras.training import TrainingStopped, hosts, train
    from cham_keras.training.device_layout import DeviceLayout

    for name in ("CONNECT_SECONDS", "HEARTBEAT_SECONDS", "END_SECONDS"):
        setattr(hosts, name, options.get("wait_seconds", getattr(hosts, name)))
    actions = {"stop_at_batch": interrupt, "fail_at_batch": fail}
    added = [AtBatch(options[name], actions[name]) for name in actions if name in options]
    callbacks = DeviceLayout.callbacks
    DeviceLayout.callbacks = lambda layout: [*added, *callbacks(layout)]
    try:
        train(
            shards,
            out,
            settings_from_dict(RunSettings, options["settings"], source="test"),
            devices=options.get("devices", 1),
            hosts=hosts.Hosts(tuple(options["hosts"]), options["index"])
            if "hosts" in options
            else None,
        )
    except TrainingStopped as stop:
        sys.exit(stop.exit_code)
    except (ValueError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
