"""What every cell of this package has in common.

A cell is one step of a recurrence over frames. `SpatialRNN` and
`HierarchicalSkipRNN` drive it; they call `zero_states`,
`get_dropout_masks` and the cell itself.
"""

import keras
from keras import ops

from cham_keras.layers.argument_validation import positive_integer, rate
from cham_keras.layers.equations import full_precision, lstm_update


class SpatialCell(keras.layers.Layer):
    """Base class of LSTM cells that take one frame of features at a time.

    A subclass creates `kernel`, `recurrent_kernel` and `bias` through
    `_add_lstm_weights`, says the shape of its states in `state_shape`, and
    defines `call(inputs, states, training=False, dropout_masks=None)`, which
    returns `(h, [h, c])`.

    Args:
        units: channels (or units) of the hidden state.
        activation: output non-linearity, φ of Eq. 6.
        recurrent_activation: non-linearity of the gates.
        candidate_activation: non-linearity of the candidate, Eq. 4.
        unit_forget_bias: whether the forget gate's bias starts at one.
        dropout: share of the inputs set to zero in training, one mask a sequence.
        recurrent_dropout: the same for the hidden state.
        seed: seed of both dropouts.
        initializers, regularizers, constraints: of `kernel`, `recurrent_kernel`, `bias`.
    """

    #: Cells with an `attention(features, h_previous)` method set this.
    has_attention = False

    def __init__(
        self,
        units,
        *,
        activation="tanh",
        recurrent_activation="sigmoid",
        candidate_activation="sigmoid",
        unit_forget_bias=False,
        dropout=0.0,
        recurrent_dropout=0.0,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        seed=None,
        **kwargs,
    ):
        # Casts by hand: the cell memory keeps float32 where inputs are in half precision.
        super().__init__(autocast=False, **kwargs)
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.candidate_activation = keras.activations.get(candidate_activation)
        self.unit_forget_bias = unit_forget_bias
        self.dropout = rate(dropout, "dropout")
        self.recurrent_dropout = rate(recurrent_dropout, "recurrent_dropout")
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.seed = seed
        # Without dropout there is no random state to save, restore or export.
        if dropout > 0 or recurrent_dropout > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)
        self._units = positive_integer(units, self._units_name)
        self._driven_by_spatial_rnn = False

    #: What the subclass calls its number of channels.
    _units_name = "filters"

    def state_shape(self, step_shape):
        """Shape of `h` and of `c`, for inputs of shape `(batch, height, width, channels)`."""
        raise NotImplementedError

    @property
    def state_size(self):
        """Channels of `[h, c]`; refuses a driver that would lose the map's shape."""
        if not self._driven_by_spatial_rnn:
            raise ValueError(self._needs_spatial_rnn())
        return [self._units, self._units]

    @property
    def output_size(self):
        """Refuses `keras.layers.RNN`, whose output shape has no height and width."""
        raise ValueError(self._needs_spatial_rnn())

    def _needs_spatial_rnn(self):
        name = type(self).__name__
        return (
            f"{name} works on maps of features, which keras.layers.RNN does not. "
            f"Wrap it in cham_keras.layers.SpatialRNN({name}(...)), "
            "which is a keras.layers.RNN for such cells."
        )

    def get_initial_state(self, batch_size=None):
        """Refuses `keras.layers.RNN`, which asks for states without height and width."""
        raise ValueError(self._needs_spatial_rnn())

    def zero_states(self, step_shape):
        """Zeros for `[h, c]`, for inputs of shape `(batch, height, width, channels)`."""
        shape = self.state_shape(step_shape)
        return [ops.zeros(shape, dtype=dtype) for dtype in self.state_dtypes]

    @property
    def state_dtypes(self):
        """Dtypes of `[h, c]`: c adds up over all steps, so it is float32 at least."""
        return [self.compute_dtype, full_precision(self.compute_dtype)]

    def cast_states(self, states):
        """`[h, c]` in their dtypes."""
        return [ops.cast(x, dtype) for x, dtype in zip(states, self.state_dtypes, strict=True)]

    def _computable(self, weight):
        """A weight in the dtype of computations."""
        return ops.cast(weight, self.compute_dtype)

    def get_dropout_masks(self, step_shape):
        """Draws one mask for the inputs and one for the hidden state of a whole sequence.

        Args:
            step_shape: `(batch, height, width, channels)` of one frame's features.

        Returns:
            `(input_mask, recurrent_mask)`; None for a rate of zero.
        """
        return (
            self._draw_mask(self.dropout, step_shape),
            self._draw_mask(self.recurrent_dropout, self.state_shape(step_shape)),
        )

    def _draw_mask(self, share, shape):
        if share == 0:
            return None
        ones = ops.ones(shape, dtype=self.compute_dtype)
        return keras.random.dropout(ones, share, seed=self.seed_generator)

    def _gates(self, z, c):
        """Eq. 1 to 6 from the sums inside the non-linearities: `(h, [h, c])`."""
        h, c = lstm_update(
            z,
            c,
            activation=self.activation,
            recurrent_activation=self.recurrent_activation,
            candidate_activation=self.candidate_activation,
        )
        return h, [h, c]

    def _drop_hidden(self, h, training, dropout_masks):
        """Applies the sequence's mask of the hidden state."""
        if training and dropout_masks is not None and dropout_masks[1] is not None:
            return h * dropout_masks[1]
        return h

    def _drop(self, inputs, h, training, dropout_masks):
        """Applies the sequence's dropout masks; a single step on its own draws them."""
        if not training or (self.dropout == 0 and self.recurrent_dropout == 0):
            return inputs, h
        if dropout_masks is None:
            dropout_masks = self.get_dropout_masks(ops.shape(inputs))
        input_mask, recurrent_mask = dropout_masks
        if input_mask is not None:
            inputs = inputs * input_mask
        if recurrent_mask is not None:
            h = h * recurrent_mask
        return inputs, h

    def _add_lstm_weights(self, kernel_shape, recurrent_kernel_shape):
        """Creates the weights of Eq. 1 to 4, the four gates side by side."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*kernel_shape, 4 * self._units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel",
            shape=(*recurrent_kernel_shape, 4 * self._units),
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = self.add_weight(
            name="bias",
            shape=(4 * self._units,),
            initializer=self._initial_bias if self.unit_forget_bias else self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )

    def _add_attention_kernel(self, name, shape):
        """Creates one of the three kernels of the attention."""
        # An initializer object gives the same numbers each time it is called;
        # a copy of it draws anew, unless the user has given it a seed.
        clone = getattr(self.attention_initializer, "clone", lambda: self.attention_initializer)
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=clone(),
            regularizer=self.attention_regularizer,
            constraint=self.attention_constraint,
        )

    def _initial_bias(self, shape, dtype=None):
        bias = self.bias_initializer(shape, dtype=dtype)
        i, f, g, o = ops.split(bias, 4)
        return ops.concatenate([i, ops.ones_like(f), g, o])

    def get_config(self):
        """The constructor's arguments."""
        config = {self._units_name: self._units}
        for name in ("activation", "recurrent_activation", "candidate_activation"):
            config[name] = keras.activations.serialize(getattr(self, name))
        for name in ("kernel", "recurrent", "bias"):
            for kind in ("initializer", "regularizer", "constraint"):
                module = getattr(keras, f"{kind}s")
                config[f"{name}_{kind}"] = module.serialize(getattr(self, f"{name}_{kind}"))
        config |= {
            "unit_forget_bias": self.unit_forget_bias,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }
        return {**super().get_config(), **config}
