"""When the second layer of CHAM updates, and what it holds in between.

Two answers to the same questions. `EverySkipSteps` is for a clip from its
start without a mask: fixed slices. `CountedSteps` counts valid steps from a
phase, clip by clip: gathers. Both are used by `HierarchicalSkipRNN` alone.
"""

from keras import ops


class EverySkipSteps:
    """Updates at the steps skip, 2 skip, … of every clip.

    Args:
        num_steps: length of the clips.
        skip: steps from one update to the next.
    """

    #: Every slot is an update, so the second layer needs no mask.
    is_update = None

    def __init__(self, num_steps, skip):
        self.num_steps = num_steps
        self.skip = skip

    def take_updates(self, x):
        """`(batch, time, ...)` at the updates: `(batch, time // skip, ...)`."""
        return x[:, self.skip - 1 :: self.skip]

    def hold(self, held):
        """Spreads `(batch, 1 + updates, ...)`, the first held from the start, over all steps."""
        return ops.repeat(held, self.skip, axis=1)[:, 1 : self.num_steps + 1]

    def phase_after(self, phase):
        """Steps since the last update, `(batch,)`."""
        return phase + self.num_steps % self.skip


class CountedSteps:
    """Updates at every skip-th valid step, counted from a phase.

    Args:
        shape: `(batch, time, ...)` of the sequences.
        skip: steps from one update to the next.
        phase: int32 `(batch,)`, steps since the last update before this clip.
        mask: bool `(batch, time)`, or None where every step is valid.
    """

    def __init__(self, shape, skip, phase, mask):
        batch, time = shape[:2]
        valid = ops.ones((batch, time), dtype="int32") if mask is None else ops.cast(mask, "int32")
        phase = ops.cast(phase, "int32")
        # Valid steps so far, and updates so far, at every step: (batch, time).
        count = ops.expand_dims(phase, 1) + ops.cumsum(valid, axis=1)
        self.updates_so_far = count // skip
        self.skip = skip
        self.count_after = phase + ops.sum(valid, axis=1)
        # The k-th update stands at the first step whose count reaches k skip.
        slots = ops.arange(1, (time + skip - 1) // skip + 1, dtype="int32")
        reached = ops.expand_dims(self.updates_so_far, 1) >= ops.reshape(slots, (1, -1, 1))
        total = ops.expand_dims(self.count_after // skip, 1)
        self.is_update = ops.expand_dims(slots, 0) <= total
        positions = ops.sum(ops.cast(ops.logical_not(reached), "int32"), axis=2)
        # Slots behind the last update repeat it; without any update, the last step.
        last = ops.max(ops.where(self.is_update, positions, -1), axis=1, keepdims=True)
        last = ops.where(last < 0, time - 1, last)
        self.positions = ops.where(self.is_update, positions, last)

    def take_updates(self, x):
        """`(batch, time, ...)` at the updates: `(batch, slots, ...)`."""
        return _take_steps(x, self.positions)

    def hold(self, held):
        """Spreads `(batch, 1 + slots, ...)`, the first held from the start, over all steps."""
        return _take_steps(held, self.updates_so_far)

    def phase_after(self, phase):
        """Steps since the last update, `(batch,)`."""
        return self.count_after % self.skip


def _take_steps(x, positions):
    """Rows of `(batch, time, ...)` at `(batch, n)` positions: `(batch, n, ...)`."""
    batch, time, *step = ops.shape(x)
    first_row = ops.expand_dims(ops.arange(batch, dtype="int32") * time, 1)
    rows = ops.reshape(x, (-1, *step))
    return ops.take(rows, first_row + positions, axis=0)
