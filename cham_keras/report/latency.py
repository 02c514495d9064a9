"""How long the model takes on this machine, for a clip and for a streamed frame.

Comes in: a run. Goes out: times. `write_report` calls it. `cham benchmark` measures the
recurrence with more care and in comparison.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from cham_keras import models
from cham_keras.runs import Run

#: Calls are timed until this time is over, or so many of them are done.
SECONDS_OF_CALLS = 2.0
MOST_CALLS = 200
LEAST_CALLS = 3
#: Calls before that, which trace and compile.
_FIRST_CALLS = 2
#: The range that is given: from this quantile to the other end's.
QUANTILE = 0.05


@dataclasses.dataclass(frozen=True)
class Latency:
    """Milliseconds of one call.

    Attributes:
        what: what was timed.
        frames: frames of the call.
        median: of all calls.
        lower, upper: 5 % and 95 % of the calls are faster.
        calls: how many were timed.
    """

    what: str
    frames: int
    median: float
    lower: float
    upper: float
    calls: int

    @property
    def frames_per_second(self) -> float:
        """How many frames that makes in a second."""
        return 1000 * self.frames / self.median


def measure_latency(run: Run) -> tuple[list[Latency], str]:
    """Times the model of a run on made-up features, one clip at a time.

    Args:
        run: a finished run.

    Returns:
        times of a clip and, of a model that can be streamed, of a frame; and a remark,
        empty where there is nothing to remark.
    """
    if not run.has_model:
        return [], "The run folder holds no model to measure."
    model = run.load_model()
    frames = run.num_frames
    rng = np.random.default_rng(0)
    clip = rng.normal(size=(1, frames, *run.manifest.feature_shape)).astype("float32")
    inputs = {"features": clip, "lengths": np.array([frames], "int32")}
    found = [_timed(f"a clip of {frames} frames", frames, lambda: model.predict_on_batch(inputs))]
    try:
        stream = models.streaming(model)
        states = models.start_states_from_clip(model, clip)
    except ValueError:
        return found, f"A model {run.settings.model.name} has no states to stream with."
    remark = ""
    frame: dict[str, Any] = {"features": clip[:, 0], **states}
    found.append(_timed("one streamed frame", 1, lambda: stream.predict_on_batch(frame)))
    return found, remark


def devices() -> str:
    """What Keras computes on beside the processor; empty where there is nothing else."""
    names = [name for name in keras.distribution.list_devices() if not name.startswith("cpu")]
    return ", ".join(names)


def _timed(what: str, frames: int, call: Callable[[], object]) -> Latency:
    for _ in range(_FIRST_CALLS):
        call()
    milliseconds: list[float] = []
    end = time.perf_counter() + SECONDS_OF_CALLS
    while len(milliseconds) < LEAST_CALLS or (
        len(milliseconds) < MOST_CALLS and time.perf_counter() < end
    ):
        started = time.perf_counter()
        call()
        milliseconds.append(1000 * (time.perf_counter() - started))
    lower, median, upper = np.quantile(milliseconds, [QUANTILE, 0.5, 1 - QUANTILE]).tolist()
    return Latency(what, frames, median, lower, upper, len(milliseconds))
