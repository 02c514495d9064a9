"""Eq. 9 and the accuracies against cases counted by hand."""

import keras
import numpy as np
import pytest

from cham_keras.layers import SoftAttentionLSTMCell, SpatialRNN
from cham_keras.losses import SequenceCrossEntropy
from cham_keras.metrics import ClipAccuracy, FrameAccuracy

PROBABILITIES = np.array(
    [
        [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1]],
        [[0.1, 0.1, 0.8], [0.3, 0.3, 0.4], [0.2, 0.2, 0.6]],
    ],
    "float32",
)
LABELS = np.array([[0, 0, -1], [2, 2, 2]])


def test_the_loss_sums_over_time_and_means_over_clips_without_padding():
    expected = -(np.log(0.7) + np.log(0.5) + np.log(0.8) + np.log(0.4) + np.log(0.6)) / 2
    np.testing.assert_allclose(SequenceCrossEntropy()(LABELS, PROBABILITIES), expected, rtol=1e-6)


def test_the_loss_over_mean_time_divides_by_each_clips_own_length():
    first = -(np.log(0.7) + np.log(0.5)) / 2
    second = -(np.log(0.8) + np.log(0.4) + np.log(0.6)) / 3
    loss = SequenceCrossEntropy(over_time="mean")(LABELS, PROBABILITIES)
    np.testing.assert_allclose(loss, (first + second) / 2, rtol=1e-6)


def test_one_label_a_clip_is_the_label_of_all_its_steps():
    of_clips = SequenceCrossEntropy()(np.array([0, 2]), PROBABILITIES)
    of_steps = SequenceCrossEntropy()(np.array([[0, 0, 0], [2, 2, 2]]), PROBABILITIES)
    np.testing.assert_allclose(of_clips, of_steps)


def test_a_weight_a_clip_scales_its_loss():
    first = -(np.log(0.7) + np.log(0.5))
    loss = SequenceCrossEntropy()(LABELS, PROBABILITIES, sample_weight=np.array([3.0, 0.0]))
    np.testing.assert_allclose(loss, 3 * first / 2, rtol=1e-6)


def test_a_mask_from_a_keras_layer_marks_padding():
    clips = np.random.default_rng(0).normal(size=(2, 3, 4, 4, 2)).astype("float32")
    features = keras.Input((3, 4, 4, 2))
    mask = keras.Input((3,), dtype="bool")
    outputs = SpatialRNN(SoftAttentionLSTMCell(2), return_sequences=True)(features, mask=mask)
    model = keras.Model([features, mask], keras.layers.Dense(3, activation="softmax")(outputs))
    model.compile(loss=SequenceCrossEntropy())
    valid = np.array([[True, True, False], [True, True, True]])
    expected = SequenceCrossEntropy()(LABELS, model.predict([clips, valid], verbose=0))
    with_mask = model.evaluate([clips, valid], np.array([0, 2]), verbose=0)
    np.testing.assert_allclose(with_mask, expected, rtol=1e-5)
    with_labels = model.evaluate([clips, valid], LABELS, verbose=0)
    np.testing.assert_allclose(with_labels, expected, rtol=1e-5)


def test_padding_has_no_gradient():
    import tensorflow as tf

    probabilities = tf.constant(PROBABILITIES)
    with tf.GradientTape() as tape:
        tape.watch(probabilities)
        loss = SequenceCrossEntropy()(LABELS, probabilities)
    gradient = tape.gradient(loss, probabilities).numpy()
    assert not gradient[0, 2].any()
    assert gradient[0, 1].any()


def test_frame_accuracy_counts_valid_frames():
    labels = np.array([[0, 1, -1], [2, 2, 0]])
    assert float(FrameAccuracy()(labels, PROBABILITIES)) == pytest.approx(3 / 5)


def test_clip_accuracy_counts_clips_by_their_mean_over_valid_frames():
    # With its third frame the first clip's sum would be 1.3 : 1.3 : 0.4.
    probabilities = PROBABILITIES.copy()
    probabilities[0, 2] = [0.0, 1.0, 0.0]
    assert float(ClipAccuracy()(LABELS, probabilities)) == 1.0
    assert float(ClipAccuracy()(np.array([0, 2]), probabilities)) == 0.5


def test_the_loss_and_metrics_survive_their_configs():
    for item in (SequenceCrossEntropy(over_time="mean"), FrameAccuracy(), ClipAccuracy()):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(item))
        assert again.get_config() == item.get_config()


def test_an_unknown_reading_of_the_loss_is_refused():
    with pytest.raises(ValueError, match="`over_time` must be 'sum' or 'mean'"):
        SequenceCrossEntropy(over_time="max")
