"""Gradients of one function on each of Keras's backends, which have no common word for it."""

import keras


def value_and_gradients(function, variables, inputs):
    """A scalar and its gradients at variables and at inputs.

    Args:
        function: takes a dictionary of tensors, gives a scalar tensor and others.
        variables: Keras variables that the function reads.
        inputs: dictionary of arrays; gradients are taken at those of float32.

    Returns:
        what the function gives, and the gradients by name, zeros where nothing depends.
    """
    names = [f"gradient {index} {variable.name}" for index, variable in enumerate(variables)]
    floats = {name: value for name, value in inputs.items() if value.dtype == "float32"}
    names += [f"gradient of {name}" for name in floats]
    on_backend = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
    results, gradients = on_backend[keras.config.backend()](function, variables, inputs, floats)
    return results, dict(zip(names, gradients, strict=True))


def _on_tensorflow(function, variables, inputs, floats):
    import tensorflow as tf

    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    sources = [variable.value for variable in variables] + [tensors[name] for name in floats]
    with tf.GradientTape() as tape:
        tape.watch([tensors[name] for name in floats])
        results = function(tensors)
    zero = tf.UnconnectedGradients.ZERO
    return results, tape.gradient(results[0], sources, unconnected_gradients=zero)


def _on_jax(function, variables, inputs, floats):
    import jax

    def compute(values, float_inputs):
        with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
            return function({**jax.tree.map(jax.numpy.asarray, inputs), **float_inputs})

    # Compiled as a whole, as `fit` and `predict` do it on JAX.
    compiled = jax.jit(jax.value_and_grad(compute, argnums=(0, 1), has_aux=True))
    results, (of_values, of_floats) = compiled([variable.value for variable in variables], floats)
    return results, [*of_values, *(of_floats[name] for name in floats)]


def _on_torch(function, variables, inputs, floats):
    import torch

    tensors = {
        name: torch.tensor(value, requires_grad=name in floats) for name, value in inputs.items()
    }
    sources = [variable.value for variable in variables] + [tensors[name] for name in floats]
    results = function(tensors)
    gradients = torch.autograd.grad(results[0], sources, allow_unused=True, materialize_grads=True)
    return results, gradients
