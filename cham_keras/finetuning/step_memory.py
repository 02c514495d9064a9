"""Whether a step of training the CNN fits into memory, before anything is decoded.

Comes in: the CNN with its layers marked, and how many frames are computed at once. Goes out:
bytes, or an error. `finetune` calls it.
"""

import math
from collections.abc import Iterator

import keras
import tensorflow as tf

from cham_keras.finetuning.settings import FinetuningSettings
from cham_keras.process_memory import physical_memory_bytes

_BYTES = 4  # float32


def require_memory(network: keras.Model, settings: FinetuningSettings, num_frames: int) -> None:
    """Refuses a step that this machine's memory cannot hold; a GPU's own is not looked at.

    Args:
        network: the CNN, its trained layers marked.
        settings: say how many clips a step has, and in how many parts it is computed.
        num_frames: frames a clip.

    Raises:
        ValueError: the step does not fit.
    """
    never_trained = settings.frozen_epochs == settings.epochs
    if never_trained or tf.config.list_physical_devices("GPU"):
        return
    clips = settings.batch_size // settings.optimizer.accumulation_steps
    needed, limit = activation_bytes(network) * clips * num_frames, physical_memory_bytes()
    if needed <= limit:
        return
    less = "a smaller --num-frames or a smaller --unfreezing.share"
    if clips > 1:
        less = f"--optimizer.accumulation-steps {settings.batch_size} (a clip at a time), {less}"
    raise ValueError(
        f"A training step must fit into memory, {limit / 2**30:.1f} GiB here. Received: {clips} "
        f"clips of {num_frames} frames at once, for which the CNN holds about "
        f"{needed / 2**30:.1f} GiB. Pass {less}."
    )


def activation_bytes(network: keras.Model) -> int:
    """What one frame leaves in memory until the gradients are computed.

    The outputs of all layers from the first one on that is trained. Peaks of whole steps were
    0.9 times as high (MobileNet, 48 frames) to 1.4 times (EfficientNetB0, 16 frames), and 2.1
    times where weights count most (VGG16, 6 frames).

    Example:
    >>> network = keras.Sequential(
    ...     [keras.Input((10, 10, 3)), keras.layers.Conv2D(2, 3), keras.layers.ReLU()]
    ... )
    >>> activation_bytes(network) == 4 * 2 * (8 * 8 * 2)
    True
    """
    layers = list(_layers(network))
    trained = [number for number, layer in enumerate(layers) if layer.trainable_weights]
    outputs = [
        output for layer in layers[trained[0] :] for output in keras.tree.flatten(layer.output)
    ]
    return _BYTES * sum(math.prod(output.shape[1:]) for output in outputs)


def _layers(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """All layers, those of models inside it in their place."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer
