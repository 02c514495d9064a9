"""Compiled calls under Keras's TensorFlow backend. Each call returns when its work is done."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cham_keras.benchmark.loss import mean_of_squares

ALWAYS_JIT = False


def use_devices_modestly() -> None:
    """Takes of a GPU's memory what is needed, and computes float32 as float32 there."""
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)
    tf.config.experimental.enable_tensor_float_32_execution(False)


def accelerators() -> list[str]:
    """Names of the GPUs."""
    devices = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    return [found.get("device_name", "GPU") for found in details]


def tensor(array: np.ndarray, dtype: str) -> Any:
    """Brings an array to the device."""
    return tf.cast(tf.convert_to_tensor(array), dtype)


def compile_inference(layer: Any, jit: bool) -> Callable[..., Any]:
    """`(features, **arguments) -> ` what the layer returns."""
    # TensorFlow takes many functions of one definition for one that is traced too often,
    # and says so; a partial has no definition of its own.
    inference = tf.function(functools.partial(_inference, layer), jit_compile=jit)

    def run(*args: Any, **kwargs: Any) -> Any:
        number, outputs = inference(*args, **kwargs)
        number.numpy()
        return outputs

    run.prepare = inference.get_concrete_function  # type: ignore[attr-defined]
    return run


def compile_train_step(layer: Any, jit: bool) -> Callable[..., Any]:
    """`features -> ` the gradients of the loss with respect to all weights."""
    train_step = tf.function(functools.partial(_train_step, layer), jit_compile=jit)

    def run(features: Any) -> Any:
        number, gradients = train_step(features)
        number.numpy()
        return gradients

    run.prepare = train_step.get_concrete_function  # type: ignore[attr-defined]
    return run


def _inference(layer: Any, *args: Any, **kwargs: Any) -> Any:
    outputs = layer(*args, **kwargs, training=False)
    return _one_number(tf.nest.flatten(outputs)), outputs


def _train_step(layer: Any, features: Any) -> Any:
    with tf.GradientTape() as tape:
        loss = mean_of_squares(layer(features, training=True))
    gradients = tape.gradient(loss, [weight.value for weight in layer.trainable_variables])
    # Given out, so that all of each gradient is computed.
    return loss + _one_number(gradients), gradients


def compile_matrix_product() -> Callable[[Any, Any], None]:
    """`(a, b) -> None`, when a @ b has been computed."""

    @tf.function
    def product(a: Any, b: Any) -> Any:
        result = tf.matmul(a, b)
        return _one_number([result]), result

    def run(a: Any, b: Any) -> None:
        product(a, b)[0].numpy()

    return run


def device_memory() -> tuple[int, int] | None:
    """Bytes of the first GPU in use now and at most; None without one."""
    if not tf.config.list_physical_devices("GPU"):
        return None
    found = tf.config.experimental.get_memory_info("GPU:0")
    return found["current"], found["peak"]


def reset_device_peak() -> None:
    """Begins a new peak of the first GPU."""
    tf.config.experimental.reset_memory_stats("GPU:0")


def _one_number(tensors: list[Any]) -> Any:
    """A number that is not known before all tensors are; to read it is to wait for them."""
    firsts = [tf.reshape(item, [-1])[0] for item in tensors]
    return tf.add_n([tf.cast(first, "float32") for first in firsts])
