"""Scores of draws against the same scores of the clips written out as often as they are drawn."""

import numpy as np
import pytest
from results_making import drawn_results
from sklearn import metrics

from cham_keras.evaluation.bootstrap import (
    bootstrap_interval,
    draw_groups,
    drawn_accuracies,
    drawn_average_precisions,
    drawn_class_accuracies,
    drawn_class_average_precisions,
    drawn_frame_accuracies,
)


@pytest.fixture(scope="module")
def results():
    """Clips in few groups, so that classes are missing in some draws; scores with ties."""
    found = drawn_results(clips=12, groups=5)
    return found.labels, found.probabilities.round(1), found.groups


def clips_of_draws(groups, draws):
    """The numbers of the clips in each draw, each as often as it was drawn."""
    names = np.unique(groups)
    for counts in draws.counts.astype(int):
        yield [
            clip
            for name, times in zip(names, counts, strict=True)
            for _ in range(times)
            for clip in np.flatnonzero(groups == name)
        ]


def test_a_draw_has_as_many_groups_as_there_are_and_all_clips_of_each():
    draws = draw_groups(np.array(["b", "a", "b", "c"]), seed=0, draws=50)
    assert draws.counts.shape == (50, 3)
    assert (draws.counts.sum(axis=1) == 3).all()
    assert (draws.counts.std(axis=0) > 0).all()
    # Of the clips, two are of group b.
    expected = draws.counts @ [1, 2, 1]
    np.testing.assert_array_equal(draws.totals(np.ones(4)), expected)


@pytest.mark.parametrize(
    ("drawn", "reference"),
    [
        (drawn_accuracies, lambda labels, rows: metrics.accuracy_score(labels, rows.argmax(1))),
        (
            drawn_class_accuracies,
            lambda labels, rows: metrics.recall_score(
                labels, rows.argmax(1), labels=np.unique(labels), average="macro"
            ),
        ),
        (
            drawn_average_precisions,
            lambda labels, rows: np.mean(
                [
                    metrics.average_precision_score(labels == label, rows[:, label])
                    for label in np.unique(labels)
                ]
            ),
        ),
    ],
    ids=["accuracy", "class accuracy", "average precision"],
)
def test_scores_of_draws_are_those_of_the_clips_written_out(results, drawn, reference):
    labels, rows, groups = results
    draws = draw_groups(groups, seed=0, draws=100)
    written_out = list(clips_of_draws(groups, draws))
    assert any(len(np.unique(labels[clips])) < 3 for clips in written_out)
    expected = [reference(labels[clips], rows[clips]) for clips in written_out]
    assert np.std(expected) > 0.01
    np.testing.assert_allclose(drawn(labels, rows, draws), expected)


def test_average_precisions_of_a_draw_are_those_of_its_classes_and_nothing_without_clips(results):
    labels, rows, groups = results
    draws = draw_groups(groups, seed=0, draws=100)
    expected = np.full((100, 3), np.nan)
    for draw, clips in enumerate(clips_of_draws(groups, draws)):
        for label in np.unique(labels[clips]):
            expected[draw, label] = metrics.average_precision_score(
                labels[clips] == label, rows[clips, label]
            )
    assert np.isnan(expected).any()
    found = drawn_class_average_precisions(labels, rows, draws)
    np.testing.assert_allclose(found, expected)


def test_the_frame_accuracy_of_a_draw_is_that_of_its_clips_frames_written_out(results):
    _, _, groups = results
    rng = np.random.default_rng(3)
    frames = rng.integers(1, 30, size=len(groups))
    right = rng.binomial(frames, 0.6)
    hits = [np.arange(many) < of_clip for many, of_clip in zip(frames, right, strict=True)]
    draws = draw_groups(groups, seed=0, draws=100)
    expected = [
        np.concatenate([hits[clip] for clip in clips]).mean()
        for clips in clips_of_draws(groups, draws)
    ]
    assert np.std(expected) > 0.01
    np.testing.assert_allclose(drawn_frame_accuracies(right, frames, draws), expected)


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


def test_the_seed_decides_the_draws():
    groups = np.arange(9)
    first = [draw_groups(groups, seed, draws=20).counts for seed in (0, 0, 1)]
    np.testing.assert_array_equal(first[0], first[1])
    assert (first[0] != first[2]).any()
