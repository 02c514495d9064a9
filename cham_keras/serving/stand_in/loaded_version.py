"""One loaded version of a model, which is freed when the last request on it has ended."""

import threading
from pathlib import Path

from cham_keras.serving.served_model import ServedModel
from cham_keras.serving.warmup import replay_warmup


class LoadedVersion:
    """A version in memory, with the requests that are under way on it counted.

    Args:
        number: its number.
        folder: its folder.
        xla: whether XLA may compile, see `ServedModel`.
        num_threads: threads of one operation, see `ServedModel`.

    Attributes:
        number: its number.
        model: the model.
        warmup_records: how many warm-up requests it has answered.

    Raises:
        StatusError: TensorFlow cannot load it.
        ValueError: it refuses a warm-up request.
    """

    def __init__(
        self, number: int, folder: Path, *, xla: bool = False, num_threads: int = 0
    ) -> None:
        """Loads it and replays its warm-up."""
        self.number = number
        self.model = ServedModel(folder, xla=xla, num_threads=num_threads)
        self._under_way = 0
        self._changed = threading.Condition()
        try:
            self.warmup_records = replay_warmup(self.model, folder)
        except Exception:
            self.model.close()
            raise

    def acquire(self) -> None:
        """Counts a request that begins."""
        with self._changed:
            self._under_way += 1

    def release(self) -> None:
        """Counts a request that has ended."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Waits for the requests under way, then frees the model."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way == 0)
        self.model.close()
