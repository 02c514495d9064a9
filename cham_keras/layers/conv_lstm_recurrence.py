"""A convolutional LSTM over all steps of a clip, with its gradient through time by hand.

What does not depend on the state is computed before the loop, and what the
state does not wait for after it: of the gradient, only that of the sums inside
the gates is found step by step, and the kernels' gradients are products over
all steps at once. Where one chunk of time after the other is all that the
memory holds, the backward pass computes a chunk's hoisted terms again, except
for the last chunk's, with which it begins.

Called by the cells' `recur_hoisted`; letters as in `equations` and `input_terms`.
"""

from keras import ops

from cham_keras.layers.input_terms import sum_over_frames
from cham_keras.layers.kernel_gradient import kernel_gradient
from cham_keras.layers.map_convolution import (
    as_matrix,
    as_transposed_matrix,
    convolve_back,
    convolve_by_product,
)
from cham_keras.layers.recurrence import pull_back, scan_over_time, with_gradient
from cham_keras.layers.time_chunks import TimeChunks


class ConvLSTMRecurrence:
    """Runs one batch of clips; see `run`.

    Args:
        make_input_term: `(most_floats, weights) -> PlainInput or AttendedInput`.
        plan: `MapPlan` of the map and the recurrent kernel.
        gates: `(z, c) -> [h, c]`, Eq. 1 to 6.
        chunk_steps: most steps whose hoisted terms are held at once.
        most_floats: of `kernel_gradient`.
        keep: whether the forward pass keeps what the backward pass needs;
            without it the backward pass runs it once more.
    """

    def __init__(self, make_input_term, plan, gates, chunk_steps, most_floats, keep):
        self.make_input_term = make_input_term
        self.plan = plan
        self.gates = gates
        self.chunk_steps = chunk_steps
        self.most_floats = most_floats
        self.keep = keep

    def run(self, features, states, lstm_weights, input_weights, valid=None, recurrent_mask=None):
        """The hidden state at every step and the states after the last.

        Args:
            features: `(time, batch, positions, channels)`.
            states: `[h, c]`, each `(batch, positions, filters)`.
            lstm_weights: `[recurrent_kernel, bias]`.
            input_weights: the weights of the input's term.
            valid: bool `(time, batch)`; a step that is False leaves the states as they are.
            recurrent_mask: `(batch, positions, filters)`, dropout of the hidden state.

        Returns:
            `(hidden, [h, c])`, hidden `(time, batch, positions, filters)`.
        """
        constants = [
            None if x is None else ops.cast(x, features.dtype) for x in (valid, recurrent_mask)
        ]
        tensors = [features, *states, *lstm_weights, *input_weights]
        given = [x for x in constants if x is not None]

        def split(tensors):
            """The arguments of `_forward` by name; constants come last."""
            rest = list(tensors[len(tensors) - len(given) :])
            valid, mask = (None if x is None else rest.pop(0) for x in constants)
            weights = tensors[3 : len(tensors) - len(given)]
            return _Arguments(tensors[0], list(tensors[1:3]), weights, valid, mask)

        def forward(*tensors):
            return self._forward(split(tensors), self.keep)

        def backward(tensors, outputs, residuals, gradients):
            arguments = split(tensors)
            if not self.keep:
                outputs, residuals = self._forward(arguments, keep=True)
            found = self._backward(arguments, outputs, residuals, gradients)
            return [*found, *[None] * len(given)]

        hidden, h, c = with_gradient(forward, backward, [*tensors, *given])
        return hidden, [h, c]

    def _forward(self, arguments, keep):
        chunks = TimeChunks(ops.shape(arguments.features)[0], self.chunk_steps)
        weights = self._weights(arguments)
        h, c = states = arguments.states
        likes = [h, c, ops.concatenate([h] * 4, axis=-1)] if keep else [h]

        def run_chunk(inputs, states):
            hoisted = weights.term.hoist(_flat(inputs[0]))
            hoisted = [_unflat(x, inputs[0]) for x in hoisted]
            outputs, states = self._run_chunk(hoisted, inputs[1:], states, arguments, weights, keep)
            return hoisted, outputs, states

        inputs = arguments.inputs()
        before: list = []
        if not chunks.is_one:
            before, states = chunks.scan(
                lambda inputs, states: run_chunk(inputs, states)[1:],
                states,
                [chunks.before_last(x) for x in inputs],
                likes,
                by_autodiff=False,
            )
        hoisted, outputs, states = run_chunk([chunks.last(x) for x in inputs], states)
        if not chunks.is_one:
            outputs = [chunks.join(*both) for both in zip(before, outputs, strict=True)]
        hidden, *kept = outputs
        return [hidden, *states], (kept + hoisted if keep else [])

    def _run_chunk(self, hoisted, valid, states, arguments, weights, keep):
        def step(at_t, states):
            hoisted, valid = at_t
            h, c = states
            h_in = h if arguments.mask is None else h * arguments.mask
            term, _ = weights.term.of_step(hoisted, h_in)
            z = term + convolve_by_product(h_in, weights.matrix, self.plan) + weights.bias
            new = self.gates(z, c)
            if valid:
                new = [_where(valid[0], x, old) for x, old in zip(new, states, strict=True)]
            return ([*new, z] if keep else new[:1]), new

        h = states[0]
        likes = [*states, ops.concatenate([h] * 4, axis=-1)] if keep else [h]
        return scan_over_time(step, states, (hoisted, valid), likes, by_autodiff=False)

    def _backward(self, arguments, outputs, residuals, gradients):
        hidden = outputs[0]
        cells, z, *last_hoisted = residuals
        d_hidden, dh, dc = gradients
        chunks = TimeChunks(ops.shape(arguments.features)[0], self.chunk_steps)
        weights = self._weights(arguments)
        h0, c0 = arguments.states
        inputs = [
            *arguments.inputs(),
            _step_before(h0, hidden),
            _step_before(c0, cells),
            z,
            d_hidden,
        ]
        last = [chunks.last(x) for x in inputs]
        dz, kept, states, d_weights = self._chunk_back(
            last_hoisted, last, [dh, dc], arguments, weights
        )
        for_features = [dz, *kept]
        if not chunks.is_one:

            def run_chunk(inputs, states):
                hoisted = [_unflat(x, inputs[0]) for x in weights.term.hoist(_flat(inputs[0]))]
                dz, kept, new, found = self._chunk_back(
                    hoisted, inputs, states[:2], arguments, weights
                )
                sums = [a + b for a, b in zip(states[2:], found, strict=True)]
                return [dz, *kept], [*new, *sums]

            before, states = chunks.scan(
                run_chunk,
                [*states, *d_weights],
                [chunks.before_last(x) for x in inputs],
                [x[0] for x in for_features],
                reverse=True,
                by_autodiff=False,
            )
            states, d_weights = states[:2], states[2:]
            for_features = [chunks.join(*both) for both in zip(before, for_features, strict=True)]
        # Over all steps at once and outside the loops, so that a graph in which
        # nobody asks for it leaves it out.
        dz, *kept = [_flat(x) for x in for_features]
        d_features = ops.reshape(
            weights.term.feature_gradient(dz, kept), ops.shape(arguments.features)
        )
        return [d_features, *states, *d_weights]

    def _chunk_back(self, hoisted, inputs, states, arguments, weights):
        features, *valid, h_before, c_before, z, d_hidden = inputs
        h_in = h_before if arguments.mask is None else h_before * arguments.mask
        prepared = weights.term.prepare_gradient(hoisted, h_in)

        def step(at_t, states):
            prepared, valid, z, c_before, d_hidden = at_t
            dh, dc = states
            dh = dh + d_hidden
            new = [_where(valid[0], x, 0) for x in (dh, dc)] if valid else [dh, dc]
            dz, dc_before = pull_back(self.gates, [z, c_before], new)
            dh_before, records = weights.term.step_back(prepared, dz)
            dh_before = dh_before + convolve_back(dz, weights.transposed_matrix, self.plan)
            if arguments.mask is not None:
                dh_before = dh_before * arguments.mask
            if valid:  # an invalid step hands its states on
                dh_before = dh_before + _where(valid[0], 0, dh)
                dc_before = dc_before + _where(valid[0], 0, dc)
            return [dz, *records], [dh_before, dc_before]

        likes = [
            ops.concatenate([arguments.states[0]] * 4, axis=-1),
            *weights.term.records_like(arguments.states[0]),
        ]
        (dz, *records), states = scan_over_time(
            step,
            states,
            (prepared, valid, z, c_before, d_hidden),
            likes,
            reverse=True,
            by_autodiff=False,
        )
        flat_dz, flat_h = _flat(dz), _flat(h_in)
        d_weights = [
            kernel_gradient(flat_h, flat_dz, self.plan, self.most_floats),
            sum_over_frames(flat_dz),
            *weights.term.weight_gradients(
                _flat(features),
                flat_h,
                [_flat(x) for x in prepared],
                flat_dz,
                [_flat(x) for x in records],
            ),
        ]
        return dz, weights.term.kept_for_features(prepared, records), states, d_weights

    def _weights(self, arguments):
        recurrent_kernel, bias, *input_weights = arguments.weights
        return _Weights(
            recurrent_kernel, bias, self.make_input_term(self.most_floats, input_weights)
        )


