"""Do the systems compute the same? A benchmark of something wrong must not be published."""

import dataclasses
from typing import Any

import numpy as np

from cham_keras.benchmark.settings import BenchmarkSettings, SystemName
from cham_keras.benchmark.system import System

#: dtype policy -> what outputs and gradients may differ by. Outputs lie between -1 and 1,
#: gradients are compared as shares of their largest number. Without loss scaling, gradients
#: fall below what float16 can hold.
TOLERANCES: dict[str, tuple[float, float | None]] = {
    "float32": (1e-4, 1e-3),
    "mixed_bfloat16": (5e-2, 1e-1),
    "mixed_float16": (1e-2, None),
}


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How far a system lies from the plain loop.

    Attributes:
        outputs: largest absolute difference of the outputs.
        gradients: largest difference of a gradient, as a share of the largest number of the
            gradient with respect to the same weight; None where they are not compared.
    """

    outputs: float
    gradients: float | None

    def to_dict(self) -> dict[str, float | None]:
        """For JSON."""
        return dataclasses.asdict(self)


class Reference:
    """Outputs and gradients of the plain loop, to compare with.

    Args:
        system: the plain loop.
    """

    def __init__(self, system: System):
        self._outputs = system.as_array(system.inference())
        self._gradients = {
            name: system.as_array(gradient) for name, gradient in system.train_step().items()
        }

    def compare(
        self,
        name: SystemName,
        system: System,
        outputs: Any,
        gradients: dict[str, Any],
        settings: BenchmarkSettings,
    ) -> Agreement | None:
        """Compares a system with the plain loop.

        Args:
            name: the system's name.
            system: the system.
            outputs: what its `inference` gave.
            gradients: what its `train_step` gave.
            settings: the dtype decides how close is close enough.

        Returns:
            the differences; None for a system that computes something else.

        Raises:
            ValueError: outputs or gradients differ by more than rounding.
        """
        if not system.has_cell_of_all:
            return None
        most_outputs, most_gradients = TOLERANCES[settings.dtype]
        # Of two layers side by side, the first is compared.
        array = system.as_array(outputs)[..., : system.num_checked_filters]
        if array.shape != self._outputs.shape:
            raise ValueError(
                f"The outputs of {name} must have the shape of plain_rnn's, "
                f"{self._outputs.shape}. Received: {array.shape}. Nothing was measured."
            )
        difference = _largest_difference(array, self._outputs)
        _require_at_most(most_outputs, difference, f"The outputs of {name}")
        if most_gradients is None or system.num_checked_filters is not None:
            return Agreement(difference, None)
        shares = {}
        for weight, expected in self._gradients.items():
            gradient = system.as_array(gradients[weight])
            share = _largest_difference(gradient, expected) / float(np.abs(expected).max())
            _require_at_most(
                most_gradients, share, f"The gradient of {name} with respect to {weight}"
            )
            shares[weight] = share
        return Agreement(difference, max(shares.values()))


def require_same(array: np.ndarray, expected: np.ndarray, what: str, dtype: str) -> None:
    """Raises `ValueError` where two outputs of a system differ by more than rounding."""
    _require_at_most(TOLERANCES[dtype][0], _largest_difference(array, expected), what)


def _largest_difference(array: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(array - expected).max())


def _require_at_most(most: float, difference: float, what: str) -> None:
    # Written so that NaN is refused too.
    if not difference <= most:
        raise ValueError(
            f"{what} must agree with what they are compared with to {most:g}. "
            f"Received: a difference of {difference:.3g}. Nothing was measured: mend it first."
        )
