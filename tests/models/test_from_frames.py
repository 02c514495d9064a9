"""A CNN below a model: the same numbers as the two after each other, and gradients through both."""

import keras
import numpy as np
import pytest
from frame_testing import IMAGE_SIZE, small_network

from cham_keras import models

TIME = 3


def top(**arguments):
    keras.utils.set_random_seed(1)
    return models.conv_attention((None, 4, 4, 6), 2, filters=3, head_units=4, **arguments)


def frames(clips=2, time=TIME):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (clips, time, IMAGE_SIZE, IMAGE_SIZE, 3)).astype("uint8")


@pytest.mark.parametrize("lengths", [True, False])
def test_probabilities_are_those_of_the_two_models_after_each_other(lengths):
    network, model = small_network(), top(lengths=lengths)
    inputs = {"frames": frames(), "lengths": np.array([3, 2], "int32")}
    features = network.predict(frames().reshape(-1, IMAGE_SIZE, IMAGE_SIZE, 3), verbose=0)
    features = {"features": features.reshape(2, TIME, 4, 4, 6), "lengths": inputs["lengths"]}
    whole = models.from_frames(network, model)
    found = whole.predict(inputs if lengths else inputs["frames"], verbose=0)
    expected = model.predict(features if lengths else features["features"], verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_preprocessing_is_part_of_the_model_and_of_its_file(mode, tmp_path):
    network = small_network()
    preprocess = keras.applications.imagenet_utils.preprocess_input
    whole = models.from_frames(network, top(), lambda pixels: preprocess(pixels, mode=mode))
    path = tmp_path / "whole.keras"
    whole.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(loaded.predict(frames(), verbose=0),
                                  whole.predict(frames(), verbose=0))  # fmt: skip
    tuned, _ = models.parts_of_from_frames(loaded)
    tuned.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    pixels = frames()[0].astype("float32")
    expected = network.predict(preprocess(pixels.copy(), mode=mode), verbose=0)
    np.testing.assert_allclose(again.predict(pixels, verbose=0), expected, rtol=1e-4, atol=1e-4)


def test_the_gradient_reaches_the_first_layer_unless_the_network_is_frozen():
    for trainable in (True, False):
        network = small_network()
        whole = models.from_frames(network, top())
        network.trainable = trainable
        before = network.get_layer("first").get_weights()
        whole.compile(keras.optimizers.SGD(1.0), loss="sparse_categorical_crossentropy")
        whole.train_on_batch(frames(), np.zeros((2, TIME), "int32"))
        after = network.get_layer("first").get_weights()
        assert all((a != b).any() == trainable for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("inference", [True, False])
def test_statistics_of_batch_normalisation_stay_in_inference_only(inference):
    network = small_network()
    whole = models.from_frames(network, top(), inference=inference)
    whole.compile("sgd", loss="sparse_categorical_crossentropy")
    statistics = network.get_layer("normalise").non_trainable_weights
    before = [np.array(value) for value in statistics]
    whole.train_on_batch(frames(), np.zeros((2, TIME), "int32"))
    stayed = [(np.array(v) == b).all() for v, b in zip(statistics, before, strict=True)]
    assert stayed == [inference, inference]
    # Dropout draws only without `inference`.
    features = whole.get_layer("features_of_frames")
    first, second = [np.array(features(frames(), training=True)) for _ in range(2)]
    assert (first == second).all() == inference


def test_a_model_of_other_features_and_one_not_from_frames_are_refused():
    other = models.conv_attention((None, 4, 4, 5), 2, filters=3)
    with pytest.raises(ValueError, match=r"`backbone` must give .*\(4, 4, 5\). .*\(4, 4, 6\)"):
        models.from_frames(small_network(), other)
    with pytest.raises(ValueError, match="must be one that `models.from_frames` made"):
        models.parts_of_from_frames(other)
