"""A CNN below a model: from frames to probabilities, so that both can be trained at once.

Comes in: a network from one frame to its features, and a model on the features of clips. Goes
out: one model on the frames of clips; and from that one the two parts again. `finetuning`
trains it.
"""

import keras
from keras import ops

from cham_keras.models.model_parts import features_input

#: Name of the layer that holds the network.
NETWORK_LAYER_NAME = "features_of_frames"


@keras.saving.register_keras_serializable("cham_keras")
class FeaturesOfFrames(keras.layers.Layer):
    """Runs a network over every frame of every clip of a batch.

    Args:
        network: a functional model from `(frames, height, width, channels)` to the features
            `(frames, height, width, channels)` of each.
        inference: whether the network always works as in inference: batch normalisation
            takes the statistics that it came with, and leaves them, and dropout does
            nothing. Its weights, scales and offsets of the normalisation among them, can be
            trained all the same. The frames of a few clips resemble each other, so their own
            statistics would be no good ones.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        frames: `(batch, time, height, width, channels)` of any dtype.
        training: whether the network works as in training; without `inference` only.

    Returns:
        features, `(batch, time, height, width, channels)`.
    """

    def __init__(self, network, inference=True, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        self.inference = inference

    def call(self, frames, training=None):
        batch, time, *frame = ops.shape(frames)
        # (batch, time, height, width, channels) -> (batch * time, height, width, channels)
        flat = ops.cast(ops.reshape(frames, (-1, *frame)), "float32")
        features = self.network(flat, training=False if self.inference else training)
        # (batch * time, height, width, channels) -> (batch, time, height, width, channels)
        return ops.reshape(features, (batch, time, *features.shape[1:]))

    def compute_output_spec(self, frames, training=None):
        """Shape and dtype of what `call` returns."""
        output = self.network.output
        return keras.KerasTensor((*frames.shape[:2], *output.shape[1:]), output.dtype)

    def get_config(self):
        """The constructor's arguments."""
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network, "inference": self.inference}

    @classmethod
    def from_config(cls, config):
        """Makes the layer and the network again."""
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})


def from_frames(backbone, model, preprocess=None, inference=True):
    """Puts a CNN below a model.

    The weights are shared with what is passed in, not copied: training trains those. Memory:
    training keeps what every layer of the CNN made of all `batch * time` frames.

    Args:
        backbone: a functional model from `(frames, height, width, 3)` to features `(frames,
            height, width, channels)`.
        model: of `cham_keras.models`, on such features.
        preprocess: from red, green and blue of 0 to 255 to what the backbone takes, in
            operations of Keras; left out, nothing.
        inference: whether batch normalisation and dropout of the CNN stay as in inference.

    Returns:
        a functional `keras.Model` from frames `(batch, time, height, width, 3)` uint8 of 0 to
        255, or from `{"frames", "lengths"}` where `model` takes lengths, to what `model`
        gives, with any number of frames. `parts_of_from_frames` takes it apart.

    Raises:
        ValueError: the backbone's features are not what the model takes.

    Example:

    >>> import keras
    >>> from cham_keras import models
    >>> cnn = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 5, strides=4)])
    >>> top = models.conv_attention((None, 7, 7, 8), num_classes=6, filters=4)
    >>> models.from_frames(cnn, top).output_shape
    (None, None, 6)
    """
    features = features_input(model)
    if backbone.output_shape[1:] != features.shape[2:]:
        raise ValueError(
            f"`backbone` must give the features that the model takes, {features.shape[2:]}. "
            f"Received: a backbone that gives {backbone.output_shape[1:]}."
        )
    pixels = keras.Input(backbone.input_shape[1:], name="frame")
    prepared = pixels if preprocess is None else preprocess(pixels)
    network = keras.Model(pixels, backbone(prepared), name="frame_to_features")
    frames = keras.Input((features.shape[1], *pixels.shape[1:]), dtype="uint8", name="frames")
    computed = FeaturesOfFrames(network, inference, name=NETWORK_LAYER_NAME)(frames)
    name = f"{model.name}_from_frames"
    if not isinstance(model.input, dict):
        return keras.Model(frames, model(computed), name=name)
    lengths = keras.Input((), dtype="int32", name="lengths")
    outputs = model({"features": computed, "lengths": lengths})
    return keras.Model({"frames": frames, "lengths": lengths}, outputs, name=name)


def parts_of_from_frames(model):
    """Takes apart what `from_frames` made, new or loaded.

    Args:
        model: a model from frames.

    Returns:
        `(network, model)`: the CNN with its preprocessing, from `(frames, height, width, 3)` of
        0 to 255 to features; and the model on features. Their weights are shared with `model`.

    Raises:
        ValueError: the model was not made by `from_frames`.

    Example:

    >>> import keras
    >>> from cham_keras import models
    >>> cnn = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 5, strides=4)])
    >>> top = models.conv_attention((None, 7, 7, 8), num_classes=6, filters=4)
    >>> network, same = models.parts_of_from_frames(models.from_frames(cnn, top))
    >>> network.output_shape, same is top
    ((None, 7, 7, 8), True)
    """
    layers = {layer.name: layer for layer in model.layers}
    tops = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    if NETWORK_LAYER_NAME not in layers or len(tops) != 1:
        raise ValueError(
            "`model` must be one that `models.from_frames` made. "
            f"Received: {model.name!r} with the layers {list(layers)}."
        )
    return layers[NETWORK_LAYER_NAME].network, tops[0]
