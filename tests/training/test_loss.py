"""Eq. 9 with padding, weights and smoothed labels, against sums written out by hand."""

import numpy as np
import pytest

from cham_keras.losses import SequenceCrossEntropy

PROBABILITIES = np.array(
    [
        [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1]],
        [[0.1, 0.1, 0.8], [0.3, 0.3, 0.4], [0.2, 0.2, 0.6]],
    ],
    "float32",
)
LABELS = np.array([[0, 0, -1], [2, 2, 2]])


def test_smoothed_labels_with_padding():
    # e = 0.3 and three classes: the label's class has 0.8, each other one 0.1.
    first = 0.8 * np.log(0.7) + 0.1 * np.log(0.2) + 0.1 * np.log(0.1)
    first += 0.8 * np.log(0.5) + 0.1 * np.log(0.3) + 0.1 * np.log(0.2)
    second = 0.1 * np.log(0.1) + 0.1 * np.log(0.1) + 0.8 * np.log(0.8)
    second += 0.1 * np.log(0.3) + 0.1 * np.log(0.3) + 0.8 * np.log(0.4)
    second += 0.1 * np.log(0.2) + 0.1 * np.log(0.2) + 0.8 * np.log(0.6)
    loss = SequenceCrossEntropy(label_smoothing=0.3)(LABELS, PROBABILITIES)
    np.testing.assert_allclose(loss, -(first + second) / 2, rtol=1e-6)
    mean = SequenceCrossEntropy("mean", label_smoothing=0.3)(LABELS, PROBABILITIES)
    np.testing.assert_allclose(mean, -(first / 2 + second / 3) / 2, rtol=1e-6)
    weighted = SequenceCrossEntropy(label_smoothing=0.3)(
        LABELS, PROBABILITIES, sample_weight=np.array([2.0, 0.5])
    )
    np.testing.assert_allclose(weighted, -(2 * first + 0.5 * second) / 2, rtol=1e-6)


def test_padding_has_no_gradient_with_smoothed_labels():
    import tensorflow as tf

    probabilities = tf.constant(PROBABILITIES)
    with tf.GradientTape() as tape:
        tape.watch(probabilities)
        loss = SequenceCrossEntropy(label_smoothing=0.3)(LABELS, probabilities)
    gradient = tape.gradient(loss, probabilities).numpy()
    assert not gradient[0, 2].any()
    assert gradient[0, 1].all()


def test_hardly_smoothed_labels_are_almost_the_labels():
    plain = SequenceCrossEntropy()(LABELS, PROBABILITIES)
    nearly = SequenceCrossEntropy(label_smoothing=1e-7)(LABELS, PROBABILITIES)
    np.testing.assert_allclose(nearly, plain, rtol=1e-6)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match="`label_smoothing` must be at least 0 and below 1"):
        SequenceCrossEntropy(label_smoothing=share)


def test_smoothing_survives_the_config():
    loss = SequenceCrossEntropy(label_smoothing=0.2)
    assert SequenceCrossEntropy.from_config(loss.get_config()).label_smoothing == 0.2
