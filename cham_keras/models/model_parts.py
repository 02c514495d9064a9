"""The parts of a finished model, found again by name: what streaming is built from.

Comes in: a model of this package, new or loaded. Goes out: its recurrent layer, its
input of features, the layers of its first states; and any stretch of its graph,
run again on other tensors. `streaming` and `start_states` call it.
"""

import keras

from cham_keras.layers import HierarchicalSkipRNN, SpatialRNN
from cham_keras.models.attention_maps import RECURRENT_LAYER_NAME
from cham_keras.models.attention_penalty import PENALTY_LAYER_NAME
from cham_keras.models.initial_states import INITIAL_LAYER_PREFIX, LearnedState


def recurrent_layer(model):
    """The recurrent layer of a model for clips.

    Raises:
        ValueError: the model is none of `cham_keras.models`, or has no recurrence.
    """
    # A Sequential that was never called has no outputs yet.
    output = model.output if getattr(model, "built", False) else None
    if not isinstance(output, keras.KerasTensor):
        raise ValueError(
            "`model` must have the probabilities as its one output, as the models of "
            "cham_keras.models do. A layer of one's own model streams by its `step`. "
            f"Received: {model.name!r} with the outputs {output}"
        )
    layers = {layer.name: layer for layer in model.layers}
    recurrent = layers.get(RECURRENT_LAYER_NAME)
    if not isinstance(recurrent, HierarchicalSkipRNN | SpatialRNN):
        raise ValueError(
            f"The model must hold a layer {RECURRENT_LAYER_NAME!r}, as the recurrent models of "
            "cham_keras.models do. One that scores every frame by itself has no states: give it "
            f"clips of one frame. Received: {model.name!r} with the layers {list(layers)}"
        )
    return recurrent


def recurrent_outputs(model):
    """The tensor `(batch, time, ...)` from which a model's head goes on."""
    names = {layer.name for layer in model.layers}
    if PENALTY_LAYER_NAME in names:
        return model.get_layer(PENALTY_LAYER_NAME).output
    outputs = model.get_layer(RECURRENT_LAYER_NAME).output
    return outputs[0] if isinstance(outputs, list | tuple) else outputs


def features_input(model):
    """The input `(batch, time, height, width, channels)` of a model for clips."""
    return model.input["features"] if isinstance(model.input, dict) else model.input


def start_layers(model):
    """The layers that give the states to start from, by the states' names.

    Returns:
        a dictionary from `h`, `c` or from `h1`, `c1`, `h2`, `c2`; None for a model that
        starts from zeros.
    """
    found = {
        layer.name.removeprefix(INITIAL_LAYER_PREFIX): layer
        for layer in model.layers
        if layer.name.startswith(INITIAL_LAYER_PREFIX)
    }
    return found or None


def learned_start(model):
    """The layers of the trained first states by name; None where a model has none."""
    layers = start_layers(model) or {}
    learned = {name: layer for name, layer in layers.items() if isinstance(layer, LearnedState)}
    return learned or None


def run_again(inputs, outputs, new_inputs):
    """Runs the stretch of a model's graph between two tensors on another number of steps.

    The layers on the way are shared.

    Args:
        inputs: symbolic tensors of the model, or a dictionary of them; all of rank 3
            and more have time as their second dimension.
        outputs: what the model makes of them, likewise.
        new_inputs: symbolic tensors in the same order as `inputs`, with any number of steps.

    Returns:
        what it makes of `new_inputs`, in the form of `outputs`.
    """
    of_any_time = keras.tree.map_structure(
        lambda tensor: keras.Input(
            (None, *tensor.shape[2:]) if len(tensor.shape) > 1 else (), dtype=tensor.dtype
        ),
        inputs,
    )
    # `inputs` may be bound to one number of steps, which Keras then asks for.
    once = keras.Function(inputs, outputs).call(of_any_time)
    return keras.Function(of_any_time, once).call(new_inputs)
