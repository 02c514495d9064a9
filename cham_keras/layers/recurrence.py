"""The loop over time, on each Keras backend.

The one place of the layers that knows backends: `keras.ops.scan` keeps every
state of every step and `keras.layers.RNN`'s own loop runs the step once more
outside the loop; both cost time and memory that a recurrence over maps of
features cannot spare.
"""

import keras
from keras import ops, tree


def scan_over_time(step, initial_states, inputs):
    """Runs `step` over the leading dimension of `inputs`.

    Args:
        step: `(inputs at t, states) -> states`, all states tensors of fixed
            shape; the first state is what the step gives out.
        initial_states: list of tensors.
        inputs: a tensor `(time, ...)` or a nest of them.

    Returns:
        `(outputs, states)`: the first state at every step, `(time, ...)`, and
        all states after the last.
    """
    return _SCANS[keras.config.backend()](step, initial_states, inputs)


def _scan_tensorflow(step, initial_states, inputs):
    import tensorflow as tf

    flat = [tf.convert_to_tensor(sequence) for sequence in tree.flatten(inputs)]
    states = [tf.convert_to_tensor(state) for state in initial_states]
    num_steps = flat[0].shape[0]
    known = num_steps is not None and num_steps > 0
    if not known:
        num_steps = tf.shape(flat[0])[0]
    sequences = [
        tf.TensorArray(sequence.dtype, num_steps, element_shape=sequence.shape[1:]).unstack(
            sequence
        )
        for sequence in flat
    ]
    num_slots = num_steps if known else tf.maximum(num_steps, 1)
    outputs = tf.TensorArray(states[0].dtype, num_slots, element_shape=states[0].shape)
    if not known:
        # TensorFlow cannot stack no elements where the batch is unknown as well.
        outputs = outputs.write(0, states[0])

    def body(t, outputs, *states):
        at_t = tree.pack_sequence_as(inputs, [sequence.read(t) for sequence in sequences])
        new_states = step(at_t, list(states))
        for new, old in zip(new_states, states, strict=True):
            new.set_shape(old.shape)
        return (t + 1, outputs.write(t, new_states[0]), *new_states)

    _, outputs, *states = tf.while_loop(
        cond=lambda t, *_: t < num_steps,
        body=body,
        loop_vars=(tf.constant(0), outputs, *states),
        maximum_iterations=num_steps,
    )
    stacked = outputs.stack()
    return stacked if known else stacked[:num_steps], list(states)


def _scan_jax(step, initial_states, inputs):
    import jax

    def body(states, at_t):
        new_states = step(at_t, states)
        return new_states, new_states[0]

    states, outputs = jax.lax.scan(body, list(initial_states), inputs)
    return outputs, states


def _scan_eagerly(step, initial_states, inputs):
    states = list(initial_states)
    outputs = []
    for t in range(tree.flatten(inputs)[0].shape[0]):
        states = step(tree.map_structure(lambda sequence, t=t: sequence[t], inputs), states)
        outputs.append(states[0])
    if not outputs:  # a clip of no steps
        return ops.zeros((0, *states[0].shape), dtype=states[0].dtype), states
    return ops.stack(outputs), states


_SCANS = {
    "tensorflow": _scan_tensorflow,
    "jax": _scan_jax,
    "torch": _scan_eagerly,
    "numpy": _scan_eagerly,
}
