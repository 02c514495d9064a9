"""What a trial costs: weights, arithmetic, time and memory.

Comes in: settings before training, a trained run after it. Goes out: the least memory that
training needs, and the measured costs. `tuner` refuses trials by the first and books the second.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cham_keras.process_memory import peak_resident_bytes
from cham_keras.runs import Run, RunSettings
from cham_keras.runs.model_size import num_parameters, useful_operations

_CALLS = 5
_BYTES = 4
#: A weight, its gradient, and Adam's two moments.
_COPIES_OF_WEIGHTS = 4
#: Of a ConvLSTM layer, for backpropagation: four gates, cell and hidden state.
_MAPS_OF_A_LAYER = 6


@dataclass(frozen=True)
class TrialCost:
    """What a trained model costs.

    Attributes:
        parameters: number of weights.
        operations: of one forward pass over a clip, as `useful_operations` counts them.
        seconds_per_clip: median of some predictions on one clip at a time, on this machine.
        peak_memory_bytes: the most that the process held while it trained.
        train_seconds: of the fit; of all folds, where there are some.
    """

    parameters: int
    operations: int
    seconds_per_clip: float
    peak_memory_bytes: int
    train_seconds: float

    def to_metrics(self) -> dict[str, float]:
        """As keras-tuner books it."""
        return {name: float(value) for name, value in asdict(self).items()}

    @classmethod
    def from_metrics(cls, metrics: Any) -> "TrialCost":
        """From what keras-tuner has booked.

        Args:
            metrics: a trial's.
        """
        last = metrics.get_last_value
        return cls(
            parameters=round(last("parameters")),
            operations=round(last("operations")),
            seconds_per_clip=float(last("seconds_per_clip")),
            peak_memory_bytes=round(last("peak_memory_bytes")),
            train_seconds=float(last("train_seconds")),
        )


def measure_cost(runs: Sequence[Run]) -> TrialCost:
    """Measures runs of one model that this process has just trained.

    Args:
        runs: finished runs with the same settings; the first one's model is loaded and called.
    """
    peak, run = peak_resident_bytes(), runs[0]
    model = run.load_model()
    shape = run.manifest.feature_shape
    inputs = {
        "features": np.zeros((1, run.num_frames, *shape), "float32"),
        "lengths": np.array([run.num_frames], "int32"),
    }
    seconds = []
    for _ in range(1 + _CALLS):
        start = time.perf_counter()
        model.predict_on_batch(inputs)
        seconds.append(time.perf_counter() - start)
    return TrialCost(
        parameters=model.count_params(),
        operations=useful_operations(run.settings.model, shape, run.num_frames),
        seconds_per_clip=float(statistics.median(seconds[1:])),  # the first one compiles
        peak_memory_bytes=peak,
        train_seconds=sum(run.metrics()["seconds"] for run in runs),
    )


def least_memory_bytes(
    settings: RunSettings, feature_shape: tuple[int, int, int], num_classes: int
) -> int:
    """What training cannot do without: weights with their moments, a batch, its states.

    Below what it takes in truth: a trial that does not fit by this does not fit.

    Example:

    >>> least_memory_bytes(RunSettings(), (7, 7, 2048), num_classes=51) // 2**30
    5
    """
    height, width, channels = feature_shape
    clips = settings.data.batch_size // settings.optimizer.accumulation_steps
    of_maps = height * width * settings.num_frames * clips
    model = settings.model
    parameters = num_parameters(model, feature_shape, num_classes)
    layers = 1 + (1 / model.skip if model.name == "cham" else 0)
    states = int(_MAPS_OF_A_LAYER * model.filters * layers)
    return _BYTES * (_COPIES_OF_WEIGHTS * parameters + of_maps * (channels + states))


def why_too_large(least_bytes: int, limit_bytes: int) -> str:
    """Why a trial is refused, in a few words; empty where it is not."""
    if least_bytes <= limit_bytes:
        return ""
    needed, limit = (_as_size(number) for number in (least_bytes, limit_bytes))
    if needed == limit:
        needed, limit = f"{least_bytes:,} bytes", f"{limit_bytes:,} bytes"
    return f"needs {needed} at the least, the limit is {limit}"


def _as_size(number: int) -> str:
    if number >= 2**30:
        return f"{number / 2**30:.1f} GiB"
    return f"{number / 2**20:.1f} MiB"
