"""The penalty on attention that leaves positions out: its number, where it is and where not."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_testing import random_array

from cham_keras import models
from cham_keras.losses import SequenceCrossEntropy

SHAPE = (None, 5, 4, 3)
CLIPS = random_array((3, 6, 5, 4, 3), seed=1)
LENGTHS = np.array([6, 4, 1], "int32")
LABELS = np.where(np.arange(6) < LENGTHS[:, None], np.array([[0], [1], [2]]), -1)
ALPHA = 0.7
BUILDERS = {
    "fc_attention": lambda **how: models.fc_attention(SHAPE, 3, units=4, dropout=0.0, **how),
    "conv_attention": lambda **how: models.conv_attention(
        SHAPE, 3, filters=4, dropout=0.0, attention_scale=20.0, **how
    ),
    "cham": lambda **how: models.cham(SHAPE, 3, filters=4, dropout=0.0, **how),
    "conv_alstm": lambda **how: models.conv_alstm(SHAPE, 3, filters=4, dropout=0.0, **how),
}
SCALES = {"conv_attention": 20.0}


@pytest.fixture(params=BUILDERS)
def name(request):
    keras.utils.set_random_seed(1)
    return request.param


def penalty_by_hand(model, scale, inputs, lengths):
    maps = models.with_attention(model).predict(inputs, verbose=0)["attention"] / scale
    of_clips = [
        ((1 - clip[:length].sum(axis=0)) ** 2).sum()
        for clip, length in zip(maps.astype("float64"), lengths, strict=True)
    ]
    return ALPHA * np.mean(of_clips)


def test_training_adds_the_penalty_of_the_valid_steps(name):
    model = BUILDERS[name](attention_penalty=ALPHA, lengths=True)
    inputs = {"features": CLIPS, "lengths": LENGTHS}
    expected = penalty_by_hand(model, SCALES.get(name, 1.0), inputs, LENGTHS)
    model(inputs, training=True)
    assert len(model.losses) == 1
    assert float(model.losses[0]) == pytest.approx(expected, rel=1e-5)
    # Other numbers on padding are the same clips.
    junk = np.where((np.arange(6) < LENGTHS[:, None])[..., None, None, None], CLIPS, 50 * CLIPS)
    model({"features": junk.astype("float32"), "lengths": LENGTHS}, training=True)
    assert float(model.losses[0]) == pytest.approx(expected, rel=1e-5)


def test_whole_clips_need_no_lengths(name):
    model = BUILDERS[name](attention_penalty=ALPHA)
    expected = penalty_by_hand(model, SCALES.get(name, 1.0), CLIPS, [6, 6, 6])
    model(CLIPS, training=True)
    assert float(model.losses[0]) == pytest.approx(expected, rel=1e-5)


def test_fit_reports_the_penalty_and_evaluation_does_not(name):
    model = BUILDERS[name](attention_penalty=ALPHA, lengths=True)
    inputs = {"features": CLIPS, "lengths": LENGTHS}
    model.compile(keras.optimizers.SGD(0.0), SequenceCrossEntropy())
    of_labels = model.evaluate(inputs, LABELS, verbose=0)
    in_training = model.fit(inputs, LABELS, verbose=0).history["loss"][0]
    penalty = penalty_by_hand(model, SCALES.get(name, 1.0), inputs, LENGTHS)
    assert penalty > 0.1
    assert in_training - of_labels == pytest.approx(penalty, rel=1e-4)


def test_a_strong_penalty_evens_the_attention_out():
    keras.utils.set_random_seed(1)
    # 20 steps for 20 positions: each can have attention that sums to one.
    clips = np.repeat(CLIPS[:1, :1], 20, axis=1) * 3
    model = models.fc_attention(SHAPE, 3, units=4, dropout=0.0, attention_penalty=10.0)
    for kernel in ("attention_input_kernel", "attention_score_kernel"):
        weight = getattr(model.get_layer("recurrence").cell, kernel)
        weight.assign(2 * weight)
    model.compile(keras.optimizers.Adam(0.05), SequenceCrossEntropy())

    def unevenness():
        maps = models.with_attention(model).predict(clips, verbose=0)["attention"]
        return np.abs(1 - maps.sum(axis=1)).mean()

    before = unevenness()
    model.fit(clips, np.array([0]), epochs=30, verbose=0)
    assert unevenness() < 0.3 * before


def test_a_loaded_model_has_the_penalty_and_a_model_without_has_none(name, tmp_path):
    model = BUILDERS[name](attention_penalty=ALPHA)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    model(CLIPS, training=True)
    loaded(CLIPS, training=True)
    assert float(loaded.losses[0]) == pytest.approx(float(model.losses[0]), rel=1e-5)
    without = BUILDERS[name]()
    without(CLIPS, training=True)
    assert not without.losses
    assert "attention_penalty" not in [layer.name for layer in without.layers]
    assert len(without.weights) == len(model.weights)


def test_inference_is_the_graph_of_a_model_without(name):
    def operations(model):
        spec = tf.TensorSpec((None, None, *SHAPE[1:]), "float32")
        graph = tf.function(lambda clips: model(clips, training=False))
        return sorted(
            node.op for node in graph.get_concrete_function(spec).graph.as_graph_def().node
        )

    model = BUILDERS[name](attention_penalty=ALPHA)
    assert operations(model) == operations(BUILDERS[name]())
    model(CLIPS, training=False)
    assert not model.losses
