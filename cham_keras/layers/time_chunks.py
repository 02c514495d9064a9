"""Time in as few chunks as may be, about equal, with what is left over at the end."""

from keras import ops

from cham_keras.layers.recurrence import scan_over_time


class TimeChunks:
    """Splits sequences into chunks of some steps; the last takes what is left, one step or more.

    Numbers may be ints or, where a graph does not know them, tensors.

    Args:
        num_steps: steps of the sequences.
        most_steps: most steps of a chunk.
    """

    def __init__(self, num_steps, most_steps):
        known = isinstance(num_steps, int) and isinstance(most_steps, int)
        most = max if known else ops.maximum
        num_chunks = most(1, -(-num_steps // most(1, most_steps)))
        self.most_steps = most(1, -(-num_steps // num_chunks))
        self.num_before_last = most(0, (num_steps - 1) // self.most_steps)

    @property
    def is_one(self):
        """Whether all steps are known to fit into one chunk."""
        return isinstance(self.num_before_last, int) and self.num_before_last == 0

    def before_last(self, x):
        """`(time, ...)` -> `(chunks before the last, steps of a chunk, ...)`."""
        chunks = x[: self.num_before_last * self.most_steps]
        return ops.reshape(chunks, (self.num_before_last, self.most_steps, *ops.shape(x)[1:]))

    def last(self, x):
        """`(time, ...)` -> `(steps of the last chunk, ...)`."""
        return x[self.num_before_last * self.most_steps :]

    def join(self, before_last, last):
        """The inverse of `before_last` and `last`."""
        steps = ops.reshape(
            before_last, (self.num_before_last * self.most_steps, *ops.shape(last)[1:])
        )
        return ops.concatenate([steps, last])

    def scan(self, run, states, inputs, outputs_like, *, reverse=False, by_autodiff=True):
        """Runs `run` over the chunks before the last, as `scan_over_time` runs a step.

        Args:
            run: `(inputs of the chunk, states) -> (outputs of the chunk, states)`.
            states: list of tensors.
            inputs: list of tensors, from `before_last`.
            outputs_like: list of tensors with the shapes of one step's outputs.
            reverse: as for `scan_over_time`.
            by_autodiff: as for `scan_over_time`.

        Returns:
            the outputs, from which `join` makes sequences, and the states.
        """
        chunks_like = [
            ops.zeros((self.most_steps, *ops.shape(like)), dtype=like.dtype)
            for like in outputs_like
        ]
        return scan_over_time(
            run,
            states,
            inputs,
            chunks_like,
            reverse=reverse,
            by_autodiff=by_autodiff,
            one_at_a_time=True,
        )
