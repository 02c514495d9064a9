"""The recurrent layer that drives one cell over the frames of a clip."""

import logging

import keras
from keras import ops

from cham_keras.layers.argument_validation import one_of, positive_integer
from cham_keras.layers.masked_steps import broadcast_to_rank, holding, mask_of_steps, with_mask
from cham_keras.layers.recurrence import scan_over_time
from cham_keras.layers.spatial_cell import SpatialCell

IMPLEMENTATIONS = ("auto", "step", "hoisted")

#: Two GiB: training with 30 clips of 16 maps of 7x7x2048 and 128 filters goes without chunks.
DEFAULT_MEMORY_BUDGET_BYTES = 2**31

logger = logging.getLogger(__name__)


@keras.saving.register_keras_serializable("cham_keras")
class SpatialRNN(keras.layers.RNN):
    """`keras.layers.RNN` for cells that take maps of features.

    Args:
        cell: a `ConvAttentionLSTMCell`, `ConvLSTMCell` or `SoftAttentionLSTMCell`.
        return_sequences: whether the outputs of all steps are returned or the last.
        return_state: whether the states after the last step are returned too.
        return_attention: whether the attention maps of all steps are returned too.
        go_backwards: whether the clip is run from its end; outputs and maps
            then stand in that order.
        zero_output_for_mask: whether the output of a masked step is zeros; the
            output of the step before stands there otherwise.
        implementation: `"hoisted"` computes all that does not depend on the states
            before the loop, for all steps at once, and the gradients of the
            kernels after it; `"step"` runs the cell as it stands; `"auto"` hoists
            where that is faster. Outputs and gradients are the same up to rounding.
        memory_budget_bytes: memory that hoisting may take. Where all steps need
            more, they are hoisted in chunks of time; one step always is. Training
            in chunks computes all but the last again in the backward pass.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, time, height, width, channels)`.
        initial_state: `[h, c]`; zeros by default.
        mask: bool, `(batch, time)`; a step that is False leaves the states as
            they are.
        lengths: int `(batch,)`, the number of valid steps of each clip, in
            place of a mask.
        training: whether dropout is applied, with one mask a sequence.

    Returns:
        the outputs, `(batch, time, ...)` or `(batch, ...)`, where `...` is
        `height, width, filters` for convolutional cells and `units` for the
        fully connected one. With `return_state` or `return_attention` a tuple:
        outputs, then `h` and `c`, then the maps `(batch, time, height, width)`.

    Raises:
        ValueError: the cell is none of this package's, or has no attention to
            return; or both a mask and lengths are given.

    Example:

    >>> import numpy as np
    >>> from cham_keras.layers import ConvAttentionLSTMCell, SpatialRNN
    >>> layer = SpatialRNN(ConvAttentionLSTMCell(4), return_state=True)
    >>> output, h, c = layer(np.zeros((1, 3, 7, 7, 2), "float32"))
    >>> tuple(output.shape), tuple(c.shape)
    ((1, 7, 7, 4), (1, 7, 7, 4))
    """

    def __init__(
        self,
        cell,
        return_sequences=False,
        return_state=False,
        return_attention=False,
        go_backwards=False,
        zero_output_for_mask=False,
        implementation="auto",
        memory_budget_bytes=DEFAULT_MEMORY_BUDGET_BYTES,
        **kwargs,
    ):
        if not isinstance(cell, SpatialCell):
            raise ValueError(
                "`cell` must be a cell of cham_keras.layers; keras.layers.RNN drives others. "
                f"Received: cell={cell!r}"
            )
        for name in ("stateful", "unroll"):
            if kwargs.pop(name, False):
                raise ValueError(
                    f"`{name}` is not supported. Pass states on with `return_state` and "
                    f"`initial_state`. Received: {name}=True"
                )
        if return_attention and not cell.has_attention:
            raise ValueError(
                "`return_attention` needs a cell with attention. "
                f"Received: cell={type(cell).__name__}"
            )
        cell._driven_by_spatial_rnn = True
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            zero_output_for_mask=zero_output_for_mask,
            autocast=False,  # would take the cell memory from float32 to half precision
            **kwargs,
        )
        self.return_attention = return_attention
        self.implementation = one_of(implementation, "implementation", IMPLEMENTATIONS)
        self.memory_budget_bytes = positive_integer(memory_budget_bytes, "memory_budget_bytes")
        #: What was chosen at the last call: "step" or "hoisted", and in what chunks.
        self.chosen_implementation = None
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def build(self, sequences_shape, initial_state_shape=None, lengths_shape=None):
        """Builds the cell for one step of the sequences."""
        if not self.cell.built:
            self.cell.build(_step_shape(sequences_shape))
        self.built = True

    def call(self, sequences, initial_state=None, mask=None, lengths=None, training=False):
        mask = mask_of_steps(sequences, mask, lengths)
        step_shape = _step_shape(ops.shape(sequences))
        if initial_state is None:
            initial_state = self.cell.zero_states(step_shape)
        initial_state = self.cell.cast_states(initial_state)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        hidden, states = self._recur(sequences, initial_state, mask, training)

        outputs = [hidden if self.return_sequences else states[0]]
        if self.zero_output_for_mask and mask is not None and self.return_sequences:
            outputs = [hidden * broadcast_to_rank(ops.cast(mask, hidden.dtype), hidden)]
        if self.return_state:
            outputs += states
        if self.return_attention:
            outputs.append(self._attention_of_clip(sequences, hidden, initial_state[0]))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _recur(self, sequences, initial_state, mask, training):
        """Runs the cell over all steps.

        Returns:
            the hidden state at every step, `(batch, time, ...)`, and the last `[h, c]`.
        """
        masks = self.cell.get_dropout_masks(_step_shape(ops.shape(sequences))) if training else None
        valid = None if mask is None else _swap_batch_and_time(ops.cast(mask, "bool"))
        inputs = _swap_batch_and_time(ops.cast(sequences, self.compute_dtype))
        chunk_steps = self._choose(ops.shape(inputs), training)
        if chunk_steps is None:

            def step(features, states):
                states = self.cell(features, states, training=training, dropout_masks=masks)[1]
                return states[:1], states

            (hidden,), states = scan_over_time(
                holding(step, valid), initial_state, with_mask(inputs, valid), initial_state[:1]
            )
        else:
            if masks is not None and masks[0] is not None:
                inputs = inputs * masks[0]
            hidden, states = self.cell.recur_hoisted(
                inputs, initial_state, valid, masks, training, chunk_steps, self._most_floats()
            )
        return _swap_batch_and_time(hidden), states

    def _choose(self, shape, training):
        """Most steps to hoist at once, as `implementation` and the budget say; None for none.

        Says what was chosen in `chosen_implementation`, and logs it when it changes.
        """
        time, batch, *map_shape = shape
        known = all(isinstance(n, int) for n in map_shape)
        pays = known and (
            self.implementation == "hoisted" or self.cell.hoisting_pays(tuple(map_shape), training)
        )
        if self.implementation == "step" or not pays:
            self._note_choice("step")
            return None
        floats_of_frame = self.cell.hoisted_floats(tuple(map_shape), training)
        # A quarter of the budget is kept for the gradients of the kernels.
        most_frames = max(1, 3 * self._most_floats() // floats_of_frame)
        if not isinstance(batch, int):
            self._note_choice(f"hoisted, at most {most_frames} frames at once")
            return ops.maximum(1, most_frames // ops.maximum(1, batch))
        chunk_steps = max(1, most_frames // max(1, batch))
        if isinstance(time, int) and time <= chunk_steps:
            self._note_choice("hoisted")
        else:
            self._note_choice(f"hoisted, at most {chunk_steps} steps at once")
        return chunk_steps

    def _most_floats(self):
        """How many numbers a quarter of the budget holds."""
        bytes_of_float = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
        return max(1, self.memory_budget_bytes // (4 * bytes_of_float[self.compute_dtype]))

    def _note_choice(self, choice):
        if self.chosen_implementation != choice:
            self.chosen_implementation = choice
            logger.info("%s of %s runs %s.", self.name, type(self.cell).__name__, choice)

    def _attention_of_clip(self, sequences, hidden, h_initial):
        """Eq. 8 for all steps at once: given every h, the maps need no recurrence."""
        h_previous = ops.concatenate([ops.expand_dims(h_initial, 1), hidden[:, :-1]], axis=1)
        batch, time, height, width, _ = ops.shape(sequences)
        # (batch, time, ...) -> (batch * time, ...)
        maps = self.cell.attention(
            ops.reshape(sequences, (-1, *ops.shape(sequences)[2:])),
            ops.reshape(h_previous, (-1, *ops.shape(h_previous)[2:])),
        )
        return ops.reshape(maps, (batch, time, height, width))

    def compute_output_shape(self, sequences_shape, initial_state_shape=None, lengths_shape=None):
        """Shapes of what `call` returns."""
        batch, time, height, width, _ = sequences_shape
        state_shape = self.cell.state_shape(_step_shape(sequences_shape))
        shapes = [(batch, time, *state_shape[1:]) if self.return_sequences else state_shape]
        if self.return_state:
            shapes += [state_shape, state_shape]
        if self.return_attention:
            shapes.append((batch, time, height, width))
        return shapes[0] if len(shapes) == 1 else tuple(shapes)

    def compute_output_spec(self, sequences, initial_state=None, **kwargs):
        """Shapes and dtypes of what `call` returns."""
        shapes = self.compute_output_shape(sequences.shape)
        if not isinstance(shapes[0], tuple):
            return keras.KerasTensor(shapes, self.compute_dtype)
        dtypes = [self.compute_dtype]
        dtypes += self.cell.state_dtypes if self.return_state else []
        dtypes += [self.compute_dtype] if self.return_attention else []
        return tuple(map(keras.KerasTensor, shapes, dtypes))

    def compute_mask(self, sequences, mask=None):
        """The mask goes on with the outputs of all steps, and with nothing else."""
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        masks = [mask if self.return_sequences else None]
        masks += [None] * (2 * self.return_state + self.return_attention)
        return masks[0] if len(masks) == 1 else masks

    def get_config(self):
        """The constructor's arguments."""
        config = super().get_config()
        config.pop("stateful")
        config.pop("unroll")
        return {
            **config,
            "return_attention": self.return_attention,
            "implementation": self.implementation,
            "memory_budget_bytes": self.memory_budget_bytes,
        }

    def step(self, features, states):
        """Runs the cell on one frame: what the loop does at each, without dropout or masks.

        Args:
            features: `(batch, height, width, channels)` of one frame.
            states: `[h, c]` of the frame before.

        Returns:
            `(h, [h, c], attention)`; the map is `(batch, height, width)`, or None for a
            cell without attention.
        """
        states, attention = self.cell.step(features, states)
        return states[0], states, attention


def _step_shape(sequences_shape):
    """Shape of one step: that of the sequences without time."""
    return (sequences_shape[0], *sequences_shape[2:])


def _swap_batch_and_time(x):
    return ops.transpose(x, (1, 0, *range(2, len(x.shape))))
