"""The two layers of CHAM: every frame below, every second frame above."""

import keras
from keras import ops

from cham_keras.layers.argument_validation import one_of, positive_integer
from cham_keras.layers.masked_steps import mask_of_steps
from cham_keras.layers.skip_schedule import CountedSteps, EverySkipSteps
from cham_keras.layers.spatial_cell import SpatialCell
from cham_keras.layers.spatial_rnn import DEFAULT_MEMORY_BUDGET_BYTES, SpatialRNN


@keras.saving.register_keras_serializable("cham_keras")
class HierarchicalSkipRNN(keras.layers.Layer):
    """Two recurrent layers, of which the second updates every `skip` steps (paper, 2.2, Fig. 2).

    The first layer runs over every frame. The second takes the first's hidden
    state at the steps skip, 2 skip, 3 skip, … (counted from 1) and holds its
    own output in between; before its first update it holds zeros. What comes
    out at step t is the first layer's h_t and the second's held h, one behind
    the other in the channels.

    Masked steps are not counted: a clip gives the same outputs however much
    padding stands before, between or behind its frames.

    Args:
        cells: the two cells, each of this package's convolutional cells; the
            first usually a `ConvAttentionLSTMCell`, the second a `ConvLSTMCell`.
        skip: the second layer updates every `skip` steps; 1 updates at every step.
        emit: `"all"` gives an output at every step, `"updates"` one at every
            update of the second layer (time becomes time // skip).
        return_sequences: whether the outputs of all steps are returned or the last.
        return_state: whether the states after the last step are returned too.
        return_attention: whether the first cell's attention maps of all steps
            are returned too, whatever `emit` says.
        implementation: as for `SpatialRNN`, in both layers.
        memory_budget_bytes: as for `SpatialRNN`, for each layer.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, time, height, width, channels)`.
        initial_state: `[h1, c1, h2, c2, phase]` as `return_state` gives them;
            `phase`, int32 `(batch,)`, is the number of steps since the last
            update of the second layer. `[h1, c1, h2, c2]` are the states at a
            clip's start, where the phase is zero.
        mask: bool, `(batch, time)`; a step that is False leaves all states as they are.
        lengths: int `(batch,)`, the number of valid steps of each clip, in place of a mask.
        training: whether dropout is applied, with one mask a sequence.

    Returns:
        the outputs, `(batch, time, height, width, filters 1 + filters 2)`, or
        without time. With `return_state` or `return_attention` a tuple: outputs,
        then `h1, c1, h2, c2, phase`, then the maps `(batch, time, height, width)`.

    Raises:
        ValueError: an argument is out of range, or both a mask and lengths are given.

    Example:

    >>> import numpy as np
    >>> from cham_keras.layers import ConvAttentionLSTMCell, ConvLSTMCell, HierarchicalSkipRNN
    >>> layer = HierarchicalSkipRNN([ConvAttentionLSTMCell(4), ConvLSTMCell(6)], skip=2)
    >>> tuple(layer(np.zeros((1, 5, 7, 7, 3), "float32")).shape)
    (1, 7, 7, 10)
    """

    def __init__(
        self,
        cells,
        skip=2,
        emit="all",
        return_sequences=False,
        return_state=False,
        return_attention=False,
        implementation="auto",
        memory_budget_bytes=DEFAULT_MEMORY_BUDGET_BYTES,
        **kwargs,
    ):
        # The cell memories in `initial_state` keep float32 where inputs are in half precision.
        super().__init__(autocast=False, **kwargs)
        if (
            not isinstance(cells, list | tuple)
            or len(cells) != 2
            or not all(isinstance(cell, SpatialCell) for cell in cells)
        ):
            raise ValueError(
                "`cells` must be a list of two cells of cham_keras.layers. "
                f"Received: cells={cells!r}"
            )
        self.cells = list(cells)
        self.skip = positive_integer(skip, "skip")
        self.emit = one_of(emit, "emit", ("all", "updates"))
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.return_attention = return_attention
        self.implementation = implementation
        self.memory_budget_bytes = memory_budget_bytes
        how = {"implementation": implementation, "memory_budget_bytes": memory_budget_bytes}
        self.first = SpatialRNN(
            cells[0],
            return_sequences=True,
            return_state=True,
            return_attention=return_attention,
            dtype=self.dtype_policy,
            name="first",
            **how,
        )
        self.second = SpatialRNN(
            cells[1],
            return_sequences=True,
            return_state=True,
            dtype=self.dtype_policy,
            name="second",
            **how,
        )
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def build(self, sequences_shape, initial_state_shape=None, lengths_shape=None):
        """Builds both layers."""
        self.first.build(sequences_shape)
        self.second.build(self._first_outputs_shape(sequences_shape))
        self.built = True

    def call(self, sequences, initial_state=None, mask=None, lengths=None, training=False):
        sequences = ops.cast(sequences, self.compute_dtype)
        mask = mask_of_steps(sequences, mask, lengths)
        from_the_start = _is_start_of_clip(initial_state)
        h1, c1, h2, c2, phase = self._start(sequences, initial_state)
        below, *below_rest = self.first(
            sequences, initial_state=[h1, c1], mask=mask, training=training
        )
        h2 = ops.cast(h2, below.dtype)
        schedule: EverySkipSteps | CountedSteps
        if from_the_start and mask is None:
            schedule = EverySkipSteps(ops.shape(below)[1], self.skip)
        else:
            schedule = CountedSteps(ops.shape(below), self.skip, phase, mask)

        at_updates = schedule.take_updates(below)
        updates, new_h2, new_c2 = self.second(
            at_updates, initial_state=[h2, c2], mask=schedule.is_update, training=training
        )
        if self.emit == "updates":
            outputs = ops.concatenate([at_updates, updates], axis=-1)
        else:
            # Before its first update in this call the second layer holds h2.
            held = ops.concatenate([ops.expand_dims(h2, 1), updates], axis=1)
            outputs = ops.concatenate([below, schedule.hold(held)], axis=-1)

        results = [outputs if self.return_sequences else outputs[:, -1]]
        if self.return_state:
            results += [*below_rest[:2], new_h2, new_c2, schedule.phase_after(phase)]
        if self.return_attention:
            results.append(below_rest[2])
        return results[0] if len(results) == 1 else tuple(results)

    def _start(self, sequences, initial_state):
        """`[h1, c1, h2, c2, phase]` with zeros for what is not given."""
        if initial_state is not None and len(initial_state) == 5:
            return initial_state
        shape = ops.shape(sequences)
        phase = ops.zeros((shape[0],), dtype="int32")
        if initial_state is not None:
            return [*initial_state, phase]
        batch, _, *step = self._first_outputs_shape(shape)
        return [
            *self.cells[0].zero_states((shape[0], *shape[2:])),
            *self.cells[1].zero_states((batch, *step)),
            phase,
        ]

    def _first_outputs_shape(self, sequences_shape):
        """`(batch, time, height, width, filters of the first cell)`."""
        batch, time, *step = sequences_shape
        return (batch, time, *self.cells[0].state_shape((batch, *step))[1:])

    def compute_output_shape(self, sequences_shape, initial_state_shape=None, lengths_shape=None):
        """Shapes of what `call` returns."""
        batch, time, height, width, _ = sequences_shape
        first = self.cells[0].state_shape((batch, *sequences_shape[2:]))
        second = self.cells[1].state_shape(first)
        step = (height, width, first[-1] + second[-1])
        if self.emit == "updates" and time is not None:
            # From a phase that is not known here one update more may come.
            more = 0 if _is_start_of_clip(initial_state_shape) else self.skip - 1
            time = (time + more) // self.skip
        shapes: list[tuple] = [(batch, time, *step) if self.return_sequences else (batch, *step)]
        if self.return_state:
            shapes += [first, first, second, second, (batch,)]
        if self.return_attention:
            shapes.append((batch, *sequences_shape[1:-1]))
        return shapes[0] if len(shapes) == 1 else tuple(shapes)

    def compute_output_spec(self, sequences, initial_state=None, **kwargs):
        """Shapes and dtypes of what `call` returns."""
        state_shapes = None if initial_state is None else [state.shape for state in initial_state]
        shapes = self.compute_output_shape(sequences.shape, state_shapes)
        if not isinstance(shapes[0], tuple):
            return keras.KerasTensor(shapes, self.compute_dtype)
        dtypes = [self.compute_dtype]
        if self.return_state:
            dtypes += [*self.cells[0].state_dtypes, *self.cells[1].state_dtypes, "int32"]
        if self.return_attention:
            dtypes.append(self.compute_dtype)
        return tuple(map(keras.KerasTensor, shapes, dtypes))

    def compute_mask(self, sequences, mask=None):
        """The mask of the outputs: that of the steps, or of the updates."""
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        if mask is not None and self.emit == "updates":
            phase = ops.zeros((ops.shape(mask)[0],), dtype="int32")
            mask = CountedSteps(ops.shape(mask), self.skip, phase, mask).is_update
        masks = [mask if self.return_sequences else None]
        masks += [None] * (5 * self.return_state + self.return_attention)
        return masks[0] if len(masks) == 1 else masks

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "cells": [keras.saving.serialize_keras_object(cell) for cell in self.cells],
            "skip": self.skip,
            "emit": self.emit,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "return_attention": self.return_attention,
            "implementation": self.implementation,
            "memory_budget_bytes": self.memory_budget_bytes,
        }

    @classmethod
    def from_config(cls, config):
        """Builds the layer, its cells included, from `get_config`."""
        cells = [keras.saving.deserialize_keras_object(cell) for cell in config["cells"]]
        return cls(**{**config, "cells": cells})

    def step(self, features, states):
        """Runs both layers on one frame, without dropout or masks.

        The second cell runs only where a clip of the batch comes to its update.

        Args:
            features: `(batch, height, width, channels)` of one frame.
            states: `[h1, c1, h2, c2, phase]` of the frame before.

        Returns:
            `(outputs, [h1, c1, h2, c2, phase], attention)`: the outputs `(batch, height,
            width, filters 1 + filters 2)`, whatever `emit` says, and the first cell's map
            `(batch, height, width)`, or None for a cell without attention.
        """
        h1, c1, h2, c2, phase = states
        h1, below_states, attention = self.first.step(features, [h1, c1])
        h2 = ops.cast(h2, h1.dtype)
        # A clip of one step, so that the schedule of clips is the only one.
        schedule = CountedSteps((ops.shape(features)[0], 1), self.skip, phase, mask=None)
        is_update = ops.reshape(schedule.is_update, (-1, 1, 1, 1))

        def update():
            _, new_states, _ = self.second.step(h1, [h2, c2])
            return [
                ops.where(is_update, ops.cast(new, old.dtype), old)
                for new, old in zip(new_states, (h2, c2), strict=True)
            ]

        h2, c2 = ops.cond(ops.any(is_update), update, lambda: [h2, c2])
        outputs = ops.concatenate([h1, h2], axis=-1)
        return outputs, [*below_states, h2, c2, schedule.phase_after(phase)], attention


def _is_start_of_clip(initial_state):
    """Whether states, or their shapes, are those at a clip's start: none or without a phase."""
    return initial_state is None or len(initial_state) == 4
