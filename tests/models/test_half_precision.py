"""The models of Table 4 and the optional parts in float16 and bfloat16."""

import keras
import numpy as np
import pytest
from layer_testing import random_array

from cham_keras import models
from cham_keras.losses import SequenceCrossEntropy

SHAPE = (None, 5, 4, 8)
CLIPS = random_array((3, 6, 5, 4, 8), seed=1)
BATCH = {"features": CLIPS, "lengths": np.array([6, 4, 1], "int32")}
# A few roundings a step over six steps, as in the layers' tests.
TOLERANCE = {"mixed_float16": 4 * 2.0**-10, "mixed_bfloat16": 4 * 2.0**-7}
MODELS = {
    "conv_alstm": lambda: models.conv_alstm(SHAPE, 3, filters=4, head_units=8, lengths=True),
    "average_pooled_lstm": lambda: models.average_pooled_lstm(
        SHAPE, 3, units=4, head_units=8, lengths=True
    ),
    "softmax_regression": lambda: models.softmax_regression(
        SHAPE, 3, l2=0.1, standardize=True, lengths=True
    ),
    "spatial_convnet": lambda: models.spatial_convnet(SHAPE, 3, lengths=True),
    "cham with all it can have": lambda: models.cham(
        SHAPE,
        3,
        filters=4,
        head_units=8,
        initial_state="learned",
        attention_penalty=0.1,
        standardize=True,
        lengths=True,
    ),
}


@pytest.fixture(params=TOLERANCE)
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", MODELS)
def test_scores_are_float32_near_those_in_float32_and_survive_saving(name, policy, tmp_path):
    keras.utils.set_random_seed(1)
    half = MODELS[name]()
    keras.config.set_dtype_policy("float32")
    full = MODELS[name]()
    full.set_weights(half.get_weights())
    scores = half(BATCH)
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    assert all(weight.dtype in ("float32", "uint32") for weight in half.weights)
    scores = np.asarray(scores)
    np.testing.assert_allclose(scores.sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(scores, full(BATCH), atol=TOLERANCE[policy])
    assert np.abs(scores - np.asarray(full(BATCH))).max() > 0  # it did compute in half precision
    half.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("logits").dtype_policy.name == policy
    np.testing.assert_array_equal(loaded(BATCH), scores)


@pytest.mark.parametrize("name", MODELS)
def test_training_moves_every_weight_and_stays_finite(name, policy):
    keras.utils.set_random_seed(1)
    model = MODELS[name]()
    model.compile(keras.optimizers.Adam(0.01), SequenceCrossEntropy(), run_eagerly=True)
    before = [np.copy(weight) for weight in model.trainable_weights]
    for _ in range(2):
        assert np.isfinite(model.train_on_batch(BATCH, np.array([0, 1, 2])))
    for old, weight in zip(before, model.trainable_weights, strict=True):
        new = np.asarray(weight)
        assert np.isfinite(new).all(), weight.path
        assert np.abs(new - old).max() > 0, weight.path


def test_a_trained_memory_is_float32_in_the_stream_too(policy):
    model = MODELS["cham with all it can have"]()
    # Between two numbers of half precision.
    model.get_layer("initial_c2").state.assign(np.full((5, 4, 4), 1 + 2.0**-13, "float32"))
    for states in (
        models.start_states(models.streaming(model), 3),
        models.start_states_from_clip(model, CLIPS),
    ):
        np.testing.assert_array_equal(states["c2"], np.full((3, 5, 4, 4), 1 + 2.0**-13, "float32"))
