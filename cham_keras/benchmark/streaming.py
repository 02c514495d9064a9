"""One frame at a time against the whole clip, at batch 1."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from cham_keras.benchmark.agreement import require_same
from cham_keras.benchmark.backend import current_backend
from cham_keras.benchmark.keras_system import features_for, set_weights
from cham_keras.benchmark.problem import Problem, make_problem
from cham_keras.benchmark.settings import BenchmarkSettings
from cham_keras.benchmark.systems import attention_layer, hierarchical_layer
from cham_keras.benchmark.timing import Times, seconds_of, take_turns
from cham_keras.models.recurrent_step import RecurrentStep

STREAMED = ("attention layer", "both layers of CHAM")


@dataclasses.dataclass(frozen=True)
class StreamingMeasurement:
    """Seconds of one frame.

    Attributes:
        stream: frame after frame, each waited for, with the states handed on.
        clip: the whole clip in one call, divided by its frames.
    """

    stream: Times
    clip: Times

    @property
    def ratio(self) -> float:
        """How many times the clip's share a streamed frame costs."""
        return self.stream.median / self.clip.median

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "stream_frame": self.stream.to_dict(),
            "clip_frame": self.clip.to_dict(),
            "ratio": self.ratio,
        }


def num_calls(settings: BenchmarkSettings) -> int:
    """How many calls `measure_streaming` makes, for a progress bar."""
    return len(STREAMED) * (1 + 2 * settings.repeats)


def measure_streaming(
    settings: BenchmarkSettings, tick: Callable[[str], None]
) -> dict[str, StreamingMeasurement]:
    """Measures the attention layer and both layers of CHAM.

    Args:
        settings: the sizes, but for the batch, which is 1.
        tick: is told what has been done after each of `num_calls(settings)` calls.

    Raises:
        ValueError: the stream's last output is not that of the clip.
    """
    settings = dataclasses.replace(settings, batch=1)
    problem = make_problem(settings)
    return {name: _measure(name, settings, problem, tick) for name in STREAMED}


def _measure(
    name: str, settings: BenchmarkSettings, problem: Problem, tick: Callable[[str], None]
) -> StreamingMeasurement:
    whole_clip = _clip_call(name, settings, problem)
    frame_by_frame = _stream_call(name, settings, problem)
    first_clip, last_of_clip = seconds_of(whole_clip)
    first_stream, last_of_stream = seconds_of(frame_by_frame)
    require_same(
        _as_array(last_of_stream),
        _as_array(last_of_clip),
        f"The outputs of the streamed {name}",
        settings.dtype,
    )
    tick(f"built {name}")
    seconds = take_turns({"clip": whole_clip, "stream": frame_by_frame}, settings.repeats, tick)

    def of_a_frame(key: str, first: float) -> Times:
        return Times(tuple(value / settings.steps for value in seconds[key]), first)

    return StreamingMeasurement(
        stream=of_a_frame("stream", first_stream), clip=of_a_frame("clip", first_clip)
    )


def _clip_call(name: str, settings: BenchmarkSettings, problem: Problem) -> Callable[[], Any]:
    layer = _layer(name, settings, problem, return_sequences=True)
    inference = current_backend().compile_inference(layer, settings.jit)
    features = features_for(problem.features, settings)
    return lambda: inference(features)[:, -1]


def _stream_call(name: str, settings: BenchmarkSettings, problem: Problem) -> Callable[[], Any]:
    """The layer's one step, as streaming models run it."""
    layer = _layer(name, settings, problem)
    one_step = RecurrentStep(layer)
    frames = [features_for(problem.features[:, t], settings) for t in range(settings.steps)]
    one_step.build(frames[0].shape)
    step = current_backend().compile_inference(one_step, settings.jit)
    shapes = one_step.state_shapes(frames[0].shape)
    zeros = {name: keras.ops.zeros(shapes[name], one_step.state_dtypes[name]) for name in shapes}

    def run() -> Any:
        states = zeros
        for frame in frames:
            results = step(frame, states)
            states = {name: results[name] for name in zeros}
        return results["outputs"]

    return run


def _layer(name: str, settings: BenchmarkSettings, problem: Problem, **kwargs: Any) -> Any:
    if name == "attention layer":
        layer: Any = attention_layer(settings, problem, "auto", **kwargs)
        cell = layer.cell
    else:
        layer = hierarchical_layer(settings, problem, **kwargs)
        cell = layer.cells[0]
    layer.build(problem.features.shape)
    set_weights(cell, problem)
    return layer


def _as_array(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor)).astype("float32")
