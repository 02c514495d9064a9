"""What every measured system offers."""

import abc
from typing import Any

import numpy as np


class System(abc.ABC):
    """One implementation at one size, ready to run. Calls return when their work is done.

    Attributes:
        num_weights: how many numbers its weights hold.
        has_cell_of_all: whether it holds the attention cell with the weights that all share.
        num_checked_filters: the first so many channels of its outputs are those of that cell.
        implementation: what it says that it does, or an empty string.
    """

    num_weights: int
    has_cell_of_all = True
    num_checked_filters: int | None = None
    implementation = ""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Builds the graphs, as far as that can be done without running them."""

    @abc.abstractmethod
    def inference(self) -> Any:
        """The outputs for the whole batch, `(batch, time, height, width, filters)`."""

    @abc.abstractmethod
    def train_step(self) -> dict[str, Any]:
        """The gradients of the mean squared output with respect to all weights, by name."""

    @abc.abstractmethod
    def as_array(self, tensor: Any) -> np.ndarray:
        """A tensor of this system as float32 array."""

    @abc.abstractmethod
    def memory_bytes(self) -> tuple[int, int]:
        """Memory of the device (or of the process) in use now and at most."""

    @abc.abstractmethod
    def reset_peak_memory(self) -> None:
        """Begins a new peak, where that is possible."""
