"""Frame sampling against NumPy references, eagerly and inside `map`."""

import numpy as np
import pytest
import tensorflow as tf

from cham_keras.data.reading.frame_sampling import (
    num_windows,
    random_subset,
    repeat_last,
    uniform,
    window,
)

NUM_FRAMES = (1, 2, 3, 7, 10, 29, 30, 31, 64, 164)
NUM_SAMPLES = (1, 4, 10, 30)


def in_map(function, value):
    """The result of a function of one scalar inside a data set's `map`."""
    dataset = tf.data.Dataset.from_tensors(value).map(function)
    return next(iter(dataset)).numpy()


def eagerly(function, value):
    return function(tf.constant(value)).numpy()


both_ways = pytest.mark.parametrize("run", [eagerly, in_map])


@both_ways
@pytest.mark.parametrize("num_samples", NUM_SAMPLES)
def test_uniform_frames_are_the_middles_of_equal_parts(run, num_samples):
    for num_frames in NUM_FRAMES:
        parts = min(num_frames, num_samples)
        edges = np.linspace(0, num_frames, parts + 1)
        expected = np.floor((edges[:-1] + edges[1:]) / 2 + 1e-9)
        found = run(lambda n: uniform(n, num_samples), num_frames)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.int32


@both_ways
@pytest.mark.parametrize("num_samples", NUM_SAMPLES)
def test_a_random_subset_is_sorted_and_has_no_frame_twice(run, num_samples):
    for num_frames in NUM_FRAMES:
        found = run(lambda n: random_subset(n, num_samples, seed=(3, 4)), num_frames)
        assert len(found) == min(num_frames, num_samples)
        assert np.all(np.diff(found) > 0)
        assert found.min() >= 0
        assert found.max() < num_frames


def test_a_random_subset_depends_on_the_seed_only():
    first = random_subset(tf.constant(50), 10, seed=(3, 4)).numpy()
    np.testing.assert_array_equal(first, random_subset(50, 10, seed=(3, 4)).numpy())
    assert not np.array_equal(first, random_subset(50, 10, seed=(3, 5)).numpy())


def test_random_subsets_choose_each_frame_equally_often():
    chosen = np.concatenate([random_subset(8, 3, seed=(0, k)).numpy() for k in range(800)])
    # 300 times each is expected; 6 standard deviations of the count are 82.
    np.testing.assert_allclose(np.bincount(chosen, minlength=8), 300, atol=82)


@pytest.mark.parametrize("inside_map", [False, True])
@pytest.mark.parametrize("num_samples", NUM_SAMPLES)
def test_windows_hold_every_frame_once_and_none_too_many(inside_map, num_samples):
    for num_frames in NUM_FRAMES:
        number = int(num_windows(tf.constant(num_frames), num_samples))
        assert number == -(-num_frames // num_samples)

        def indices(w, num_frames=num_frames):
            return window(num_frames, num_samples, w)

        if inside_map:
            windows = list(tf.data.Dataset.range(number).map(indices).as_numpy_iterator())
        else:
            windows = [indices(w).numpy() for w in range(number)]
        for w, found in enumerate(windows):
            np.testing.assert_array_equal(found, np.arange(num_frames)[w::number])
            assert len(found) <= num_samples
        np.testing.assert_array_equal(np.sort(np.concatenate(windows)), np.arange(num_frames))


@both_ways
def test_a_short_clip_repeats_its_last_frame(run):
    found = run(lambda n: repeat_last(uniform(n, 5), 5), 3)
    np.testing.assert_array_equal(found, [0, 1, 2, 2, 2])
    found = run(lambda n: repeat_last(uniform(n, 3), 3), 3)
    np.testing.assert_array_equal(found, [0, 1, 2])


def test_filled_indices_have_a_static_length():
    dataset = tf.data.Dataset.range(1, 4).map(lambda n: repeat_last(uniform(n, 5), 5))
    assert dataset.element_spec.shape == (5,)
