"""Backbones: networks that turn frames into K x K x D features.

Comes in: a name, weights, frames as uint8 RGB. Goes out: float32 features, and a
`BackboneSpec` from which the same backbone can be made again. `cham extract`
computes shards with one; `cham predict` and `cham explain` make it again from the
manifest.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cham_keras.data.backbones.applications import APPLICATIONS, load_application, sha256_of_weights
from cham_keras.data.backbones.backbone_spec import BackboneSpec
from cham_keras.data.backbones.feature_grid import FeatureGrid, grid_of_model
from cham_keras.data.backbones.filter_bank import DEFAULT_IMAGE_SIZE, filter_bank
from cham_keras.data.backbones.own_models import (
    OWN_MODEL,
    is_own_model,
    load_own_model,
    scaling_function,
    sha256_of_model,
)
from cham_keras.data.frames.resizing import Resizing

FILTER_BANK = "filter_bank"
#: What `BackboneSpec.name` is where the features came from files; no backbone has this name.
IMPORTED = "imported"

#: Every name that `load_backbone` knows.
BACKBONES = (FILTER_BANK, *APPLICATIONS)

_RESIZE = "resized to the image size without crop, {} with antialiasing, by FFmpeg's scaler"


class Backbone:
    """A network with its own way of preparing frames.

    Made by `load_backbone`. All work runs in batches of one fixed size, so nothing
    is traced twice, however many frames a clip has.

    Args:
        model: from (batch, image_size, image_size, 3) to (batch, height, width, channels).
        preprocess: from RGB float32 of 0 to 255 to what the model takes.
        spec: what this backbone is.
        batch_size: number of frames that go through the model at a time.

    Attributes:
        model: the network, a `keras.Model`.
        preprocess: from RGB float32 of 0 to 255 to what the model takes.
        spec: the `BackboneSpec` that goes into manifests.
        batch_size: number of frames that go through the model at a time.
        resizing: how frames are brought to the image size.

    Example:
    >>> backbone = load_backbone("filter_bank")
    >>> backbone.features(np.zeros((5, 60, 80, 3), "uint8")).shape
    (5, 7, 7, 24)
    """

    def __init__(
        self,
        model: keras.Model,
        preprocess: Callable,
        spec: BackboneSpec,
        batch_size: int = 32,
    ) -> None:
        """Compiles nothing yet; the first batch does."""
        self.model = model
        self.preprocess = preprocess
        self.spec = spec
        self.batch_size = batch_size
        self.resizing = Resizing(spec.image_size, spec.interpolation)
        size = spec.image_size

        def compute(frames):
            features = model(preprocess(tf.cast(frames, tf.float32)), training=False)
            return tf.cast(features, tf.float32)

        fixed_size = tf.TensorSpec((batch_size, size, size, 3), tf.uint8)
        self._compute = tf.function(compute, input_signature=[fixed_size])

    @functools.cached_property
    def grid(self) -> FeatureGrid:
        """Where in a frame the cells of the features lie; evenly, where that is not known."""
        return grid_of_model(self.model) or FeatureGrid.even(*self.spec.feature_shape[:2])

    def features(self, frames: np.ndarray) -> np.ndarray:
        """Features of frames of any size.

        Args:
            frames: (frames, height, width, 3) uint8 RGB.

        Returns:
            (frames, *feature_shape) float32.

        Raises:
            ValueError: `frames` has another shape or dtype.
        """
        return self.features_of_resized(self.resize(frames))

    def resize(self, frames: np.ndarray) -> np.ndarray:
        """Brings frames to the backbone's image size, without crop, as the paper does.

        Args:
            frames: (frames, height, width, 3) uint8 RGB.

        Returns:
            (frames, image_size, image_size, 3) uint8 RGB.

        Raises:
            ValueError: `frames` has another shape or dtype.
        """
        frames = np.asarray(frames)
        if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
            raise ValueError(
                "`frames` must be of shape (frames, height, width, 3) and not empty. "
                f"Received: shape {frames.shape}."
            )
        if frames.dtype != np.uint8:
            raise ValueError(
                f"`frames` must be uint8 RGB of 0 to 255. Received: dtype {frames.dtype}."
            )
        return self.resizing(frames)

    def features_of_resized(self, frames: np.ndarray) -> np.ndarray:
        """Features of frames that `resize` gave; see `features`."""
        batches = []
        for start in range(0, len(frames), self.batch_size):
            batch = frames[start : start + self.batch_size]
            missing = self.batch_size - len(batch)
            if missing:
                batch = np.pad(batch, ((0, missing), (0, 0), (0, 0), (0, 0)))
            batches.append(self._compute(batch).numpy()[: self.batch_size - missing])
        return batches[0] if len(batches) == 1 else np.concatenate(batches)


def load_backbone(
    name: str,
    weights: str | Path | None = None,
    image_size: int | None = None,
    interpolation: str = "bicubic",
    scaling: str | None = None,
) -> Backbone:
    """Makes a backbone.

    Args:
        name: one of `BACKBONES`: the networks of `keras.applications` in small letters
            (`resnet152`, `mobilenet`, `efficientnet_b0`), or `filter_bank`, which
            needs no weights; or the path of a model of your own, a `.keras` file or
            the folder of a SavedModel.
        weights: `imagenet` downloads Keras's weights (the default); `none` gives
            random ones, always the same; anything else is the path of a weights
            file without the classifier. `filter_bank` has none to choose.
        image_size: height and width that frames are resized to; left out, what the
            network was trained at.
        interpolation: how they are resized, one of `frames.resizing.INTERPOLATIONS`.
        scaling: for a model of your own, what it takes: "none" for 0 to 255 (the
            default), or a mode of `keras.applications`: "tf", "caffe", "torch".

    Returns:
        the backbone.

    Raises:
        ValueError: the name is not known, or the weights do not fit the network.
        FileNotFoundError: there is no such weights file.
        ConnectionError: the ImageNet weights could not be downloaded.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Backbones run on Keras's TensorFlow backend. Received: backend "
            f"{keras.backend.backend()!r}. Set KERAS_BACKEND=tensorflow for this step; shards "
            "can be trained on with any backend."
        )
    if is_own_model(name):
        if weights is not None:
            raise ValueError(
                f"`weights` must be left out: a model brings its own. Received: {weights}."
            )
        return _load_own_model(Path(name), image_size, interpolation, scaling or "none")
    if scaling is not None:
        raise ValueError(f"`scaling` must be left out: {name} has its own. Received: {scaling!r}.")
    if name == FILTER_BANK:
        return _load_filter_bank(weights, image_size, interpolation)
    if name not in APPLICATIONS:
        raise ValueError(
            f"`backbone` must be one of {', '.join(BACKBONES)}, or the path of a .keras file or a "
            f"SavedModel. Received: {name!r}."
        )
    application = APPLICATIONS[name]
    size = application.image_size if image_size is None else image_size
    source = "imagenet" if weights is None else str(weights)
    is_file = source not in ("imagenet", "none")
    sha256 = sha256_of_weights(Path(source)) if is_file else None
    model = load_application(application, source, size)
    spec = BackboneSpec(
        name=name,
        weights=str(Path(source).absolute()) if is_file else source,
        weights_sha256=sha256,
        image_size=size,
        feature_shape=_feature_shape(model, name),
        preprocessing=(
            f"{_RESIZE.format(interpolation)}; "
            f"keras.applications.{application.module}.preprocess_input"
        ),
        interpolation=interpolation,
    )
    return Backbone(model, application.preprocess_input, spec)


