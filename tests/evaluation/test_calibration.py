"""Calibration against a case counted by hand, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from cham_keras.evaluation.calibration import calibration


def rows_of(confidence):
    """Two classes, of which the first is named with the given confidences."""
    confidence = np.asarray(confidence, float)
    return np.stack([confidence, 1 - confidence], axis=1)


def test_the_error_is_the_mean_gap_of_the_clips():
    # Bins of 0.1: (0.5, 0.6] is half right at 0.56, (0.9, 1] three quarters right at 0.96.
    confidence = [0.55, 0.57, 0.93, 0.95, 0.97, 0.99]
    labels = np.array([0, 1, 0, 0, 1, 0])
    found = calibration(labels, rows_of(confidence))
    assert found.clips.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 4]
    assert found.confidence[[5, 9]] == pytest.approx([0.56, 0.96])
    assert found.accuracy[[5, 9]] == pytest.approx([0.5, 0.75])
    assert found.error == pytest.approx((2 * 0.06 + 4 * 0.21) / 6)
    assert np.isnan(found.accuracy[[0, 1, 2, 3, 4, 6, 7, 8]]).all()


@pytest.mark.parametrize("num_bins", [5, 10, 15])
def test_bins_are_scikit_learns(num_bins):
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(4), size=200)
    labels = rng.integers(4, size=200)
    hits, confidence = rows.argmax(axis=1) == labels, rows.max(axis=1)
    accuracy, mean = calibration_curve(hits, confidence, n_bins=num_bins, strategy="uniform")
    found = calibration(labels, rows, num_bins)
    filled = found.clips > 0
    np.testing.assert_allclose(found.accuracy[filled], accuracy)
    np.testing.assert_allclose(found.confidence[filled], mean)
    weights = np.histogram(confidence, np.linspace(0, 1, num_bins + 1))[0][filled] / 200
    assert found.error == pytest.approx((weights * np.abs(accuracy - mean)).sum())


def test_a_clip_on_an_edge_lies_below_it_and_certainty_in_the_last_bin():
    found = calibration(np.array([0, 0]), rows_of([0.75, 1.0]), num_bins=4)
    assert found.clips.tolist() == [0, 0, 1, 1]
    # A softmax may sum to a little more than 1.
    above = calibration(np.array([0]), np.array([[1 + 1e-7, 0.0]]), num_bins=4)
    assert above.clips.tolist() == [0, 0, 0, 1]


def test_a_model_that_is_as_sure_as_right_has_no_error():
    confidence = np.full(10, 0.8)
    labels = np.array([0] * 8 + [1] * 2)
    assert calibration(labels, rows_of(confidence)).error == pytest.approx(0)


def test_no_bins_are_refused():
    with pytest.raises(ValueError, match="`num_bins` must be at least 1. Received: 0"):
        calibration(np.array([0]), rows_of([0.9]), num_bins=0)
