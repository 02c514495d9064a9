"""Scores against cases counted by hand, and against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from cham_keras.evaluation.scores import (
    accuracy,
    average_precision,
    class_accuracies,
    confusion_matrix,
    negative_log_likelihood,
    precision_and_recall,
    top_k_accuracy,
)


@pytest.fixture
def drawn():
    """Labels and probabilities `(60, 7)`; the probabilities are rounded, so that many tie."""
    rng = np.random.default_rng(0)
    labels = rng.integers(7, size=60)
    rows = rng.dirichlet(np.ones(7), size=60) + 0.3 * np.eye(7)[labels]
    return labels, rows / rows.sum(axis=1, keepdims=True)


def test_accuracy_is_the_share_of_hits():
    assert accuracy(np.array([0, 1, 2, 2]), np.array([0, 2, 2, 2])) == 0.75


def test_rows_of_the_confusion_matrix_are_labels(drawn):
    matrix = confusion_matrix(np.array([0, 0, 2]), np.array([1, 0, 1]), 3)
    np.testing.assert_array_equal(matrix, [[1, 1, 0], [0, 0, 0], [0, 1, 0]])
    labels, rows = drawn
    predicted = rows.argmax(axis=1)
    expected = metrics.confusion_matrix(labels, predicted, labels=range(7))
    np.testing.assert_array_equal(confusion_matrix(labels, predicted, 7), expected)


def test_class_accuracies_are_scikit_learns_recalls(drawn):
    labels, rows = drawn
    predicted = rows.argmax(axis=1)
    found = class_accuracies(confusion_matrix(labels, predicted, 7))
    np.testing.assert_allclose(found, metrics.recall_score(labels, predicted, average=None))
    assert found.mean() == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))


def test_the_accuracy_of_a_class_without_clips_is_not_a_number():
    found = class_accuracies(np.array([[1, 3], [0, 0]]))
    np.testing.assert_array_equal(found, [0.25, np.nan])


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6])
def test_top_k_is_scikit_learns(drawn, k):
    labels, rows = drawn
    expected = metrics.top_k_accuracy_score(labels, rows, k=k, labels=range(7))
    assert top_k_accuracy(labels, rows, k) == pytest.approx(expected)


def test_of_equally_probable_classes_the_first_counts():
    rows = np.array([[0.4, 0.2, 0.2, 0.2]] * 3)
    assert top_k_accuracy(np.array([0, 1, 2]), rows, k=2) == pytest.approx(2 / 3)
    assert top_k_accuracy(np.array([1, 2, 3]), rows, k=3) == pytest.approx(2 / 3)


@pytest.mark.parametrize("k", [0, 8])
def test_more_places_than_classes_are_refused(drawn, k):
    with pytest.raises(ValueError, match=f"`k` must be from 1 to the 7 classes. Received: {k}"):
        top_k_accuracy(*drawn, k)


def test_the_likelihood_is_scikit_learns(drawn):
    labels, rows = drawn
    expected = metrics.log_loss(labels, rows, labels=range(7))
    assert negative_log_likelihood(labels, rows) == pytest.approx(expected)


def test_a_clip_that_was_held_impossible_costs_a_stated_number_of_nats():
    rows = np.array([[1.0, 0.0], [1.0, 0.0]])
    found = negative_log_likelihood(np.array([0, 1]), rows)
    assert found == pytest.approx(-np.log(1e-15) / 2)


def test_average_precision_is_the_mean_precision_at_the_hits():
    hits = np.array([True, False, True, False, True])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    assert average_precision(hits, scores) == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)


def test_average_precision_does_not_depend_on_the_order_of_ties():
    scores = np.array([0.5, 0.5, 0.5, 0.1])
    first = average_precision(np.array([True, False, False, True]), scores)
    last = average_precision(np.array([False, False, True, True]), scores)
    assert first == last == pytest.approx((1 / 3 + 2 / 4) / 2)


@pytest.mark.parametrize("decimals", [1, 15], ids=["ties", "no ties"])
def test_average_precision_is_scikit_learns(drawn, decimals):
    labels, rows = drawn
    rows = rows.round(decimals)
    assert (len(np.unique(rows)) < 20) == (decimals == 1)
    for label in range(7):
        expected = metrics.average_precision_score(labels == label, rows[:, label])
        assert average_precision(labels == label, rows[:, label]) == pytest.approx(expected)


def test_precision_and_recall_are_scikit_learns(drawn):
    labels, rows = drawn
    scores = rows[:, 2].round(1)
    precision, recall, thresholds = metrics.precision_recall_curve(labels == 2, scores)
    found = precision_and_recall(labels == 2, scores)
    assert len(found[0]) == len(thresholds) < 15
    np.testing.assert_allclose(found[0], precision[-2::-1])  # without the end at recall 0
    np.testing.assert_allclose(found[1], recall[-2::-1])


def test_average_precision_of_an_absent_class_is_not_a_number():
    assert np.isnan(average_precision(np.array([False, False]), np.array([0.1, 0.2])))
