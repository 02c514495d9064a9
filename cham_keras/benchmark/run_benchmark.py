"""The whole benchmark: from settings to a folder with JSON, tables and a picture."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cham_keras.benchmark import measurement, streaming
from cham_keras.benchmark.backend import current_backend
from cham_keras.benchmark.measurement import MODES, Measurement, measure
from cham_keras.benchmark.memory import measure_memory
from cham_keras.benchmark.results import JSON_FILE, BenchmarkResults
from cham_keras.benchmark.settings import BenchmarkSettings
from cham_keras.benchmark.sweeps import Along, settings_at, sweep
from cham_keras.benchmark.systems import DESCRIPTIONS
from cham_keras.data.shards.manifest import versions_of
from cham_keras.progress import progress_bar, stderr
from cham_keras.runs.run_folder import environment
from cham_keras.settings import settings_to_dict

#: A machine is called quiet where less than this share of its processors is at work.
QUIET_SHARE = 0.25


def run_benchmark(
    settings: BenchmarkSettings | None = None,
    out: Path | None = None,
    *,
    overwrite: bool = False,
) -> BenchmarkResults:
    """Measures the recurrence and writes what was found.

    Args:
        settings: what to measure; the defaults are those of `BenchmarkSettings`.
        out: folder for `benchmark.json`, `.md` and `.png`; None writes nothing.
        overwrite: whether a benchmark that is already there is replaced.

    Returns:
        everything that was found.

    Raises:
        ValueError: a system computes something else than the plain loop, or Keras's
            backend is neither TensorFlow nor JAX.
        FileExistsError: the folder holds a benchmark.
    """
    settings = settings or BenchmarkSettings()
    if out is not None and (Path(out) / JSON_FILE).exists() and not overwrite:
        raise FileExistsError(
            f"There is a benchmark already: {Path(out) / JSON_FILE}. "
            "Name another folder, or pass --overwrite to replace it."
        )
    load_average = os.getloadavg() if hasattr(os, "getloadavg") else None
    warning = _warning(load_average)
    if warning:
        stderr.print(f"Warning: {warning}", style="yellow", highlight=False)
    current_backend().use_devices_modestly()
    # First, while this process leaves the memory of an accelerator to the others.
    memory = _measured_memory(settings) if settings.memory else {}
    found = _measured(settings, "this size")
    streamed = _measured_streaming(settings) if settings.streaming else {}
    sweeps, left_out = _sweeps(settings)
    results = BenchmarkResults(
        {
            "settings": settings_to_dict(settings),
            "jit": settings.jit or current_backend().ALWAYS_JIT,
            "environment": {
                **_environment(),
                "load_average": None if load_average is None else list(load_average),
            },
            "warning": warning,
            "matrix_product": _matrix_product(found),
            "systems": _systems(found, memory),
            "left_out": {**left_out, **found.left_out},
            "streaming": {name: row.to_dict() for name, row in streamed.items()},
            "sweeps": sweeps,
        }
    )
    if out is not None:
        results.write(Path(out))
    return results


def _warning(load_average: tuple[float, ...] | None) -> str:
    """A sentence where other work runs on the machine, else nothing."""
    processors = os.cpu_count() or 1
    if load_average is None or load_average[0] <= QUIET_SHARE * processors:
        return ""
    return (
        f"The machine was not quiet: its load average was {load_average[0]:.2f} on "
        f"{processors} processors before the start, so these times may be too long."
    )


def _environment() -> dict[str, Any]:
    found = environment()
    more = versions_of(("jax", "torch"))
    return {
        **found,
        "versions": {**found["versions"], **more},
        "accelerators": current_backend().accelerators(),
    }


def _matrix_product(found: Measurement) -> dict[str, Any]:
    return {
        "shape": list(found.matrix_shape),
        "operations_per_second": found.matrix_rate,
        "operations_per_second_of_rounds": list(found.matrix_rates),
    }


def _systems(found: Measurement, memory: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    systems: dict[str, Any] = {}
    for name, system in found.systems.items():
        row: dict[str, Any] = {
            "description": DESCRIPTIONS[name],
            "implementation": system.implementation,
            "weights": system.num_weights,
            "agreement": None if system.agreement is None else system.agreement.to_dict(),
        }
        for mode in MODES:
            row[mode] = {
                **system.times[mode].to_dict(),
                "useful_operations": system.operations[mode],
                "operations_per_second": system.rate(mode),
                "share_of_matrix_product": system.rate(mode) / found.matrix_rate,
            }
        systems[name] = row | ({"memory": memory[name]} if memory else {})
    return systems


def _sweeps(settings: BenchmarkSettings) -> tuple[list[dict[str, Any]], dict[str, str]]:
    sweeps: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    directions: tuple[tuple[Along, tuple[int, ...]], ...] = (
        ("batch", settings.sweep_batches),
        ("steps", settings.sweep_steps),
    )
    for along, sizes in directions:
        if not sizes:
            continue
        points = {
            size: _measured(settings_at(settings, along, size), f"{along} {size}") for size in sizes
        }
        swept, why = sweep(along, settings, points)
        sweeps.append(swept.to_dict())
        left_out |= why
    return sweeps, left_out


def _measured(settings: BenchmarkSettings, what: str) -> Measurement:
    with _bar(f"measuring {what}", measurement.num_calls(settings)) as tick:
        return measure(settings, tick)


def _measured_memory(settings: BenchmarkSettings) -> dict[Any, dict[str, Any]]:
    with _bar("measuring memory", len(settings.systems)) as tick:
        return measure_memory(settings, tick)


def _measured_streaming(settings: BenchmarkSettings) -> dict[str, Any]:
    with _bar("measuring streaming", streaming.num_calls(settings)) as tick:
        return streaming.measure_streaming(settings, tick)


@contextmanager
def _bar(description: str, total: int) -> Iterator[Callable[[str], None]]:
    """A progress bar, and the function that moves it on with a note."""
    with progress_bar() as bar:
        task = bar.add_task(description, total=total, note="")
        yield lambda note: bar.update(task, advance=1, note=note)
