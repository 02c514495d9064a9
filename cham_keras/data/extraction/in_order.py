"""Work that another thread does, one piece after the other, while this one goes on."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class InOrder:
    """Does pieces of work in a thread of its own, in order; use it as a context manager.

    An error of a piece is raised by a later call of `do`, or at the end of the block;
    pieces after it are not done.

    Args:
        most_waiting: how many pieces may wait; `do` blocks where there are more.

    Example:
    >>> done = []
    >>> with InOrder(most_waiting=2) as worker:
    ...     for number in range(5):
    ...         worker.do(done.append, number)
    >>> done
    [0, 1, 2, 3, 4]
    """

    def __init__(self, most_waiting: int) -> None:
        self.most_waiting = most_waiting
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="in order")
        self._waiting: deque[Future[Any]] = deque()
        self._has_failed = False

    def __enter__(self) -> "InOrder":
        return self

    def do(self, work: Callable[..., Any], *arguments: Any, **keywords: Any) -> None:
        """Has `work(*arguments, **keywords)` done."""
        self._waiting.append(self._executor.submit(self._do, work, arguments, keywords))
        while len(self._waiting) > self.most_waiting:
            self._waiting.popleft().result()

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._executor.shutdown()
        while self._waiting and kind is None:
            self._waiting.popleft().result()

    def _do(self, work: Callable[..., Any], arguments: tuple, keywords: dict[str, Any]) -> None:
        if self._has_failed:
            return
        try:
            work(*arguments, **keywords)
        except BaseException:
            self._has_failed = True
            raise
