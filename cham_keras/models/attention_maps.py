"""The attention maps of a model, beside its probabilities."""

import keras

#: The recurrent layer's name in every model of this package.
RECURRENT_LAYER_NAME = "recurrence"


def with_attention(model):
    """Gives a model of this package a second output: its attention maps.

    The weights are shared, not copied.

    Args:
        model: a model of `cham_keras.models`, new or loaded.

    Returns:
        a `keras.Model` of the same inputs, with a dictionary as output:
        `probabilities` `(batch, time, num_classes)` and `attention`
        `(batch, time, height, width)`.

    Raises:
        ValueError: the model holds no recurrent layer with attention.

    Example:

    >>> import numpy as np
    >>> from cham_keras import models
    >>> model = models.cham((4, 7, 7, 8), num_classes=3, filters=4)
    >>> outputs = models.with_attention(model)(np.ones((1, 4, 7, 7, 8), "float32"))
    >>> tuple(outputs["attention"].shape)
    (1, 4, 7, 7)
    """
    names = [layer.name for layer in model.layers]
    recurrent = model.get_layer(RECURRENT_LAYER_NAME) if RECURRENT_LAYER_NAME in names else None
    if recurrent is None or not getattr(recurrent, "return_attention", False):
        raise ValueError(
            f"The model must hold a layer {RECURRENT_LAYER_NAME!r} with return_attention=True, "
            f"as those of cham_keras.models do. Received: a model with the layers {names}"
        )
    return keras.Model(
        model.input,
        {"probabilities": model.outputs[0], "attention": recurrent.output[-1]},
        name=f"{model.name}_with_attention",
    )
