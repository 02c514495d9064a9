"""Loops over time and their gradients, on each Keras backend.

The one place of the layers that knows backends. `keras.ops.scan` keeps every
state of every step and `keras.layers.RNN`'s own loop runs the step once more
outside the loop; both cost time and memory that a recurrence over maps of
features cannot spare. And no function of Keras gives the gradient of a function
in the middle of a computation, which a gradient through time written by hand needs.
"""

import keras
from keras import ops, tree


def scan_over_time(
    step,
    initial_states,
    inputs,
    outputs_like,
    *,
    reverse=False,
    by_autodiff=True,
    one_at_a_time=False,
):
    """Runs `step` over the leading dimension of `inputs`.

    Args:
        step: `(inputs at t, states) -> (outputs at t, states)`, both of fixed shapes.
        initial_states: list of tensors.
        inputs: a tensor `(time, ...)` or a nest of them.
        outputs_like: list of tensors with the shapes and dtypes of the outputs at one step.
        reverse: whether to run from the last step to the first; the outputs
            stand in the order of the inputs in both cases.
        by_autodiff: whether the backend must be able to differentiate the loop;
            without it TensorFlow copies nothing.
        one_at_a_time: whether a step's memory must be free before the next begins;
            without it TensorFlow may begin the next while one waits.

    Returns:
        `(outputs, states)`: the outputs at every step, each `(time, ...)`, and
        the states after the last.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        return _scan_tensorflow(
            step, initial_states, inputs, outputs_like, reverse, by_autodiff, one_at_a_time
        )
    if backend == "jax":
        return _scan_jax(step, initial_states, inputs, reverse)
    return _scan_eagerly(step, initial_states, inputs, outputs_like, reverse)


def _scan_tensorflow(
    step, initial_states, inputs, outputs_like, reverse, by_autodiff, one_at_a_time
):
    import tensorflow as tf

    flat = [tf.convert_to_tensor(sequence) for sequence in tree.flatten(inputs)]
    states = [tf.convert_to_tensor(state) for state in initial_states]
    num_steps = flat[0].shape[0]
    known = num_steps is not None and num_steps > 0
    if not known:
        num_steps = tf.shape(flat[0])[0]

    def elements(sequence):
        if not by_autodiff:
            return lambda t: sequence[t]  # no copy, but a gradient of quadratic cost
        array = tf.TensorArray(sequence.dtype, num_steps, element_shape=sequence.shape[1:])
        return array.unstack(sequence).read

    readers = [elements(sequence) for sequence in flat]
    num_slots = num_steps if known else tf.maximum(num_steps, 1)
    arrays = [
        tf.TensorArray(like.dtype, num_slots, element_shape=like.shape) for like in outputs_like
    ]
    if not known:
        # TensorFlow cannot stack no elements where the batch is unknown as well.
        arrays = [array.write(0, like) for array, like in zip(arrays, outputs_like, strict=True)]

    def body(count, arrays, states):
        t = num_steps - 1 - count if reverse else count
        at_t = tree.pack_sequence_as(inputs, [read(t) for read in readers])
        outputs, new_states = step(at_t, list(states))
        for new, old in zip(new_states, states, strict=True):
            new.set_shape(old.shape)
        arrays = [array.write(t, output) for array, output in zip(arrays, outputs, strict=True)]
        return count + 1, arrays, list(new_states)

    _, arrays, states = tf.while_loop(
        cond=lambda count, *_: count < num_steps,
        body=body,
        loop_vars=(tf.constant(0), arrays, states),
        maximum_iterations=num_steps,
        parallel_iterations=1 if one_at_a_time else 10,
    )
    stacked = [array.stack() for array in arrays]
    return [sequence if known else sequence[:num_steps] for sequence in stacked], list(states)


def _scan_jax(step, initial_states, inputs, reverse):
    import jax

    def body(states, at_t):
        outputs, new_states = step(at_t, states)
        return list(new_states), list(outputs)

    states, outputs = jax.lax.scan(body, list(initial_states), inputs, reverse=reverse)
    return outputs, states


def _scan_eagerly(step, initial_states, inputs, outputs_like, reverse):
    states = list(initial_states)
    num_steps = tree.flatten(inputs)[0].shape[0]
    if num_steps == 0:  # a clip of no steps
        return [ops.zeros((0, *like.shape), dtype=like.dtype) for like in outputs_like], states
    outputs = []
    for t in reversed(range(num_steps)) if reverse else range(num_steps):
        at_t = tree.map_structure(lambda sequence, t=t: sequence[t], inputs)
        outputs_at_t, states = step(at_t, states)
        outputs.append(outputs_at_t)
    if reverse:
        outputs.reverse()
    return [ops.stack(sequence) for sequence in zip(*outputs, strict=True)], states


def pull_back(function, inputs, output_gradients):
    """Gradients of a function's inputs from those of its outputs.

    Args:
        function: `(*inputs) -> list of tensors`.
        inputs: list of tensors.
        output_gradients: list of tensors, shaped as the outputs.

    Returns:
        a list of tensors, shaped as the inputs.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = function(*inputs)
        return tape.gradient(
            outputs, inputs, output_gradients, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
    if backend == "jax":
        import jax

        _, pull = jax.vjp(function, *inputs)
        return list(pull(list(output_gradients)))
    import torch

    with torch.enable_grad():
        inputs = [tensor.detach().requires_grad_() for tensor in inputs]
        outputs = function(*inputs)
    return list(torch.autograd.grad(outputs, inputs, output_gradients, materialize_grads=True))


def with_gradient(forward, backward, tensors):
    """Calls a function whose gradient is written by hand.

    Args:
        forward: `(*tensors) -> (outputs, residuals)`: a list of tensors, and a
            nest of tensors for `backward`.
        backward: `(tensors, outputs, residuals, output_gradients) -> gradients`, a list with
            one for each of `tensors`; None where there is none.
        tensors: all that `forward` may be differentiated by, and all other
            tensors that depend on them.

    Returns:
        the outputs.
    """
    return _WITH_GRADIENT[keras.config.backend()](forward, backward, tensors)


def _with_gradient_tensorflow(forward, backward, tensors):
    import tensorflow as tf

    @tf.custom_gradient
    def call(*tensors):
        outputs, residuals = forward(*tensors)
        return tuple(outputs), lambda *gradients: backward(tensors, outputs, residuals, gradients)

    return call(*tensors)


def _with_gradient_jax(forward, backward, tensors):
    import jax

    @jax.custom_vjp
    def call(*tensors):
        return tuple(forward(*tensors)[0])

    def call_forward(*tensors):
        outputs, residuals = forward(*tensors)
        return tuple(outputs), (tensors, outputs, residuals)

    def call_backward(kept, gradients):
        tensors = kept[0]
        found = backward(*kept, gradients)
        return tuple(
            ops.zeros_like(tensor) if gradient is None else gradient
            for tensor, gradient in zip(tensors, found, strict=True)
        )

    call.defvjp(call_forward, call_backward)
    return call(*tensors)


def _with_gradient_torch(forward, backward, tensors):
    import torch

    class Call(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            outputs, residuals = forward(*tensors)
            flat = tree.flatten(residuals)
            ctx.save_for_backward(*tensors, *outputs, *flat)
            ctx.residuals = tree.map_structure(lambda _: None, residuals)
            ctx.num_outputs = len(outputs)
            return tuple(outputs)

        @staticmethod
        def backward(ctx, *gradients):
            kept = list(ctx.saved_tensors)
            num_tensors = len(ctx.needs_input_grad)
            num_kept = num_tensors + ctx.num_outputs
            residuals = tree.pack_sequence_as(ctx.residuals, kept[num_kept:])
            return tuple(
                backward(kept[:num_tensors], kept[num_tensors:num_kept], residuals, gradients)
            )

    return Call.apply(*tensors)


def _without_gradient(forward, backward, tensors):
    return forward(*tensors)[0]


_WITH_GRADIENT = {
    "tensorflow": _with_gradient_tensorflow,
    "jax": _with_gradient_jax,
    "torch": _with_gradient_torch,
    "numpy": _without_gradient,
}
