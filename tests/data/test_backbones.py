"""Backbones: frames in, features out, and made again from what was stored."""

import dataclasses
import inspect

import keras
import numpy as np
import pytest
from PIL import Image

from cham_keras.data.backbones.applications import APPLICATIONS
from cham_keras.data.backbones.backbones import (
    BACKBONES,
    Backbone,
    load_backbone,
    load_backbone_from_spec,
)


def random_frames(num_frames: int, height: int = 40, width: int = 56) -> np.ndarray:
    rng = np.random.default_rng(num_frames)
    return rng.integers(0, 256, (num_frames, height, width, 3)).astype("uint8")


@pytest.fixture(scope="module")
def mobilenet_weights(tmp_path_factory):
    """A weights file that fits MobileNet, with random numbers."""
    path = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    load_backbone("mobilenet", "none", image_size=32).model.save_weights(path)
    return path


def test_every_network_of_keras_applications_has_a_name():
    constructors = {name for name, _ in inspect.getmembers(keras.applications, inspect.isfunction)}
    assert {application.constructor for application in APPLICATIONS.values()} == constructors
    for application in APPLICATIONS.values():
        assert callable(application.preprocess_input)


@pytest.mark.parametrize("num_frames", [1, 4, 5, 9])
def test_features_do_not_depend_on_how_frames_are_batched(num_frames):
    loaded = load_backbone("filter_bank", image_size=32)
    backbone = Backbone(loaded.model, lambda frames: frames, loaded.spec, batch_size=4)
    frames = random_frames(num_frames)
    found = backbone.features(frames)
    assert found.shape == (num_frames, 2, 2, 24)
    assert found.dtype == np.float32
    alone = np.concatenate([backbone.features(frame[None]) for frame in frames])
    np.testing.assert_allclose(found, alone, atol=1e-6)
    expected = backbone.model(backbone.resize(frames).astype("float32")).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_any_number_of_frames_of_any_size_traces_the_model_once():
    loaded = load_backbone("filter_bank", image_size=32)
    traces = []

    def preprocess(frames):
        traces.append(frames.shape)
        return frames

    backbone = Backbone(loaded.model, preprocess, loaded.spec, batch_size=4)
    for num_frames, height in ((1, 20), (4, 32), (7, 48), (12, 33)):
        backbone.features(random_frames(num_frames, height))
    assert traces == [(4, 32, 32, 3)]


def test_resizing_is_bicubic_with_antialiasing_and_without_crop():
    backbone = load_backbone("filter_bank")
    # A smooth picture with a sharp edge: Pillow's filter is the same, its rounding is not.
    down, right = np.mgrid[0:150, 0:203]
    picture = np.stack([down, right, np.where(right > 77, 255, 0)], axis=-1).astype("uint8")
    expected = np.asarray(Image.fromarray(picture).resize((112, 112), Image.Resampling.BICUBIC))
    found = backbone.resize(picture[None])[0]
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        (np.zeros((40, 40, 3), "uint8"), r"shape \(frames, height, width, 3\).* \(40, 40, 3\)"),
        (np.zeros((0, 40, 40, 3), "uint8"), r"not empty. Received: shape \(0, 40, 40, 3\)"),
        (np.zeros((2, 40, 40, 1), "uint8"), r"Received: shape \(2, 40, 40, 1\)"),
        (np.zeros((2, 40, 40, 3), "float32"), "must be uint8.*float32"),
    ],
)
def test_frames_of_another_form_are_refused(frames, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_backbone("filter_bank", image_size=32).features(frames)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"filter_bank, .*resnet152, .*Received: 'resnet'"):
        load_backbone("resnet")
    assert "resnet152" in BACKBONES


def test_the_filter_bank_takes_no_weights():
    with pytest.raises(ValueError, match=r"must be left out.*'imagenet'"):
        load_backbone("filter_bank", "imagenet")


def test_a_failed_download_says_what_to_do(monkeypatch):
    def without_network(**arguments):
        raise Exception("URL fetch failure on https://example.org: no network")

    monkeypatch.setattr(keras.applications, "MobileNet", without_network)
    with pytest.raises(ConnectionError, match=r"MobileNet could not .*no network.*--weights PATH"):
        load_backbone("mobilenet")


