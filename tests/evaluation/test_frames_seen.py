"""Accuracy against frames seen: cases counted by hand."""

import numpy as np
import pytest

from cham_keras.evaluation import FrameFigures
from cham_keras.evaluation.frames_seen import (
    accuracy_at_share,
    accuracy_by_frames_seen,
    share_reached,
)


def frames_of(*of_first_class):
    """Probabilities of two classes, from those of the first."""
    first = np.array(of_first_class)
    return np.stack([first, 1 - first], axis=1)


def test_the_mean_over_the_frames_so_far_decides():
    clips = [
        frames_of(0.9, 0.2, 0.2, 0.2),  # means 0.9, 0.55, 0.43, 0.375: the first class twice
        frames_of(0.4, 0.4, 0.9, 0.9),  # means 0.4, 0.4, 0.57, 0.65: the first class at the end
    ]
    found = accuracy_by_frames_seen(clips, np.array([0, 0]), num_points=4)
    assert found.tolist() == [0.5, 0.5, 0.5, 0.5]
    found = accuracy_by_frames_seen(clips, np.array([1, 0]), num_points=4)
    assert found.tolist() == [0, 0, 1, 1]


def test_a_shorter_clip_has_shown_the_same_share_of_itself():
    # Two frames in place of four: one of them at t = 1 and 2, both at t = 3 and 4.
    found = accuracy_by_frames_seen([frames_of(0.9, 0.0)], np.array([0]), num_points=4)
    assert found.tolist() == [1, 1, 0, 0]
    # Three in place of four: 1, 2, 3, 3. The means are 0.9, 0.45 and 0.63.
    found = accuracy_by_frames_seen([frames_of(0.9, 0.0, 1.0)], np.array([0]), num_points=4)
    assert found.tolist() == [1, 0, 1, 1]


def test_a_longer_clip_is_shown_in_larger_parts():
    # Six frames in three points: 2, 4, 6 of them.
    found = accuracy_by_frames_seen([frames_of(0.9, 0, 0.9, 0.9, 0, 0)], np.array([0]), 3)
    assert found.tolist() == [0, 1, 0]


def test_the_last_point_is_the_clip_accuracy():
    rng = np.random.default_rng(0)
    clips = [rng.dirichlet(np.ones(3), size=frames) for frames in (2, 5, 7, 7, 7, 7, 4, 1)]
    labels = rng.integers(3, size=8)
    found = accuracy_by_frames_seen(clips, labels, num_points=7)
    hits = [clip.mean(axis=0).argmax() == label for clip, label in zip(clips, labels, strict=True)]
    assert found.shape == (7,)
    assert found[-1] == np.mean(hits)
    assert 0 < found[-1] < 1


def test_a_share_is_reached_where_the_accuracy_stays_above_it():
    curve = [0.2, 0.8, 0.5, 0.72, 0.8]
    assert share_reached(curve, 0.9) == 0.8  # of 0.8: 0.72 counts
    assert share_reached(curve, 0.95) == 1.0
    assert share_reached(curve, 0.5) == 0.4
    assert share_reached([0.8, 0.8], 0.9) == 0.5
    assert np.isnan(share_reached([0.5, 0.0], 0.9))


def test_a_share_of_the_clip_is_rounded_up_to_whole_frames():
    curve = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert accuracy_at_share(curve, 0.25) == (3, 0.3)
    # 0.55 * 100 is above 55 in floating point.
    assert accuracy_at_share(list(range(1, 101)), 0.55) == (55, 55.0)
    assert accuracy_at_share(curve, 0.01) == (1, 0.1)
    assert accuracy_at_share(curve, 1.0) == (10, 1.0)


def test_figures_go_through_plain_values():
    figures = FrameFigures(9, 4, (0.25, 1 / 3), sees_later_frames=True, windows="all")
    assert FrameFigures.from_dict(figures.to_dict()) == figures
    with pytest.raises(KeyError):
        FrameFigures.from_dict({})
