"""One step of a model's recurrent layer, as a layer of its own.

Comes in: the features of one frame and the states of the frame before. Goes out:
what the recurrent layer gives at this frame, its attention map and the new
states. `streaming` builds its models around it.
"""

import keras
import numpy as np
from keras import ops

from cham_keras.layers import HierarchicalSkipRNN, SpatialRNN

#: Name of the step's layer in every streaming model.
STEP_LAYER_NAME = "recurrence_step"

#: The states of the two recurrent layers, in the order in which these take and give them.
STATES_OF_ONE_LAYER = ("h", "c")
STATES_OF_TWO_LAYERS = ("h1", "c1", "h2", "c2", "phase")


@keras.saving.register_keras_serializable("cham_keras")
class RecurrentStep(keras.layers.Wrapper):
    """Runs `step` of a recurrent layer, whose weights it shares.

    Args:
        layer: a `SpatialRNN`, or a `HierarchicalSkipRNN`.
        starts_from_zeros: whether the model that the layer stands in starts from
            zero states; `start_states` asks for it.
        learned_start: the `LearnedState` layers that it starts from, by the states'
            names, or None; carried along for `start_states`.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        features: `(batch, height, width, channels)` of one frame.
        states: dictionary of the states by name.
        training: without effect: nothing is dropped in a stream.

    Returns:
        a dictionary: `outputs` `(batch, ...)` and, of a layer with attention,
        `attention` `(batch, height, width)`, both of the layer's dtype, and the new
        states under their names.
    """

    def __init__(self, layer, starts_from_zeros=True, learned_start=None, **kwargs):
        # Keras would cast the memory c to half precision, where the layer keeps it in float32.
        super().__init__(layer, autocast=False, **kwargs)
        self.starts_from_zeros = starts_from_zeros
        self.learned_start = learned_start
        if isinstance(layer, HierarchicalSkipRNN):
            self.state_names: tuple[str, ...] = STATES_OF_TWO_LAYERS
        elif isinstance(layer, SpatialRNN) and not layer.go_backwards:
            self.state_names = STATES_OF_ONE_LAYER
        else:
            raise ValueError(
                "`layer` must be a HierarchicalSkipRNN, or a SpatialRNN that does not go "
                f"backwards. Received: layer={layer!r}"
            )

    @property
    def state_dtypes(self):
        """Dtypes of the states by name: float32 holds those of half precision exactly."""
        floats = keras.backend.result_type(self.layer.compute_dtype, "float32")
        return {name: "int32" if name == "phase" else floats for name in self.state_names}

    def state_shapes(self, features_shape):
        """Shapes of the states by name, for features `(batch, height, width, channels)`."""
        if self.state_names == STATES_OF_ONE_LAYER:
            shapes = 2 * [self.layer.cell.state_shape(features_shape)]
        else:
            first = self.layer.cells[0].state_shape(features_shape)
            second = self.layer.cells[1].state_shape(first)
            shapes = [first, first, second, second, (features_shape[0],)]
        return dict(zip(self.state_names, shapes, strict=True))

    def build(self, features_shape, states_shape=None):
        """Builds the recurrent layer, where it is not yet."""
        if not self.layer.built:
            self.layer.build((features_shape[0], 1, *features_shape[1:]))
        for start in (self.learned_start or {}).values():
            if not start.built:
                start.build(features_shape)
        self.built = True

    def call(self, features, states, training=False):
        states = [states[name] for name in self.state_names]
        outputs, states, attention = self.layer.step(features, states)
        results = dict(zip(self.state_names, states, strict=True))
        results = {name: ops.cast(results[name], self.state_dtypes[name]) for name in results}
        if attention is not None:
            results["attention"] = attention
        return {"outputs": outputs, **results}

    def first_states(self, features_shape):
        """The states before the first frame, for features `(batch, height, width, channels)`.

        Returns:
            a dictionary of NumPy arrays: the trained states, and zeros for the others.
        """
        learned = self.learned_start or {}
        states = {}
        for name, shape in self.state_shapes(features_shape).items():
            start = ops.convert_to_numpy(learned[name].state) if name in learned else 0
            states[name] = np.broadcast_to(start, shape).astype(self.state_dtypes[name])
        return states

    def get_config(self):
        """The constructor's arguments."""
        learned = self.learned_start
        return {
            **super().get_config(),
            "starts_from_zeros": self.starts_from_zeros,
            "learned_start": learned
            and {name: keras.saving.serialize_keras_object(learned[name]) for name in learned},
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Builds the layer, and the layers in it, from `get_config`."""
        learned = config.get("learned_start")
        learned = learned and {
            name: keras.saving.deserialize_keras_object(learned[name], custom_objects)
            for name in learned
        }
        return super().from_config({**config, "learned_start": learned}, custom_objects)
