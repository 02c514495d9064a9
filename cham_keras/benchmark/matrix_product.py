"""The machine's own rate: what one large matrix product reaches."""

from collections.abc import Callable

import keras
import numpy as np

from cham_keras.benchmark.backend import current_backend
from cham_keras.benchmark.settings import BenchmarkSettings
from cham_keras.benchmark.timing import seconds_of

#: The fastest of so many counts: the rate is an upper bound, not an average.
ATTEMPTS = 3


class MatrixProduct:
    """A product of two matrices in the dtype that the systems compute in.

    Args:
        settings: dtype, and the size where it is given.

    Attributes:
        shape: `(rows, inner, columns)`.
        operations: of one product; a multiply-add is two.
    """

    def __init__(self, settings: BenchmarkSettings):
        backend = current_backend()
        # On an accelerator the smaller product ends before its start-up is forgotten.
        size = settings.matrix_size or (16384 if backend.accelerators() else 4096)
        self.shape = (size, max(1, size // 2), size)
        rows, inner, columns = self.shape
        self.operations = 2 * rows * inner * columns
        dtype = keras.DTypePolicy(settings.dtype).compute_dtype
        rng = np.random.default_rng(settings.seed)
        self._factors = [
            backend.tensor(rng.standard_normal(shape, dtype="float32"), dtype)
            for shape in ((rows, inner), (inner, columns))
        ]
        self._product: Callable = backend.compile_matrix_product()
        self._product(*self._factors)

    def operations_per_second(self) -> float:
        """The rate of the fastest of some products."""
        seconds = [seconds_of(lambda: self._product(*self._factors))[0] for _ in range(ATTEMPTS)]
        return self.operations / min(seconds)
