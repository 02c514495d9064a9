"""A model of one's own as a backbone: `.keras` files and SavedModels, and what they must be."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cham_keras.data.backbones.backbones import load_backbone, load_backbone_from_spec
from cham_keras.data.backbones.own_models import SCALINGS, is_own_model, sha256_of_model

SIZE = 32


def network(size: int | None = SIZE, channels: int = 3, **arguments) -> keras.Model:
    """A small network with a place for what only training uses."""
    keras.utils.set_random_seed(0)
    frames = keras.Input((size, size, channels), **arguments)
    maps = layers.Conv2D(4, 3, strides=8, padding="same")(frames)
    maps = layers.Dropout(0.5)(layers.BatchNormalization()(maps))
    return keras.Model(frames, maps)


def two_inputs() -> keras.Model:
    one, other = keras.Input((SIZE, SIZE, 3)), keras.Input((SIZE, SIZE, 3))
    return keras.Model([one, other], layers.Conv2D(4, 8)(one + other))


def with_outputs(number: int, as_dict: bool = False) -> keras.Model:
    frames = keras.Input((SIZE, SIZE, 3))
    maps = [layers.Conv2D(4, 3, strides=8, name=f"maps{i}")(frames) for i in range(number)]
    return keras.Model(frames, {f"maps{i}": m for i, m in enumerate(maps)} if as_dict else maps)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The same network as a `.keras` file and as a SavedModel."""
    folder = tmp_path_factory.mktemp("models")
    model = network()
    model.save(folder / "mine.keras")
    model.export(folder / "saved", verbose=False)
    return {"keras": folder / "mine.keras", "saved": folder / "saved", "model": model}


def random_frames(num_frames: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num_frames, 40, 56, 3)).astype("uint8")


def scaled(frames: np.ndarray, scaling: str) -> np.ndarray:
    """As the documentation of `keras.applications` words it."""
    frames = frames.astype("float32")
    if scaling == "tf":
        return frames / 127.5 - 1
    if scaling == "torch":
        return (frames / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    if scaling == "caffe":
        return frames[..., ::-1] - [103.939, 116.779, 123.68]
    return frames


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("kind", ["keras", "saved"])
def test_features_are_the_models_own_for_pixels_scaled_as_named(models, kind, scaling):
    backbone = load_backbone(str(models[kind]), scaling=scaling)
    frames = random_frames()
    pixels = scaled(backbone.resize(frames), scaling).astype("float32")
    expected = models["model"](pixels, training=False)
    np.testing.assert_allclose(backbone.features(frames), expected, rtol=1e-4, atol=1e-3)
    spec = backbone.spec
    assert (spec.name, spec.scaling, spec.image_size) == ("model", scaling, SIZE)
    assert spec.feature_shape == (4, 4, 4)
    assert spec.weights == str(models[kind])
    assert spec.weights_sha256 == sha256_of_model(models[kind])


@pytest.mark.parametrize("kind", ["keras", "saved"])
def test_the_backbone_is_made_again_from_its_spec_also_where_it_moved(models, kind, tmp_path):
    spec = load_backbone(str(models[kind]), scaling="torch", interpolation="area").spec
    again = load_backbone_from_spec(spec)
    assert again.spec == spec
    moved = tmp_path / models[kind].name
    shutil.move(
        shutil.copytree(models[kind], tmp_path / "copy")
        if kind == "saved"
        else shutil.copy(models[kind], tmp_path / "copy.keras"),
        moved,
    )
    frames = random_frames()
    elsewhere = load_backbone_from_spec(dataclasses.replace(spec, weights="/nowhere"), moved)
    np.testing.assert_array_equal(elsewhere.features(frames), again.features(frames))
    with pytest.raises(FileNotFoundError, match="no model /nowhere"):
        load_backbone_from_spec(dataclasses.replace(spec, weights="/nowhere"))


@pytest.mark.parametrize("kind", ["keras", "saved"])
def test_a_model_that_changed_since_is_refused(models, kind, tmp_path):
    path = tmp_path / models[kind].name
    (shutil.copytree if kind == "saved" else shutil.copy)(models[kind], path)
    spec = load_backbone(str(path)).spec
    file = path / "saved_model.pb" if kind == "saved" else path
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ValueError, match=r"SHA-256 .*extract the shards again"):
        load_backbone_from_spec(spec)


def test_the_checksum_of_a_folder_knows_names_contents_and_places(tmp_path):
    def made(name: str, files: dict[str, str]) -> str:
        for file, text in files.items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(text)
        return sha256_of_model(tmp_path / name)

    first = made("one", {"a": "1", "b/c": "2"})
    assert made("two", {"b/c": "2", "a": "1"}) == first
    others = [{"a": "1", "b/d": "2"}, {"a": "2", "b/c": "1"}, {"a": "1"}, {"a": "1", "c": "2"}]
    checksums = {made(f"other{number}", files) for number, files in enumerate(others)}
    assert len(checksums | {first}) == 5


def test_a_model_for_frames_of_any_size_needs_one_named(tmp_path):
    network(size=None).save(tmp_path / "any.keras")
    name = str(tmp_path / "any.keras")
    with pytest.raises(ValueError, match=r"any.keras takes frames of any size.*--image-size"):
        load_backbone(name)
    assert load_backbone(name, image_size=64).spec.feature_shape == (8, 8, 4)
    for size in (0, -1):
        with pytest.raises(ValueError, match=rf"`image_size` must be at least 1. Received: {size}"):
            load_backbone(name, image_size=size)


