"""A data set that begins in the middle: the same batches as one that ran until there."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from shard_testing import features_of_clip, write_small_shards

from cham_keras.data.reading import shard_file
from cham_keras.data.reading.clip_dataset import clip_dataset

FRAMES_OF_CLIPS = [3, 8, 1, 5, 12, 6, 4]
SAMPLINGS = ("random", "uniform")

both_readings = pytest.mark.parametrize("reading", ["auto", "sequential"])


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_small_shards(folder, FRAMES_OF_CLIPS)
    return folder


def batches(shards, **which):
    which = {"num_frames": 3, "batch_size": 2, "seed": 8} | which
    return clip_dataset(shards, "train", **which)


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize(
    ("reading", "sampling", "shuffle", "starts"),
    [
        *(("auto", *which, range(10)) for which in itertools.product(SAMPLINGS, (True, False))),
        ("sequential", "random", True, (4,)),  # slow where epochs are so short
        ("sequential", "uniform", False, (4,)),
    ],
)
def test_a_repeating_data_set_goes_on_across_epochs(shards, reading, sampling, shuffle, starts):
    which = {"sampling": sampling, "shuffle": shuffle, "repeat": True, "reading": reading}
    unbroken = list(batches(shards, **which).take(14))
    for start in starts:
        goes_on = batches(shards, start_batch=start, **which)
        assert_equal(list(goes_on.take(14 - start)), unbroken[start:])


def test_each_pass_over_a_repeating_data_set_begins_at_the_same_place(shards):
    which = {"sampling": "random", "shuffle": True, "repeat": True}
    unbroken = list(batches(shards, **which).take(14))
    # Seven batches of two are two epochs of seven clips.
    dataset = batches(shards, start_epoch=2, **which)
    for _ in range(2):
        assert_equal(list(dataset.take(7)), unbroken[7:])


@both_readings
def test_passes_go_on_in_the_middle_of_an_epoch(shards, reading):
    which = {"sampling": "random", "shuffle": True, "reading": reading}
    unbroken = batches(shards, **which)
    passes = [list(unbroken) for _ in range(3)]
    goes_on = batches(shards, start_epoch=1, start_batch=3, **which)
    assert_equal(list(goes_on), passes[1][3:])
    assert_equal(list(goes_on), passes[2])


@both_readings
def test_windows_go_on_too(shards, reading):
    which = {"sampling": "all_frames", "reading": reading}
    unbroken = list(batches(shards, **which))
    goes_on = batches(shards, start_batch=2, **which)
    assert_equal(list(goes_on), unbroken[2:])
    assert_equal(list(goes_on), unbroken)
    for start in (5, len(unbroken) + 1):
        repeated = batches(shards, start_batch=start, repeat=True, **which).take(3)
        expected = list(batches(shards, repeat=True, **which).take(start + 3))
        assert_equal(list(repeated), expected[start:])


def test_nothing_is_read_of_what_came_before(shards, monkeypatch):
    opened = []
    open_shard = shard_file.ShardFile.opened

    def counting(shard, *arguments):
        opened.append(shard.path)
        return open_shard(shard, *arguments)

    dataset = batches(shards, batch_size=1, shuffle=True, start_epoch=5, start_batch=5)
    monkeypatch.setattr(shard_file.ShardFile, "opened", counting)
    assert len(list(dataset)) == 2
    assert len(opened) == 2


def frames_of_epoch(shards, epoch, reading, num_frames=3) -> list[tuple[int, ...]]:
    dataset = batches(
        shards,
        num_frames=num_frames,
        sampling="random",
        shuffle=True,
        start_epoch=epoch,
        reading=reading,
    )
    features = np.concatenate([inputs["features"] for inputs, _ in dataset])
    return [tuple(clip[:, 0, 0, 0].astype(int)) for clip in features]


def test_both_ways_of_reading_draw_the_same_frames_of_every_clip(shards):
    for epoch in range(2):
        found = [frames_of_epoch(shards, epoch, way) for way in ("auto", "sequential")]
        assert sorted(found[0]) == sorted(found[1])


def test_every_order_of_the_clips_comes(tmp_path):
    write_small_shards(tmp_path, [1, 1, 1])
    dataset = batches(tmp_path, num_frames=1, batch_size=3, shuffle=True, repeat=True)
    orders = [tuple(inputs["features"][:, 0, 0, 0, 0].numpy()) for inputs, _ in dataset.take(120)]
    counts = [orders.count(order) for order in itertools.permutations(range(3))]
    # 20 times each is expected; 5 standard deviations are 20.4.
    assert sum(counts) == 120
    assert min(counts) > 0
    assert max(counts) < 41


def test_batches_that_are_kept_are_not_written_over(shards):
    """The memory of a batch is used again, but not before the batch is gone."""
    dataset = batches(shards, num_frames=12, batch_size=1, short_clips="pad", repeat=True)
    kept = list(dataset.take(21))
    arrays = [inputs["features"].numpy() for inputs, _ in dataset.take(21)]
    for number, (inputs, _) in enumerate(kept):
        clip = number % 7
        expected = np.zeros((1, 12, 2, 3, 4), "float32")
        expected[0, : FRAMES_OF_CLIPS[clip]] = features_of_clip(clip, FRAMES_OF_CLIPS[clip])
        np.testing.assert_array_equal(inputs["features"], expected)
        np.testing.assert_array_equal(arrays[number], expected)
