"""A user's own model as a backbone: a `.keras` file or the folder of a SavedModel.

Comes in: its path. Goes out: a `keras.Model` from frames to features, and a checksum.
`backbones.load_backbone` calls it.
"""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import keras

#: The name of such a backbone in a `BackboneSpec`.
OWN_MODEL = "model"

#: How pixels can be scaled: not at all, or as the modes of `keras.applications` do.
SCALINGS = ("none", "tf", "caffe", "torch")


def is_own_model(name: str) -> bool:
    """Whether a backbone's name is the path of a model.

    Example:
    >>> is_own_model("resnet50"), is_own_model("models/mine.keras")
    (False, True)
    """
    return name.endswith(".keras") or (Path(name) / "saved_model.pb").is_file()


def load_own_model(path: Path, image_size: int | None) -> tuple[keras.Model, int]:
    """Loads the model.

    Args:
        path: the file or folder.
        image_size: height and width of its frames in pixels; left out, what the model states.

    Returns:
        the model, from (batch, image_size, image_size, 3) float32, and the image size.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be loaded, or takes frames of another size or states none.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no model {path}.")
    try:
        if path.is_dir():
            layer = keras.layers.TFSMLayer(str(path), call_endpoint="serving_default")
            stated = _stated_shape(layer)
        else:
            layer = keras.saving.load_model(path, compile=False)
            stated = layer.input_shape
    except Exception as error:  # Keras and TensorFlow raise many types for a broken model
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"The backbone {path} cannot be loaded: {reason}") from error
    if not isinstance(stated, tuple) or len(stated) != 4 or stated[3] not in (3, None):
        raise ValueError(
            "A model that is to be a backbone must take one input (batch, height, width, 3). "
            f"Received: {path} with input {stated}."
        )
    size = image_size or stated[1]
    if size is None:
        raise ValueError(f"{path} takes frames of any size. Choose one with --image-size.")
    if any(n not in (None, size) for n in stated[1:3]):
        raise ValueError(
            f"`image_size` must be what the model takes, {stated[1]} x {stated[2]}. "
            f"Received: {size} for {path}."
        )
    frames = keras.Input((size, size, 3))
    features = layer(frames)
    if isinstance(features, dict):  # outputs of a signature go by name
        if len(features) > 1:
            raise ValueError(
                "A model that is to be a backbone must have one output. "
                f"Received: {path} with {', '.join(features)}."
            )
        (features,) = features.values()
    return keras.Model(frames, features), size


def _stated_shape(layer: keras.layers.TFSMLayer) -> tuple | None:
    """Shape of the one input of a SavedModel's signature."""
    _, named = layer.call_endpoint_fn.structured_input_signature
    if len(named) != 1:
        return None
    (spec,) = named.values()
    return tuple(spec.shape)


def scaling_function(scaling: str) -> Callable:
    """From red, green and blue of 0 to 255 to what the model takes.

    Raises:
        ValueError: `scaling` is not one of `SCALINGS`.
    """
    if scaling not in SCALINGS:
        raise ValueError(f"`scaling` must be one of {', '.join(SCALINGS)}. Received: {scaling!r}.")
    if scaling == "none":
        return lambda frames: frames
    preprocess = keras.applications.imagenet_utils.preprocess_input
    return functools.partial(preprocess, data_format="channels_last", mode=scaling)


def sha256_of_model(path: Path) -> str:
    """Checksum of a model's file, or of the names and contents of all files in its folder."""
    if not path.exists():
        raise FileNotFoundError(f"There is no model {path}.")
    checksum = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            checksum.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as opened:
            checksum.update(hashlib.file_digest(opened, "sha256").digest())
    return checksum.hexdigest()
