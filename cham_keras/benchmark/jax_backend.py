"""Compiled calls under Keras's JAX backend. Each call returns when its work is done."""

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cham_keras.benchmark.loss import mean_of_squares

ALWAYS_JIT = True


def use_devices_modestly() -> None:
    """Takes of a GPU's memory what is needed, and computes float32 as float32 there."""
    # Read when JAX looks for devices, which it does at the first array.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    jax.config.update("jax_default_matmul_precision", "float32")


def accelerators() -> list[str]:
    """Names of the GPUs or TPUs."""
    return [device.device_kind for device in jax.devices() if device.platform != "cpu"]


def tensor(array: np.ndarray, dtype: str) -> Any:
    """Brings an array to the device."""
    return jnp.asarray(array, dtype=dtype)


def compile_inference(layer: Any, jit: bool) -> Callable[..., Any]:
    """`(features, **arguments) -> ` what the layer returns."""
    trainable, others = _weights(layer)

    @jax.jit
    def inference(trainable: Any, others: Any, *args: Any, **kwargs: Any) -> Any:
        return layer.stateless_call(trainable, others, *args, **kwargs, training=False)[0]

    def run(*args: Any, **kwargs: Any) -> Any:
        return jax.block_until_ready(inference(trainable, others, *args, **kwargs))

    run.prepare = lambda *args: inference.lower(  # type: ignore[attr-defined]
        trainable, others, *args
    )
    return run


def compile_train_step(layer: Any, jit: bool) -> Callable[..., Any]:
    """`features -> ` the gradients of the loss with respect to all weights."""
    trainable, others = _weights(layer)

    def loss_of(trainable: Any, others: Any, features: Any) -> Any:
        outputs, _ = layer.stateless_call(trainable, others, features, training=True)
        return mean_of_squares(outputs)

    train_step = jax.jit(jax.value_and_grad(loss_of))

    def run(features: Any) -> Any:
        return jax.block_until_ready(train_step(trainable, others, features))[1]

    run.prepare = lambda features: train_step.lower(  # type: ignore[attr-defined]
        trainable, others, features
    )
    return run


def compile_matrix_product() -> Callable[[Any, Any], None]:
    """`(a, b) -> None`, when a @ b has been computed."""
    product = jax.jit(jnp.matmul)

    def run(a: Any, b: Any) -> None:
        jax.block_until_ready(product(a, b))

    return run


def device_memory() -> tuple[int, int] | None:
    """Bytes of the first accelerator in use now and at most; None without one."""
    found = jax.devices()[0].memory_stats()
    return (found["bytes_in_use"], found["peak_bytes_in_use"]) if found else None


def reset_device_peak() -> None:
    """Nothing: JAX keeps one peak for the life of a process."""


def _weights(layer: Any) -> tuple[list[Any], list[Any]]:
    return (
        [weight.value for weight in layer.trainable_variables],
        [weight.value for weight in layer.non_trainable_variables],
    )
