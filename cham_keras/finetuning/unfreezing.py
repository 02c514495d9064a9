"""Which layers of a CNN are trained.

Comes in: the CNN and settings. Goes out: the same CNN, its layers marked. `tuned_model` calls it.
"""

import keras

from cham_keras.finetuning.settings import UnfreezingSettings


def unfreeze(network: keras.Model, settings: UnfreezingSettings) -> list[str]:
    """Marks the layers from one on as trainable and those before it as frozen.

    Layers are in the order in which the network computes them; where it branches, in the
    order in which it was built.

    Args:
        network: the CNN; models inside it count by their layers.
        settings: the share, or the first layer.

    Returns:
        the names of the layers with weights that are trained.

    Raises:
        ValueError: both settings are given, the name is not known, or nothing can be trained.

    Example:
    >>> network = keras.Sequential(
    ...     [keras.Input((9, 9, 3))] + [keras.layers.Conv2D(2, 3, name=name) for name in "abc"]
    ... )
    >>> unfreeze(network, UnfreezingSettings(share=0.5))
    ['b', 'c']
    """
    network.trainable = True
    layers = layers_with_weights(network)
    names = [layer.name for layer in layers]
    if not any(layer.trainable_weights for layer in layers):
        raise ValueError(
            "The CNN must have weights that can be trained: a network of keras.applications or a "
            f".keras file. Received: {network.name!r}, which has none."
        )
    if settings.from_layer is None:
        # The last share, rounded up: some layer is always trained.
        first = int((1 - settings.share) * len(layers) + 1e-9)
    elif settings.share != 1:
        raise ValueError(
            "One of `unfreezing.share` and `unfreezing.from_layer` must be left out. "
            f"Received: {settings.share} and {settings.from_layer!r}."
        )
    elif settings.from_layer not in names:
        raise ValueError(
            f"`unfreezing.from_layer` must be a layer of the CNN that has weights: "
            f"{', '.join(names)}. Received: {settings.from_layer!r}."
        )
    else:
        first = names.index(settings.from_layer)
    for layer in layers[:first]:
        layer.trainable = False
    trained = [layer.name for layer in layers[first:] if layer.trainable_weights]
    if not trained:
        raise ValueError(
            f"At least one layer of the CNN must be trained. The layers from {names[first]} on "
            "have no weights that can be. Choose a larger share or an earlier layer."
        )
    return trained


def layers_with_weights(network: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a network that have weights, those of models inside it in their place."""
    found = []
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            found += layers_with_weights(layer)
        elif layer.weights:
            found.append(layer)
    return found