def test_random_weights_are_the_same_each_time_and_of_order_one():
    frames = random_frames(2)
    found = [load_backbone("mobilenet", "none", image_size=32).features(frames) for _ in range(2)]
    np.testing.assert_array_equal(found[0], found[1])
    assert 0.05 < found[0].std() < 5
    assert not np.allclose(found[0][0], found[0][1], atol=0.01)


def test_weights_of_a_file_are_used_and_preprocessing_is_the_networks_own(mobilenet_weights):
    backbone = load_backbone("mobilenet", mobilenet_weights, image_size=32)
    assert backbone.spec.name == "mobilenet"
    assert backbone.spec.weights == str(mobilenet_weights)
    assert backbone.spec.feature_shape == (1, 1, 1024)
    model = keras.applications.MobileNet(input_shape=(32, 32, 3), include_top=False, weights=None)
    model.load_weights(mobilenet_weights)
    frames = random_frames(3)
    expected = model(backbone.resize(frames).astype("float32") / 127.5 - 1)
    np.testing.assert_allclose(backbone.features(frames), expected, rtol=1e-3, atol=1e-12)


def test_weights_of_another_network_are_refused(mobilenet_weights, tmp_path):
    with pytest.raises(ValueError, match=r"fit keras.applications.MobileNetV2 .*mobilenet.weights"):
        load_backbone("mobilenet_v2", mobilenet_weights, image_size=32)
    text = tmp_path / "text.weights.h5"
    text.write_text("no weights")
    with pytest.raises(ValueError, match=r"must fit keras.applications.MobileNet .*text.weights"):
        load_backbone("mobilenet", text, image_size=32)


def test_a_missing_weights_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"no weights file nowhere.h5.* imagenet, none or"):
        load_backbone("mobilenet", "nowhere.h5")


def test_a_backbone_is_made_again_from_its_spec(mobilenet_weights):
    spec = load_backbone("mobilenet", mobilenet_weights, image_size=32).spec
    assert load_backbone_from_spec(spec).spec == spec
    bank = load_backbone("filter_bank").spec
    assert load_backbone_from_spec(bank).spec == bank


def test_a_moved_weights_file_can_be_named_and_a_changed_or_missing_one_is_refused(
    mobilenet_weights, tmp_path
):
    spec = load_backbone("mobilenet", mobilenet_weights, image_size=32).spec
    gone = dataclasses.replace(spec, weights=str(tmp_path / "gone.weights.h5"))
    with pytest.raises(FileNotFoundError, match=r"gone.weights.h5"):
        load_backbone_from_spec(gone)
    moved = load_backbone_from_spec(gone, weights=mobilenet_weights)
    assert moved.spec == spec
    changed = tmp_path / "changed.weights.h5"
    changed.write_bytes(mobilenet_weights.read_bytes() + b"x")
    with pytest.raises(ValueError, match=r"SHA-256 .*changed.weights.h5"):
        load_backbone_from_spec(spec, weights=changed)


def test_a_spec_that_this_version_would_prepare_otherwise_is_refused():
    spec = dataclasses.replace(load_backbone("filter_bank").spec, preprocessing="centre crop")
    with pytest.raises(ValueError, match=r"`preprocessing` of backbone filter_bank.*centre crop"):
        load_backbone_from_spec(spec)
    spec = load_backbone("filter_bank").spec
    with pytest.raises(ValueError, match=r"`weights` must be left out.*some.h5"):
        load_backbone_from_spec(spec, weights="some.h5")


def test_trained_weights_tell_a_cat_from_a_bird(shared_data):
    weights = shared_data / "models" / "mobilenet_1_0_224_no_top.weights.h5"
    backbone = load_backbone("mobilenet", weights)
    pooled = {}
    for name in ("cat", "bird"):
        picture = np.asarray(Image.open(shared_data / "models" / f"{name}.bmp").convert("RGB"))
        features = backbone.features(np.stack([picture, picture[:, ::-1]]))
        assert features.shape == (2, 7, 7, 1024)
        assert features.min() == 0  # ReLU6
        assert 5.9 < features.max() <= 6.0001
        pooled[name], pooled[f"{name} mirrored"] = features.mean(axis=(1, 2))

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    assert cosine(pooled["cat"], pooled["cat mirrored"]) > 0.9
    assert cosine(pooled["bird"], pooled["bird mirrored"]) > 0.9
    assert cosine(pooled["cat"], pooled["bird"]) < 0.6
