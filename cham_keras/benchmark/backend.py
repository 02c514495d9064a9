"""Which of the two backend modules is in use."""

import importlib
from types import ModuleType

import keras

BACKENDS = ("tensorflow", "jax")


def current_backend() -> ModuleType:
    """The module with compiled calls for Keras's backend.

    Returns:
        `tensorflow_backend` or `jax_backend`; both define the same functions.

    Raises:
        ValueError: Keras runs on another backend.
    """
    name = keras.config.backend()
    if name not in BACKENDS:
        raise ValueError(
            f"Keras's backend must be {' or '.join(BACKENDS)} for a benchmark. Received: {name}. "
            "Set the environment variable KERAS_BACKEND; PyTorch is a system of its own."
        )
    return importlib.import_module(f"cham_keras.benchmark.{name}_backend")