def load_backbone_from_spec(spec: BackboneSpec, weights: Path | None = None) -> Backbone:
    """Makes the backbone again that a manifest describes.

    Args:
        spec: as `Backbone.spec` was.
        weights: where the weights file lies now, if it was moved, or if the weights
            were downloaded and cannot be here.

    Returns:
        a backbone that gives the same features.

    Raises:
        FileNotFoundError: the weights file is gone.
        ValueError: the features were imported from files, the weights file has other
            content, or this version of the package prepares frames in another way than
            the one that wrote `spec`.
    """
    if spec.name == IMPORTED:
        raise ValueError(
            "A video cannot be turned into the features that this model was trained on; how they "
            f"were computed is {spec.preprocessing}. Evaluate on imported shards, or extract "
            "shards from videos with `cham extract` and train on those."
        )
    if weights is not None and spec.weights == "none":
        raise ValueError(
            f"`weights` must be left out: the shards were made without a weights file. "
            f"Received: {weights}."
        )
    source = spec.weights if weights is None else str(weights)
    if spec.weights_sha256 is not None:
        own = spec.name == OWN_MODEL
        found = sha256_of_model(Path(source)) if own else sha256_of_weights(Path(source))
        if found != spec.weights_sha256:
            raise ValueError(
                f"The weights file must be the one that the shards were made with, SHA-256 "
                f"{spec.weights_sha256}. Received: {source} with SHA-256 {found}. Pass the "
                "original file with --weights, or extract the shards again."
            )
    if spec.name == OWN_MODEL:
        backbone = load_backbone(
            source, None, spec.image_size, spec.interpolation, spec.scaling or "none"
        )
    else:
        backbone = load_backbone(spec.name, source, spec.image_size, spec.interpolation)
    for field in ("feature_shape", "preprocessing"):
        if getattr(backbone.spec, field) != getattr(spec, field):
            raise ValueError(
                f"`{field}` of backbone {spec.name} must be {getattr(backbone.spec, field)!r} in "
                f"this version. Received: {getattr(spec, field)!r}. Extract the shards again."
            )
    return backbone


