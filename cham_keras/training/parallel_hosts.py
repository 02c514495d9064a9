"""Several hosts on JAX: `keras.distribution.DataParallel` over the devices of all of them.

Comes in: connected hosts. Goes out: a `DeviceLayout`. `devices` chooses it.

Every process runs the same program on the same settings, with its own part of each batch; what
is computed is what one device computes with whole batches. Process 0 alone writes the run
folder. The others write the same into a folder that is thrown away, so that all of them decide
the same; what an unfinished run goes on from is sent to them first.
"""

import contextlib
import functools
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cham_keras.data import Manifest
from cham_keras.progress import stderr
from cham_keras.runs import RunSettings
from cham_keras.runs.run_folder import CHECKPOINT_FILE, MANIFEST_FILE, SETTINGS_FILE
from cham_keras.settings import settings_to_dict
from cham_keras.training.host_batches import part_of_batches, part_of_clips
from cham_keras.training.hosts import END_SECONDS, HEARTBEAT_SECONDS, Hosts
from cham_keras.training.parallel_devices import ParallelDevices
from cham_keras.training.stop_signals import StopSignals, TrainingStopped

# Of these the content is sent, of other files that a run folder holds only the names.
_SENT = (SETTINGS_FILE, MANIFEST_FILE, CHECKPOINT_FILE)
# A checkpoint may be larger than the memory that a device has left.
_BYTES_A_MESSAGE = 16 * 2**20


class ParallelHosts(ParallelDevices):
    """All devices of all hosts.

    Args:
        hosts: connected ones.
    """

    def __init__(self, hosts: Hosts):
        super().__init__(keras.distribution.list_devices())
        self._hosts = hosts
        self._signals: list[_AgreedSignals] = []

    @property
    def read(self) -> Callable[..., tf.data.Dataset]:
        """Reads this host's part of each training batch."""
        return functools.partial(
            part_of_clips, part=self._hosts.index, num_parts=self._hosts.number
        )

    def check(self, settings: RunSettings, manifest: Manifest) -> None:
        """Refuses uneven batches, and hosts that would train something else.

        Raises:
            ValueError: a batch cannot be divided, or settings or shards are not the same
                everywhere; on all hosts.
        """
        super().check(settings, manifest)
        numbers = _gathered(np.array(_num_local_devices(), np.int32)).tolist()
        if len(set(numbers)) > 1:
            raise ValueError(
                "All hosts must have the same number of devices. Received: "
                f"{', '.join(map(str, numbers))}. CUDA_VISIBLE_DEVICES hides those too many."
            )
        for what, value in (
            ("settings", settings_to_dict(settings)),
            ("shards", [manifest.classes, manifest.feature_shape, str(manifest.splits)]),
        ):
            others = _where_it_differs(json.dumps(value, sort_keys=True))
            if others:
                raise ValueError(
                    f"All hosts must be given the same {what}. Received: other ones on host "
                    f"{', '.join(map(str, others))} than on host 0."
                )

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """The distribution's scope; says what an error here means for the other hosts."""
        try:
            with super().scope():
                yield
        except TrainingStopped:  # all hosts have agreed on it
            raise
        except BaseException:
            stderr.print(
                f"Host {self._hosts.index} of {self._hosts.number} has ended. A host that has not "
                f"will do so within {HEARTBEAT_SECONDS + END_SECONDS} s, with an error of JAX. "
                "Then the same commands go on from the last checkpoint.",
                highlight=False,
                soft_wrap=True,
            )
            raise

    def validation_clips(
        self, clips: tf.data.Dataset, num_clips: int, batch_size: int
    ) -> tf.data.Dataset:
        """This host's part of each validation batch; all of them are read."""
        even = super().validation_clips(clips, num_clips, batch_size)
        return part_of_batches(even, self._hosts.index, self._hosts.number)

    def signals(self, of_process: StopSignals) -> StopSignals:
        """The signals that any host has received; all hosts end after the same batch."""
        agreed = _AgreedSignals(of_process)
        self._signals.append(agreed)
        return agreed

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """What must stand before all other callbacks; they ask the other hosts."""
        return [*super().callbacks(), *map(_AgreeOnSignals, self._signals)]

    @contextlib.contextmanager
    def run_folder(self, out: Path) -> Iterator[Path]:
        """On host 0 the run folder; elsewhere a temporary one with what a run goes on from."""
        if self._hosts.index == 0:
            _send_folder(out)
            yield out
            return
        with tempfile.TemporaryDirectory(prefix="cham-") as temporary:
            folder = Path(temporary, out.name)
            _receive_folder(folder)
            yield folder


class _AgreedSignals(StopSignals):
    """What `_AgreeOnSignals` found out, and not what this process alone has received since."""

    def __init__(self, of_process: StopSignals):
        super().__init__()
        self._of_process = of_process

    def agree(self) -> None:
        """Takes up the signal of any host; all hosts call it at the same time."""
        of_hosts = _gathered(np.array(self._of_process.received or 0, np.int32))
        self.received = int(of_hosts.max()) or None


class _AgreeOnSignals(keras.callbacks.Callback):
    def __init__(self, signals: _AgreedSignals):
        super().__init__()
        self._signals = signals

    def on_train_batch_end(self, batch, logs=None):
        self._signals.agree()

    def on_test_batch_end(self, batch, logs=None):
        self._signals.agree()


def _num_local_devices() -> int:
    import jax

    return jax.local_device_count()


def _gathered(array: np.ndarray) -> np.ndarray:
    """The arrays of all hosts, one after the other."""
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(process_allgather(array))


def _where_it_differs(text: str) -> list[int]:
    """The hosts whose text is not that of host 0."""
    of_hosts = _gathered(np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8))
    return np.flatnonzero((of_hosts != of_hosts[0]).any(axis=1)).tolist()


def _send_folder(folder: Path) -> None:
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    contents = [path.read_bytes() if path.name in _SENT else b"" for path in files]
    sizes = [(path.name, len(data)) for path, data in zip(files, contents, strict=True)]
    for data in (json.dumps(sizes).encode(), *contents):
        _broadcast(data)


def _receive_folder(folder: Path) -> None:
    sizes = json.loads(_broadcast(None))
    folder.mkdir()
    for name, _ in sizes:
        (folder / name).write_bytes(_broadcast(None))


def _broadcast(data: bytes | None) -> bytes:
    """Host 0's bytes, on all hosts; the others give None."""
    from jax.experimental.multihost_utils import broadcast_one_to_all

    size = int(broadcast_one_to_all(np.array(len(data or b""), np.int32)))
    parts = []
    for first in range(0, size, _BYTES_A_MESSAGE):
        length = min(_BYTES_A_MESSAGE, size - first)
        part = np.zeros(length, np.uint8)
        if data is not None:
            part[:] = np.frombuffer(data, np.uint8, length, first)
        parts.append(np.asarray(broadcast_one_to_all(part)).tobytes())
    return b"".join(parts)
