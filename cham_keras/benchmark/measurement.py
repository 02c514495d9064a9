"""Measuring some systems at one size: build, check, take turns."""

import dataclasses
import gc
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cham_keras.benchmark.agreement import Agreement, Reference
from cham_keras.benchmark.arithmetic import useful_operations
from cham_keras.benchmark.matrix_product import MatrixProduct
from cham_keras.benchmark.problem import make_problem
from cham_keras.benchmark.settings import BenchmarkSettings, SystemName
from cham_keras.benchmark.system import System
from cham_keras.benchmark.systems import LeftOut, build_system
from cham_keras.benchmark.timing import Times, seconds_of, take_turns

MODES = ("train", "inference")


@dataclasses.dataclass(frozen=True)
class SystemMeasurement:
    """One system at one size.

    Attributes:
        num_weights: how many numbers its weights hold.
        implementation: what it says that it does.
        agreement: how far it lies from the plain loop.
        times: by mode, `train` and `inference`.
        operations: useful operations of one call, by mode.
    """

    num_weights: int
    implementation: str
    agreement: Agreement | None
    times: dict[str, Times]
    operations: dict[str, int]

    def rate(self, mode: str) -> float:
        """Useful operations per second, from the median."""
        return self.operations[mode] / self.times[mode].median


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Some systems at one size.

    Attributes:
        systems: by name, in the order of the settings.
        left_out: system -> the sentence that says why it was not measured.
        matrix_rates: operations per second of a matrix product, one a round.
        matrix_shape: rows, inner and columns of that product.
    """

    systems: dict[SystemName, SystemMeasurement]
    left_out: dict[SystemName, str]
    matrix_rates: tuple[float, ...]
    matrix_shape: tuple[int, int, int]

    @property
    def matrix_rate(self) -> float:
        """Median rate of the matrix product over the rounds."""
        return statistics.median(self.matrix_rates)


def num_calls(settings: BenchmarkSettings) -> int:
    """How many calls `measure` makes, for a progress bar."""
    return len(settings.systems) + settings.repeats * (2 * len(settings.systems) + 1)


def measure(settings: BenchmarkSettings, tick: Callable[[str], None]) -> Measurement:
    """Measures the systems of the settings at the size of the settings.

    Args:
        settings: what to measure.
        tick: is told what has been done after each of `num_calls(settings)` calls.

    Raises:
        ValueError: a system computes something else than the plain loop.
    """
    problem = make_problem(settings)
    reference = Reference(build_system("plain_rnn", settings, problem))
    systems: dict[SystemName, System] = {}
    agreements: dict[SystemName, Agreement | None] = {}
    first: dict[tuple[SystemName, str], float] = {}
    left_out: dict[SystemName, str] = {}
    for name in settings.systems:
        try:
            with _compilable(name):
                system = build_system(name, settings, problem)
                first[name, "inference"], outputs = seconds_of(system.inference)
                first[name, "train"], gradients = seconds_of(system.train_step)
        except LeftOut as reason:
            left_out[name] = str(reason)
        else:
            systems[name] = system
            agreements[name] = reference.compare(name, system, outputs, gradients, settings)
            del outputs, gradients
        tick(f"built {name}")
    if not systems:
        raise ValueError(f"No system is left to measure. {' '.join(left_out.values())}")
    del reference, problem
    gc.collect()

    product = MatrixProduct(settings)
    rates: list[float] = []
    calls: dict[Any, Callable[[], Any]] = {
        "matrix product": lambda: rates.append(product.operations_per_second())
    }
    for mode in MODES:
        for name, system in systems.items():
            calls[name, mode] = system.train_step if mode == "train" else system.inference
    seconds = take_turns(calls, settings.repeats, lambda key: tick(_in_words(key)))
    return Measurement(
        systems={
            name: SystemMeasurement(
                num_weights=system.num_weights,
                implementation=system.implementation,
                agreement=agreements[name],
                times={mode: Times(seconds[name, mode], first[name, mode]) for mode in MODES},
                operations=useful_operations(settings, name),
            )
            for name, system in systems.items()
        },
        left_out=left_out,
        matrix_rates=tuple(rates),
        matrix_shape=product.shape,
    )


@contextmanager
def _compilable(name: SystemName) -> Iterator[None]:
    """Turns an error of torch.compile, which needs what a machine may not have, into `LeftOut`."""
    try:
        yield
    except LeftOut:
        raise
    except Exception as error:
        if name != "torch_compiled":
            raise
        reason = next((line for line in str(error).splitlines() if line), type(error).__name__)
        raise LeftOut(
            f"torch.compile failed ({reason}). On a CPU it needs a C++ compiler."
        ) from error


def _in_words(key: Any) -> str:
    return key if isinstance(key, str) else f"{key[0]}, {key[1]}"
