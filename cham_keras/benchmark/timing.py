"""Seconds of calls that take turns, so that a slow moment of the machine meets all alike."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Times:
    """Seconds of one call, again and again.

    Attributes:
        seconds: one number a round, in their order.
        first_call_seconds: what the first call took, which is not among them: it also
            traces and compiles. None where it was not measured.
    """

    seconds: tuple[float, ...]
    first_call_seconds: float | None = None

    @property
    def median(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Slowest minus fastest, as a share of the median."""
        return (max(self.seconds) - min(self.seconds)) / self.median

    def to_dict(self) -> dict[str, Any]:
        """All of it for JSON.

        Example:

        >>> Times((1.0, 4.0, 2.0)).to_dict()["median_seconds"]
        2.0
        """
        return {
            "median_seconds": self.median,
            "min_seconds": min(self.seconds),
            "max_seconds": max(self.seconds),
            "spread": self.spread,
            "first_call_seconds": self.first_call_seconds,
            "seconds": list(self.seconds),
        }


def seconds_of(call: Callable[[], Any]) -> tuple[float, Any]:
    """Runs a call once.

    Returns:
        its seconds and its result.
    """
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def take_turns(
    calls: Mapping[Any, Callable[[], Any]], repeats: int, tick: Callable[[Any], None]
) -> dict[Any, tuple[float, ...]]:
    """Measures calls round by round; each round runs every call once, in their order.

    Args:
        calls: what to run, by key. A call returns when its work is done.
        repeats: number of rounds.
        tick: is told the key after each call.

    Returns:
        the seconds of each key, one number a round.
    """
    seconds: dict[Any, list[float]] = {key: [] for key in calls}
    for _ in range(repeats):
        for key, call in calls.items():
            # The result is let go before the next call needs its memory.
            seconds[key].append(seconds_of(call)[0])
            tick(key)
    return {key: tuple(values) for key, values in seconds.items()}