class _Arguments:
    """What a run is given."""

    def __init__(self, features, states, weights, valid, mask):
        self.features = features
        self.states = states
        self.weights = weights
        self.valid = valid
        self.mask = mask

    def inputs(self):
        """What has a time dimension."""
        return [self.features] if self.valid is None else [self.features, self.valid]


class _Weights:
    """The weights in the forms that the loops multiply with, made once."""

    def __init__(self, recurrent_kernel, bias, term):
        self.matrix = as_matrix(recurrent_kernel)
        self.transposed_matrix = as_transposed_matrix(recurrent_kernel)
        self.bias = bias
        self.term = term


def _flat(x):
    """`(time, batch, ...)` -> `(frames, ...)`."""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))


def _unflat(x, like):
    """`(frames, ...)` -> `(time, batch, ...)`, as in `like`."""
    return ops.reshape(x, (*ops.shape(like)[:2], *ops.shape(x)[1:]))


def _step_before(initial, sequence):
    """The state before each step, from the first and those after each: `(time, ...)`."""
    return ops.concatenate([ops.expand_dims(initial, 0), sequence])[:-1]


def _where(valid, new, old):
    """By clip: `(batch,)` floats of 0 and 1 choose between `(batch, positions, filters)`."""
    chosen = ops.expand_dims(ops.cast(valid, "bool"), (-2, -1))
    return ops.where(chosen, new, old)