@pytest.mark.parametrize("kind", ["keras", "saved"])
@pytest.mark.parametrize("size", [64, 0])
def test_another_image_size_than_the_models_is_refused(models, kind, size):
    with pytest.raises(ValueError, match=rf"`image_size` must be .*Received: {size}"):
        load_backbone(str(models[kind]), image_size=size)


def vector_model() -> keras.Model:
    frames = keras.Input((SIZE, SIZE, 3))
    return keras.Model(frames, layers.GlobalAveragePooling2D()(frames))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (two_inputs, r"one input \(batch, height, width, 3\). Received: .*broken"),
        (
            lambda: network(channels=1),
            r"one input \(batch, height, width, 3\). .*\(None, 32, 32, 1\)",
        ),
        (vector_model, r"features of height x width x channels. Received: \(3,\)"),
        (lambda: with_outputs(2), r"one output. Received: .*broken.* 2"),
        (lambda: with_outputs(4), r"one output. Received: .*broken.* 4"),
        (lambda: with_outputs(2, as_dict=True), r"one output. Received: .*broken.* 2"),
    ],
    ids=["two inputs", "grey", "vector", "two", "four", "two by name"],
)
@pytest.mark.parametrize("kind", ["keras", "saved"])
def test_what_is_no_backbone_is_refused_with_its_path(tmp_path, make, sentence, kind):
    if kind == "keras":
        path = tmp_path / "broken.keras"
        make().save(path)
    else:
        path = tmp_path / "broken"
        make().export(path, verbose=False)
    with pytest.raises(ValueError, match=sentence):
        load_backbone(str(path))


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize("kind", ["keras", "saved"])
def test_one_output_may_stand_in_a_list_or_have_a_name(tmp_path, as_dict, kind):
    model = with_outputs(1, as_dict)
    path = tmp_path / ("one.keras" if kind == "keras" else "one")
    model.save(path) if kind == "keras" else model.export(path, verbose=False)
    backbone = load_backbone(str(path))
    frames = random_frames()
    (expected,) = keras.tree.flatten(model(backbone.resize(frames).astype("float32")))
    np.testing.assert_allclose(backbone.features(frames), expected, rtol=1e-4, atol=1e-3)


class OnlyTensorFlow(tf.Module):
    """A SavedModel that no Keras wrote, from another framework say."""

    def __init__(self, dtype, batch_size=None):
        super().__init__()
        self.kernel = tf.Variable(tf.random.stateless_normal((8, 8, 3, 2), (0, 0)))
        self.serve = tf.function(
            lambda frames: {
                "maps": tf.nn.conv2d(tf.cast(frames, tf.float32), self.kernel, 8, "VALID")
            },
            input_signature=[tf.TensorSpec((batch_size, SIZE, SIZE, 3), dtype, name="frames")],
        )


def test_a_saved_model_without_keras_is_taken(tmp_path):
    module = OnlyTensorFlow(tf.float32)
    tf.saved_model.save(module, tmp_path / "plain", {"serving_default": module.serve})
    backbone = load_backbone(str(tmp_path / "plain"))
    frames = random_frames()
    expected = module.serve(tf.cast(backbone.resize(frames), tf.float32))["maps"]
    np.testing.assert_allclose(backbone.features(frames), expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("dtype", [tf.uint8, tf.float16])
def test_a_saved_model_of_other_numbers_is_refused(tmp_path, dtype):
    module = OnlyTensorFlow(dtype)
    tf.saved_model.save(module, tmp_path / "plain", {"serving_default": module.serve})
    with pytest.raises(ValueError, match=rf"take float32. Received: .*plain with .*{dtype.name}"):
        load_backbone(str(tmp_path / "plain"))


def test_a_model_for_one_frame_at_a_time_is_refused(tmp_path):
    network(batch_size=1).save(tmp_path / "one.keras")
    module = OnlyTensorFlow(tf.float32, batch_size=1)
    tf.saved_model.save(module, tmp_path / "one", {"serving_default": module.serve})
    for name in ("one.keras", "one"):
        with pytest.raises(ValueError, match=rf"any number of frames .*{name} .*\(1, 32, 32, 3\)"):
            load_backbone(str(tmp_path / name))


def test_a_saved_model_without_a_default_signature_is_refused(tmp_path):
    module = OnlyTensorFlow(tf.float32)
    tf.saved_model.save(module, tmp_path / "plain", {"other": module.serve})
    with pytest.raises(ValueError, match=r"plain cannot be loaded: .*serving_default"):
        load_backbone(str(tmp_path / "plain"))


def test_what_is_no_model_at_all_is_refused_in_one_line(tmp_path):
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"no model")
    (tmp_path / "folder.keras").mkdir()
    for name in ("text.keras", "saved", "folder.keras"):
        with pytest.raises(ValueError, match=rf"{name} cannot be loaded: ") as error:
            load_backbone(str(tmp_path / name))
        assert "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError, match="no model nowhere.keras"):
        load_backbone("nowhere.keras")
    assert not is_own_model(str(tmp_path / "nowhere"))


def test_options_that_do_not_go_together_are_refused(models):
    with pytest.raises(ValueError, match="`weights` must be left out"):
        load_backbone(str(models["keras"]), weights="some.h5")
    with pytest.raises(ValueError, match=r"`scaling` must be one of none, tf, caffe, torch. .*'x'"):
        load_backbone(str(models["keras"]), scaling="x")
    with pytest.raises(ValueError, match=r"`scaling` must be left out: filter_bank"):
        load_backbone("filter_bank", scaling="tf")
