"""A Keras layer as a system: compiled inference and train step."""

from typing import Any

import keras
import numpy as np

from cham_keras.benchmark.backend import current_backend
from cham_keras.benchmark.problem import Problem
from cham_keras.benchmark.settings import BenchmarkSettings
from cham_keras.benchmark.system import System


class KerasSystem(System):
    """A layer from features to the outputs of all steps.

    Args:
        layer: the layer, not yet built.
        settings: dtype and `jit`.
        problem: features, and weights for what has the names of them.
        cell: the layer's part that takes the weights; None where none does.
        num_checked_filters: see `System`.
    """

    def __init__(
        self,
        layer: Any,
        settings: BenchmarkSettings,
        problem: Problem,
        cell: Any = None,
        num_checked_filters: int | None = None,
    ):
        self._layer = layer
        self._backend = current_backend()
        layer.build(problem.features.shape)
        if cell is not None:
            set_weights(cell, problem)
        self.has_cell_of_all = cell is not None
        self.num_checked_filters = num_checked_filters
        of_cell = {id(weight) for weight in cell.weights} if cell is not None else set()
        # A second cell's weights have the names of the first's, but other paths.
        self._names = [
            weight.name if id(weight) in of_cell else weight.path
            for weight in layer.trainable_variables
        ]
        self.num_weights = layer.count_params()
        self._features = features_for(problem.features, settings)
        self._inference = self._backend.compile_inference(layer, settings.jit)
        self._train_step = self._backend.compile_train_step(layer, settings.jit)

    @property
    def implementation(self) -> str:  # type: ignore[override]
        """What `SpatialRNN` says that it has chosen, once it has run."""
        inner = getattr(self._layer, "first", self._layer)
        return str(getattr(inner, "chosen_implementation", ""))

    def prepare(self) -> None:
        self._inference.prepare(self._features)
        self._train_step.prepare(self._features)

    def inference(self) -> Any:
        return self._inference(self._features)

    def train_step(self) -> dict[str, Any]:
        gradients = self._train_step(self._features)
        return dict(zip(self._names, gradients, strict=True))

    def as_array(self, tensor: Any) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(tensor)).astype("float32")

    def memory_bytes(self) -> tuple[int, int]:
        from cham_keras.process_memory import peak_resident_bytes, resident_bytes

        return self._backend.device_memory() or (resident_bytes(), peak_resident_bytes())

    def reset_peak_memory(self) -> None:
        from cham_keras.process_memory import reset_peak

        if self._backend.device_memory() is None:
            reset_peak()
        else:
            self._backend.reset_device_peak()


def features_for(array: np.ndarray, settings: BenchmarkSettings) -> Any:
    """Features on the device in the dtype that is computed in, so that no system casts them."""
    dtype = keras.DTypePolicy(settings.dtype).compute_dtype
    return current_backend().tensor(array, dtype)


def set_weights(cell: Any, problem: Problem) -> None:
    """Gives a built cell the weights of the problem.

    Raises:
        ValueError: its weights have other names.
    """
    names = {weight.name for weight in cell.weights}
    if names != set(problem.weights):
        raise ValueError(
            f"The cell's weights must be {sorted(problem.weights)}. Received: {sorted(names)}. "
            "Give `weight_shapes` in cham_keras/benchmark/problem.py the cell's names."
        )
    for weight in cell.weights:
        weight.assign(problem.weights[weight.name])
