"""The parts of a finished model, found again by name: what streaming is built from.

Comes in: a model of this package, new or loaded. Goes out: its recurrent layer, its
input of features, the layers of its first states; and any stretch of its graph,
run again on other tensors. `streaming` and `start_states` call it.
"""

import keras

from cham_keras.models.attention_maps import RECURRENT_LAYER_NAME, with_attention

#: The layers that give the first states, in models that do not start from zeros.
_START_LAYER_NAMES = {"h": "initial_h", "c": "initial_c"}


def recurrent_layer(model):
    """The recurrent layer of a model for clips.

    Raises:
        ValueError: the model is none of `cham_keras.models`.
    """
    if not isinstance(model.output, keras.KerasTensor):
        raise ValueError(
            "`model` must have the probabilities as its one output, as the models of "
            f"cham_keras.models do. Received: a model with the outputs {model.output}"
        )
    with_attention(model)  # says what a model needs that lacks it
    return model.get_layer(RECURRENT_LAYER_NAME)


def features_input(model):
    """The input `(batch, time, height, width, channels)` of a model for clips."""
    return model.input["features"] if isinstance(model.input, dict) else model.input


def start_layers(model):
    """The layers that give the states `h` and `c` to start from; None where these are zeros."""
    names = {layer.name for layer in model.layers}
    if not names.issuperset(_START_LAYER_NAMES.values()):
        return None
    return {state: model.get_layer(name) for state, name in _START_LAYER_NAMES.items()}


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
