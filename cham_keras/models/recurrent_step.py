"""One step of a model's recurrent layer, as a layer of its own.

Comes in: the features of one frame and the states of the frame before. Goes out:
what the recurrent layer gives at this frame, its attention map and the new
states. `streaming` builds its models around it.
"""

import keras
import numpy as np
from keras import ops

from cham_keras.layers import HierarchicalSkipRNN, SpatialRNN
from cham_keras.models.feature_standardization import standardization_layer
from cham_keras.models.model_parts import learned_start, recurrent_layer, start_layers
from cham_keras.models.temporal_differences import (
    STATES_OF_DIFFERENCES,
    TemporalDifferences,
    differences_layer,
)

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
        temporal_differences: `"none"`, or the `kind` of the `TemporalDifferences` that the
            layer is fed with; the frame before is then one of the states.
        standardization: the `FeatureStandardization` of these differences, or None.
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

    def __init__(
        self,
        layer,
        starts_from_zeros=True,
        learned_start=None,
        temporal_differences="none",
        standardization=None,
        **kwargs,
    ):
        # Keras would cast the memory c to half precision, where the layer keeps it in float32.
        super().__init__(layer, autocast=False, **kwargs)
        self.starts_from_zeros = starts_from_zeros
        self.learned_start = learned_start
        self.temporal_differences = temporal_differences
        self.standardization = standardization
        self.differences = None
        if temporal_differences != "none":
            self.differences = TemporalDifferences(temporal_differences, dtype=layer.dtype_policy)
        if isinstance(layer, HierarchicalSkipRNN):
            self.recurrent_names: tuple[str, ...] = STATES_OF_TWO_LAYERS
        elif isinstance(layer, SpatialRNN) and not layer.go_backwards:
            self.recurrent_names = STATES_OF_ONE_LAYER
        else:
            raise ValueError(
                "`layer` must be a HierarchicalSkipRNN, or a SpatialRNN that does not go "
                f"backwards. Received: layer={layer!r}"
            )

    @property
    def state_names(self):
        """Names of all states, in the order of `state_shapes`."""
        return self.recurrent_names + (() if self.differences is None else STATES_OF_DIFFERENCES)

    @property
    def state_dtypes(self):
        """Dtypes of the states by name: float32 holds those of half precision exactly."""
        floats = keras.backend.result_type(self.layer.compute_dtype, "float32")
        integers = ("phase", "has_previous")
        return {name: "int32" if name in integers else floats for name in self.state_names}

    def state_shapes(self, features_shape):
        """Shapes of the states by name, for features `(batch, height, width, channels)`."""
        batch = features_shape[0]
        inputs_shape = self._inputs_shape(features_shape)
        if self.recurrent_names == STATES_OF_ONE_LAYER:
            shapes = 2 * [self.layer.cell.state_shape(inputs_shape)]
        else:
            first = self.layer.cells[0].state_shape(inputs_shape)
            second = self.layer.cells[1].state_shape(first)
            shapes = [first, first, second, second, (batch,)]
        if self.differences is not None:
            shapes += [tuple(features_shape), (batch,)]
        return dict(zip(self.state_names, shapes, strict=True))

    def _inputs_shape(self, features_shape):
        """Shape of what goes into the recurrent layer."""
        if self.differences is None:
            return features_shape
        return self.differences.compute_output_shape(features_shape)

    def build(self, features_shape, states_shape=None):
        """Builds the recurrent layer, where it is not yet."""
        inputs_shape = self._inputs_shape(features_shape)
        if not self.layer.built:
            self.layer.build((inputs_shape[0], 1, *inputs_shape[1:]))
        others = [self.standardization] if self.standardization is not None else []
        for layer in (*others, *(self.learned_start or {}).values()):
            if not layer.built:
                layer.build(inputs_shape)
        self.built = True

    def call(self, features, states, training=False):
        of_differences = {}
        inputs = features
        if self.differences is not None:
            before = [states[name] for name in STATES_OF_DIFFERENCES]
            inputs = self.differences.step(features, *before)
            after = (features, ops.ones_like(before[1]))
            of_differences = dict(zip(STATES_OF_DIFFERENCES, after, strict=True))
        if self.standardization is not None:
            inputs = self.standardization(inputs)
        states = [states[name] for name in self.recurrent_names]
        outputs, states, attention = self.layer.step(inputs, states)
        results = dict(zip(self.recurrent_names, states, strict=True)) | of_differences
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
            "temporal_differences": self.temporal_differences,
            "standardization": self.standardization
            and keras.saving.serialize_keras_object(self.standardization),
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
        standardization = config["standardization"] and keras.saving.deserialize_keras_object(
            config["standardization"], custom_objects=custom_objects
        )
        layers = {"learned_start": learned, "standardization": standardization}
        return super().from_config({**config, **layers}, custom_objects)


def recurrent_step(model):
    """The step of a model for clips: its recurrence with what is before it.

    Raises:
        ValueError: the model is none of `cham_keras.models`, or has no recurrence.
    """
    recurrent = recurrent_layer(model)
    differences = differences_layer(model)
    # Without differences, whoever uses the step standardizes its input.
    standardization = None if differences is None else standardization_layer(model)
    return RecurrentStep(
        recurrent,
        starts_from_zeros=start_layers(model) is None,
        learned_start=learned_start(model),
        temporal_differences="none" if differences is None else differences.kind,
        standardization=standardization,
        dtype=recurrent.dtype_policy,
        name=STEP_LAYER_NAME,
    )
