"""Steps that a mask leaves out: they keep the states as they are."""

from keras import ops


def with_mask(inputs, valid=None):
    """The inputs of a loop, with the mask of the steps where there is one."""
    return inputs if valid is None else (inputs, valid)


def holding(step, valid=None):
    """A step that leaves the states as they are where the mask is False.

    Args:
        step: `(inputs, states) -> (outputs, states)` whose outputs are the first states.
        valid: the mask `(time, batch)`, or None where every step is valid.

    Returns:
        a step that takes the inputs as `with_mask` gives them.
    """
    if valid is None:
        return step

    def masked(inputs, states):
        inputs, valid_at_t = inputs
        outputs, new_states = step(inputs, states)
        held = [
            ops.where(broadcast_to_rank(valid_at_t, old), new, old)
            for new, old in zip(new_states, states, strict=True)
        ]
        return held[: len(outputs)], held

    return masked


def mask_of_steps(sequences, mask, lengths):
    """The mask that is given or follows from lengths: bool `(batch, time)` or None."""
    if lengths is None:
        return mask
    if mask is not None:
        raise ValueError("Only one of `mask` and `lengths` can be given. Received both.")
    steps = ops.arange(ops.shape(sequences)[1], dtype="int32")
    return ops.expand_dims(steps, 0) < ops.expand_dims(ops.cast(lengths, "int32"), 1)


def broadcast_to_rank(mask, x):
    """`(batch,)` or `(batch, time)` with ones behind, up to the rank of x."""
    return ops.reshape(mask, (*ops.shape(mask), *([1] * (len(x.shape) - len(mask.shape)))))
