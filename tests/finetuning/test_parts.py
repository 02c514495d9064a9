"""What moves: unfrozen layers, two learning rates, the fall of the rate over two stages."""

import keras
import numpy as np
import pytest
from finetuning_testing import tuning
from frame_testing import small_network
from keras import layers

from cham_keras.data import load_backbone
from cham_keras.finetuning.settings import FinetuningSettings, UnfreezingSettings
from cham_keras.finetuning.tuned_model import _after, optimizer_settings
from cham_keras.finetuning.two_rate_adam import TwoRateAdam
from cham_keras.finetuning.unfreezing import layers_with_weights, unfreeze
from cham_keras.settings import read_settings, write_settings


@pytest.mark.parametrize(
    ("settings", "trained"),
    [
        ({}, ["first", "normalise", "second"]),
        ({"share": 0.7}, ["first", "normalise", "second"]),  # 2.1 of 3 layers, rounded up
        ({"share": 2 / 3}, ["normalise", "second"]),
        ({"share": 0.01}, ["second"]),
        ({"from_layer": "normalise"}, ["normalise", "second"]),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_the_stated_layers_are_trained_and_no_others(settings, trained, nested):
    network = small_network()
    if nested:  # as a model of one's own is loaded
        frames = keras.Input(network.input_shape[1:])
        network = keras.Model(frames, network(frames))
    assert unfreeze(network, UnfreezingSettings(**settings)) == trained
    found = {layer.name for layer in layers_with_weights(network) if layer.trainable_weights}
    assert found == set(trained)
    # What an earlier stage has frozen moves again.
    network.trainable = False
    assert unfreeze(network, UnfreezingSettings(**settings)) == trained


def test_a_cnn_without_weights_that_can_be_trained_is_refused():
    with pytest.raises(ValueError, match=r"must have weights that can be trained"):
        unfreeze(load_backbone("filter_bank").model, UnfreezingSettings())
    network = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3, name="a")])
    network.add(layers.Normalization(name="b"))
    with pytest.raises(ValueError, match=r"At least one layer .* from b on have no weights"):
        unfreeze(network, UnfreezingSettings(share=0.5))


def test_each_variable_moves_by_its_factor_as_adam_would_move_it():
    rng = np.random.default_rng(0)
    gradients = [rng.normal(size=(3, 2)).astype("float32") for _ in range(4)]
    slow, fast, plain = [keras.Variable(np.ones((3, 2), "float32")) for _ in range(3)]
    two = TwoRateAdam(factors=[0.25, 1.0], learning_rate=0.1)
    adam = keras.optimizers.Adam(0.1)
    for gradient in gradients:
        two.apply([keras.ops.array(gradient)] * 2, [slow, fast])
        adam.apply([keras.ops.array(gradient)], [plain])
    np.testing.assert_allclose(fast, plain, rtol=1e-6)
    np.testing.assert_allclose(slow - 1, (plain - 1) / 4, atol=1e-6)


def test_the_optimizer_survives_its_config_and_counts_its_variables():
    optimizer = TwoRateAdam(factors=[0.1], learning_rate=0.5, global_clipnorm=2.0)
    again = TwoRateAdam.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    with pytest.raises(ValueError, match="one for each of the 2 variables. Received: 1"):
        again.build([keras.Variable([0.0]), keras.Variable([0.0])])


@pytest.mark.parametrize(
    ("steps_before", "rate", "decays_at"), [(0, 1e-4, 10), (4, 1e-4, 6), (10, 1e-5, "never")]
)
def test_the_rate_falls_at_the_step_of_the_whole_fit(steps_before, rate, decays_at):
    settings = tuning(optimizer={"decay_iteration": 10})
    after = _after(optimizer_settings(settings), steps_before)
    assert after.learning_rate == pytest.approx(rate)
    assert after.decay_iteration == decays_at


def test_settings_survive_their_file(tmp_path):
    settings = tuning(unfreezing={"from_layer": "first"}, augmentation={"crop": "random"})
    write_settings(tmp_path / "finetuning.toml", settings)
    assert read_settings(FinetuningSettings, tmp_path / "finetuning.toml") == settings
