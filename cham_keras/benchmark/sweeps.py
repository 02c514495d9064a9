"""How the cost grows with the batch and with time."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from cham_keras.benchmark.measurement import Measurement
from cham_keras.benchmark.settings import BenchmarkSettings

Along = Literal["batch", "steps"]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Train steps at several sizes.

    Attributes:
        along: the size that changes, `batch` or `steps`.
        sizes: its values.
        fixed: the other one's value.
        seconds: system -> median seconds of a train step at each size.
    """

    along: Along
    sizes: tuple[int, ...]
    fixed: int
    seconds: dict[str, tuple[float, ...]]

    def frame_seconds(self, system: str) -> tuple[float, ...]:
        """Seconds of one frame of one clip at each size."""
        return tuple(
            seconds / (size * self.fixed)
            for seconds, size in zip(self.seconds[system], self.sizes, strict=True)
        )

    def exponent(self, system: str) -> float | None:
        """The p of seconds ~ size**p, from a straight line through the logarithms.

        1 is growth in proportion; below 1, part of the cost does not grow. None for
        one size alone.
        """
        if len(self.sizes) < 2:
            return None
        logarithms = [math.log(seconds) for seconds in self.seconds[system]]
        return float(np.polyfit(np.log(self.sizes), logarithms, 1)[0])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        fixed_name = "steps" if self.along == "batch" else "batch"
        return {
            "along": self.along,
            "sizes": list(self.sizes),
            fixed_name: self.fixed,
            "systems": {
                name: {
                    "train_seconds": list(seconds),
                    "frame_seconds": list(self.frame_seconds(name)),
                    "exponent": self.exponent(name),
                }
                for name, seconds in self.seconds.items()
            },
        }


def sweep(
    along: Along, settings: BenchmarkSettings, points: Mapping[int, Measurement]
) -> tuple[Sweep, dict[str, str]]:
    """Puts the measurements of several sizes together.

    Args:
        along: `batch` or `steps`.
        settings: the other size.
        points: what was measured at each size.

    Returns:
        the sweep over the systems that ran at every size, and for the others the
        sentences that say why not.
    """
    left_out = {str(name): why for found in points.values() for name, why in found.left_out.items()}
    names = [name for name in settings.sweep_systems if name not in left_out]
    swept = Sweep(
        along=along,
        sizes=tuple(points),
        fixed=settings.steps if along == "batch" else settings.batch,
        seconds={
            name: tuple(found.systems[name].times["train"].median for found in points.values())
            for name in names
        },
    )
    return swept, left_out


def settings_at(settings: BenchmarkSettings, along: Along, size: int) -> BenchmarkSettings:
    """The settings of one point of a sweep."""
    changed: dict[str, Any] = {along: size}
    return dataclasses.replace(settings, systems=settings.sweep_systems, **changed)
