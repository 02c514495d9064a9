"""Scores against cases counted by hand."""

import numpy as np
import pytest

from cham_keras.evaluation.scores import (
    accuracy,
    average_precision,
    bootstrap_interval,
    confusion_matrix,
)


def test_accuracy_is_the_share_of_hits():
    assert accuracy(np.array([0, 1, 2, 2]), np.array([0, 2, 2, 2])) == 0.75


def test_rows_of_the_confusion_matrix_are_labels():
    matrix = confusion_matrix(np.array([0, 0, 2]), np.array([1, 0, 1]), 3)
    np.testing.assert_array_equal(matrix, [[1, 1, 0], [0, 0, 0], [0, 1, 0]])


def test_average_precision_is_the_mean_precision_at_the_hits():
    hits = np.array([True, False, True, False, True])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    assert average_precision(hits, scores) == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)


def test_average_precision_does_not_depend_on_the_order_of_ties():
    scores = np.array([0.5, 0.5, 0.5, 0.1])
    first = average_precision(np.array([True, False, False, True]), scores)
    last = average_precision(np.array([False, False, True, True]), scores)
    assert first == last == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_average_precision_of_an_absent_class_is_not_a_number():
    assert np.isnan(average_precision(np.array([False, False]), np.array([0.1, 0.2])))


def test_the_interval_of_independent_clips_is_near_the_normal_one():
    values = np.repeat([0.0, 1.0], 200)
    lower, upper = bootstrap_interval(values, np.arange(400), seed=0)
    width = 1.96 * np.sqrt(0.25 / 400)
    assert lower == pytest.approx(0.5 - width, abs=0.01)
    assert upper == pytest.approx(0.5 + width, abs=0.01)


def test_clips_of_one_source_widen_the_interval():
    values = np.repeat([0.0, 1.0], 200)
    alone = bootstrap_interval(values, np.arange(400), seed=0)
    grouped = bootstrap_interval(values, np.arange(400) // 20, seed=0)
    assert grouped[1] - grouped[0] > 3 * (alone[1] - alone[0])