def grid_of_spec(spec: BackboneSpec) -> FeatureGrid:
    """Where the cells of features lie in a frame; needs no weights.

    Args:
        spec: as a manifest describes the backbone.

    Returns:
        the grid of `Backbone.grid`; even for imported features, and for a model of one's own
        that lies elsewhere now.

    Example:
    >>> grid_of_spec(load_backbone("filter_bank").spec) == FeatureGrid.even(7, 7)
    True
    """
    model = None
    if spec.name == FILTER_BANK:
        model = filter_bank(spec.image_size)
    elif spec.name in APPLICATIONS:
        model = APPLICATIONS[spec.name].build(spec.image_size)
    elif spec.name == OWN_MODEL and Path(spec.weights).exists():
        model, _ = load_own_model(Path(spec.weights), spec.image_size)
    grid = None if model is None else grid_of_model(model)
    return grid or FeatureGrid.even(*spec.feature_shape[:2])


def _load_own_model(
    path: Path, image_size: int | None, interpolation: str, scaling: str
) -> Backbone:
    model, size = load_own_model(path, image_size)
    preprocess = scaling_function(scaling)
    spec = BackboneSpec(
        name=OWN_MODEL,
        weights=str(path.absolute()),
        weights_sha256=sha256_of_model(path),
        image_size=size,
        feature_shape=_feature_shape(model, str(path)),
        preprocessing=f"{_RESIZE.format(interpolation)}; pixels scaled as {scaling!r}",
        interpolation=interpolation,
        scaling=scaling,
    )
    return Backbone(model, preprocess, spec)


def _load_filter_bank(
    weights: str | Path | None, image_size: int | None, interpolation: str
) -> Backbone:
    if weights not in (None, "none"):
        raise ValueError(
            f"`weights` of {FILTER_BANK} must be left out: its filters are fixed. "
            f"Received: {str(weights)!r}."
        )
    model = filter_bank(DEFAULT_IMAGE_SIZE if image_size is None else image_size)
    spec = BackboneSpec(
        name=FILTER_BANK,
        weights="none",
        weights_sha256=None,
        image_size=model.input_shape[1],
        feature_shape=_feature_shape(model, FILTER_BANK),
        preprocessing=_RESIZE.format(interpolation),
        interpolation=interpolation,
    )
    return Backbone(model, lambda frames: frames, spec)


def _feature_shape(model: keras.Model, name: str) -> tuple[int, int, int]:
    shape = model.output_shape[1:]
    if len(shape) != 3 or None in shape:
        raise ValueError(
            f"Backbone {name} must give features of height x width x channels. Received: {shape}."
        )
    height, width, channels = shape
    return height, width, channels
