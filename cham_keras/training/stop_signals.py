"""Ctrl-C and SIGTERM: the fit ends where its state is whole, and leaves a checkpoint.

Comes in: a signal, at any moment. Goes out: a note that `callbacks.keep_run` reads after each
batch, and the exception that it raises then.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class TrainingStopped(KeyboardInterrupt):
    """A signal has stopped the fit, which the same call goes on with.

    Callers that take KeyboardInterrupt for an end take this one too.

    Attributes:
        exit_code: what a command ends with: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, signal_number: int, step: int):
        super().__init__(f"Stopped at step {step}.")
        self.exit_code = 128 + signal_number


class StopSignals:
    """Within its block, the first Ctrl-C or SIGTERM is noted only; a second one ends at once.

    Attributes:
        received: the signal's number, None before there was one.

    Example:

    >>> with StopSignals() as signals:
    ...     signal.raise_signal(signal.SIGTERM)
    >>> signals.received == signal.SIGTERM
    True
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        # Python lets the main thread only set what a signal does.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
