"""The networks of `keras.applications`, their weights, and where their parts lie.

Comes in: an entry of the table, where the weights come from, an image size. Goes
out: a `keras.Model` without its classifier. `backbones.load_backbone` calls it.
"""

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

_RANDOM_WEIGHTS_SEED = 0


@dataclass(frozen=True)
class Application:
    """One network of `keras.applications`.

    Attributes:
        module: the module with its `preprocess_input`.
        constructor: the function that builds it.
        image_size: height and width in pixels that it was trained at.
    """

    module: str
    constructor: str
    image_size: int

    @property
    def preprocess_input(self) -> Callable:
        """From RGB float32 of 0 to 255 to what the network takes."""
        return getattr(keras.applications, self.module).preprocess_input

    def build(self, image_size: int, weights: str | None = None) -> keras.Model:
        """The network without its classifier, from (batch, image_size, image_size, 3)."""
        return getattr(keras.applications, self.constructor)(
            weights=weights, include_top=False, input_shape=(image_size, image_size, 3)
        )


#: Every network of `keras.applications`, by its name in small letters.
APPLICATIONS = {
    "convnext_tiny": Application("convnext", "ConvNeXtTiny", 224),
    "convnext_small": Application("convnext", "ConvNeXtSmall", 224),
    "convnext_base": Application("convnext", "ConvNeXtBase", 224),
    "convnext_large": Application("convnext", "ConvNeXtLarge", 224),
    "convnext_xlarge": Application("convnext", "ConvNeXtXLarge", 224),
    "densenet121": Application("densenet", "DenseNet121", 224),
    "densenet169": Application("densenet", "DenseNet169", 224),
    "densenet201": Application("densenet", "DenseNet201", 224),
    "efficientnet_b0": Application("efficientnet", "EfficientNetB0", 224),
    "efficientnet_b1": Application("efficientnet", "EfficientNetB1", 240),
    "efficientnet_b2": Application("efficientnet", "EfficientNetB2", 260),
    "efficientnet_b3": Application("efficientnet", "EfficientNetB3", 300),
    "efficientnet_b4": Application("efficientnet", "EfficientNetB4", 380),
    "efficientnet_b5": Application("efficientnet", "EfficientNetB5", 456),
    "efficientnet_b6": Application("efficientnet", "EfficientNetB6", 528),
    "efficientnet_b7": Application("efficientnet", "EfficientNetB7", 600),
    "efficientnet_v2_b0": Application("efficientnet_v2", "EfficientNetV2B0", 224),
    "efficientnet_v2_b1": Application("efficientnet_v2", "EfficientNetV2B1", 240),
    "efficientnet_v2_b2": Application("efficientnet_v2", "EfficientNetV2B2", 260),
    "efficientnet_v2_b3": Application("efficientnet_v2", "EfficientNetV2B3", 300),
    "efficientnet_v2_s": Application("efficientnet_v2", "EfficientNetV2S", 384),
    "efficientnet_v2_m": Application("efficientnet_v2", "EfficientNetV2M", 480),
    "efficientnet_v2_l": Application("efficientnet_v2", "EfficientNetV2L", 480),
    "inception_resnet_v2": Application("inception_resnet_v2", "InceptionResNetV2", 299),
    "inception_v3": Application("inception_v3", "InceptionV3", 299),
    "mobilenet": Application("mobilenet", "MobileNet", 224),
    "mobilenet_v2": Application("mobilenet_v2", "MobileNetV2", 224),
    "mobilenet_v3_large": Application("mobilenet_v3", "MobileNetV3Large", 224),
    "mobilenet_v3_small": Application("mobilenet_v3", "MobileNetV3Small", 224),
    "nasnet_large": Application("nasnet", "NASNetLarge", 331),
    "nasnet_mobile": Application("nasnet", "NASNetMobile", 224),
    "resnet50": Application("resnet", "ResNet50", 224),
    "resnet101": Application("resnet", "ResNet101", 224),
    "resnet152": Application("resnet", "ResNet152", 224),
    "resnet50_v2": Application("resnet_v2", "ResNet50V2", 224),
    "resnet101_v2": Application("resnet_v2", "ResNet101V2", 224),
    "resnet152_v2": Application("resnet_v2", "ResNet152V2", 224),
    "vgg16": Application("vgg16", "VGG16", 224),
    "vgg19": Application("vgg19", "VGG19", 224),
    "xception": Application("xception", "Xception", 299),
}


def load_application(application: Application, source: str, image_size: int) -> keras.Model:
    """Builds a network without its classifier.

    Args:
        application: an entry of `APPLICATIONS`.
        source: `imagenet`, `none`, or the path of a weights file.
        image_size: height and width of a frame in pixels.

    Returns:
        a model from (batch, image_size, image_size, 3) to features.

    Raises:
        ValueError: the network cannot be built at this size, or the weights do not fit it.
        ConnectionError: the ImageNet weights could not be downloaded.
    """
    if source == "imagenet":
        try:
            return application.build(image_size, "imagenet")
        except ValueError:
            raise
        except Exception as error:  # Keras wraps every network failure in a bare Exception
            raise ConnectionError(
                f"The ImageNet weights of {application.constructor} could not be downloaded "
                f"({error}). Download them where there is a network and pass the file with "
                "--weights PATH."
            ) from error
    if source == "none":
        return _with_random_weights(application.build(image_size))
    model = application.build(image_size)
    try:
        with warnings.catch_warnings():
            # Keras only warns where part of a file is missing and a layer stays random.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(source)
    except Exception as error:  # h5py and Keras raise many types for a file that does not fit
        reason = str(error).strip().splitlines()[0].split(". ")[0]
        raise ValueError(
            f"The weights must fit keras.applications.{application.constructor} without its "
            f"classifier at {image_size} x {image_size}. Received: {source} ({reason})."
        ) from error
    return model


def sha256_of_weights(path: Path) -> str:
    """Checksum of a weights file; a missing file is an error that says what may stand there."""
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no weights file {path}. `weights` (--weights) is imagenet, none or the path "
            "of a file; where the file has moved or another machine has it, pass its path here."
        )
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _with_random_weights(model: keras.Model) -> keras.Model:
    """Fills the kernels from one seed; biases and normalisations keep what they have.

    Keras's own initializers draw their seeds from Python's global state, so two
    programs would get two networks. Without trained normalisation the features of a
    deep network can be far beyond float16's range, so they are scaled to order 1.
    """
    rng = np.random.Generator(np.random.PCG64(_RANDOM_WEIGHTS_SEED))
    for variable in model.weights:
        shape = tuple(variable.shape)
        if len(shape) < 2:
            continue
        *window, fan_in, fan_out = shape
        if window and fan_out == 1:  # a depthwise kernel: each channel by itself
            fan_in = 1
        scale = np.sqrt(2.0 / (np.prod(window) * fan_in))
        variable.assign(rng.normal(0.0, scale, shape).astype("float32"))
    noise = rng.normal(0.0, 1.0, (1, *model.input_shape[1:])).astype("float32")
    spread = float(np.std(model(noise, training=False)))
    # A power of two: the last bits of `spread`, which differ between machines, do not count.
    scaled = model.output * 2.0 ** -round(np.log2(spread))
    return keras.Model(model.input, scaled, name=model.name)
