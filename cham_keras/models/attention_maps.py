"""The attention maps of a model, beside its probabilities."""

import keras

#: The recurrent layer's name in every model of this package that has one.
RECURRENT_LAYER_NAME = "recurrence"


def has_attention(model):
    """Whether a model of this package has attention maps, so that `with_attention` gives them.

    Args:
        model: a `keras.Model`.

    Example:

    >>> from cham_keras import models
    >>> models.has_attention(models.softmax_regression((None, 7, 7, 8), num_classes=3))
    False
    """
    names = [layer.name for layer in model.layers]
    return RECURRENT_LAYER_NAME in names and getattr(
        model.get_layer(RECURRENT_LAYER_NAME), "return_attention", False
    )


def with_attention(model):
    """Gives a model of this package a second output: its attention maps.

    The weights are shared, not copied.

    Args:
        model: a model of `cham_keras.models` with attention, new or loaded; `has_attention`
            says whether it is one.

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
    if not has_attention(model):
        raise ValueError(
            f"The model must hold a layer {RECURRENT_LAYER_NAME!r} with return_attention=True, as "
            "cham, conv_attention, fc_attention and conv_alstm do; the other models of "
            f"cham_keras.models have no attention. Received: {model.name!r} with the layers "
            f"{[layer.name for layer in model.layers]}"
        )
    return keras.Model(
        model.input,
        {
            "probabilities": model.outputs[0],
            "attention": model.get_layer(RECURRENT_LAYER_NAME).output[-1],
        },
        name=f"{model.name}_with_attention",
    )
