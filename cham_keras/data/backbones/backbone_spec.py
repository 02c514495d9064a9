"""What a backbone is, in words that can be stored.

`backbones.load_backbone` makes a `BackboneSpec`; it lies in the shards' manifest
and goes with a run, so that prediction computes the features that training saw.
"""

from cham_keras.settings import settings


@settings
class BackboneSpec:
    """Everything that decides which features a frame gets."""

    name: str
    """Name that `load_backbone` knows; `model` for a model of the user's own."""
    weights: str
    """`imagenet`, `none`, or the path of a weights file or of the user's model."""
    weights_sha256: str | None
    """Checksum of that file; nothing for `imagenet` and `none`."""
    image_size: int
    """Height and width, in pixels, that frames are resized to."""
    feature_shape: tuple[int, int, int]
    """Height, width and channels of the features of one frame."""
    preprocessing: str
    """What happens to a frame before the network."""
    interpolation: str = "bicubic"
    """How frames are resized."""
    scaling: str | None = None
    """How the pixels are scaled for a model of the user's own: none, tf, caffe or torch."""
