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
        ValueError: it cannot be loaded; takes other frames than that, or states no size and
            none is given; or has several outputs.
    """
    if image_size is not None and image_size < 1:
        raise ValueError(f"`image_size` must be at least 1. Received: {image_size}.")
    if not path.exists():
        raise FileNotFoundError(f"There is no model {path}.")
    try:
        if path.is_dir():
            layer = keras.layers.TFSMLayer(str(path), call_endpoint="serving_default")
            stated, dtype = _stated_input(layer)
        else:
            layer = keras.saving.load_model(path, compile=False)
            stated, dtype = layer.input_shape, "float32"  # Keras brings numbers to its own type
    except Exception as error:  # Keras and TensorFlow raise many types for a broken model
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"The backbone {path} cannot be loaded: {reason}") from error
    if not isinstance(stated, tuple) or len(stated) != 4 or stated[3] not in (3, None):
        raise ValueError(
            "A model that is to be a backbone must take one input (batch, height, width, 3). "
            f"Received: {path} with input {stated}."
        )
    if stated[0] is not None:
        raise ValueError(
            "A model that is to be a backbone must take any number of frames at a time. "
            f"Received: {path} with input {stated}."
        )
    if dtype != "float32":
        raise ValueError(
            "A SavedModel that is to be a backbone must take float32. "
            f"Received: {path} with input of {dtype}."
        )
    size = stated[1] if image_size is None else image_size
    if size is None:
        raise ValueError(f"{path} takes frames of any size. Choose one with --image-size.")
    if any(n not in (None, size) for n in stated[1:3]):
        raise ValueError(
            f"`image_size` must be what the model takes, {stated[1]} x {stated[2]}. "
            f"Received: {size} for {path}."
        )
    frames = keras.Input((size, size, 3))
    # Outputs of a signature go by name; Keras's own may stand in a list too.
    outputs = keras.tree.flatten(layer(frames))
    if len(outputs) != 1:
        raise ValueError(
            f"A model that is to be a backbone must have one output. Received: {path} with "
            f"{len(outputs)}."
        )
    return keras.Model(frames, outputs[0]), size


def _stated_input(layer: keras.layers.TFSMLayer) -> tuple[tuple | None, str]:
    """Shape and dtype of the one input of a SavedModel's signature."""
    _, named = layer.call_endpoint_fn.structured_input_signature
    if len(named) != 1:
        return None, ""
    (spec,) = named.values()
    return tuple(spec.shape), spec.dtype.name


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
