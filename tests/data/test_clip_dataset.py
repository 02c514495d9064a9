"""Batches from shards: what is in them, in which order, and what is refused."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from shard_testing import (
    features_of_clip,
    write_small_shards,
)

from cham_keras.data.reading import shard_reader
from cham_keras.data.reading.clip_dataset import clip_dataset, clip_windows
from cham_keras.data.reading.sequential_clips import decode_frames
from cham_keras.data.reading.shard_reader import clips_in_split, shard_errors_named
from cham_keras.data.shards.manifest import read_manifest

FRAMES_OF_CLIPS = [3, 8, 1, 5, 12, 6, 4]


@pytest.fixture
def shards(tmp_path):
    """Seven clips in four shards."""
    write_small_shards(tmp_path / "shards", FRAMES_OF_CLIPS)
    return tmp_path / "shards"


def drawn(dataset) -> list[tuple[int, list[int]]]:
    """Clip and frame numbers of every sample, read from the features' numbers."""
    samples = []
    for inputs, _targets, *_ in dataset:
        for features, length in zip(*inputs.values(), strict=True):
            numbers = features[: int(length), 0, 0, 0].numpy()
            # An even clip's numbers go down by 32 a frame from its own number, an odd one's up.
            clip = int(numbers[0]) % 32
            frames = np.abs(numbers - clip) / 32
            samples.append((clip, frames.astype(int).tolist()))
    return samples


def test_a_batch_is_as_the_map_writes_it(shards):
    dataset = clip_dataset(shards, "train", num_frames=4, batch_size=3)
    inputs, targets = dataset.element_spec
    assert inputs["features"] == tf.TensorSpec((None, 4, 2, 3, 4), tf.float32)
    assert inputs["lengths"] == tf.TensorSpec((None,), tf.int32)
    assert targets == tf.TensorSpec((None, 4), tf.int32)
    assert dataset.cardinality() == 3
    batches = list(dataset)
    assert [len(targets) for _, targets in batches] == [3, 3, 1]
    labels = np.concatenate([targets for _, targets in batches])
    np.testing.assert_array_equal(labels, np.repeat(np.arange(7)[:, None] % 3, 4, axis=1))


both_readings = pytest.mark.parametrize("reading", ["auto", "sequential"])


@both_readings
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_uniform_frames_come_with_their_own_numbers_and_short_clips_repeat(
    tmp_path, dtype, reading
):
    write_small_shards(tmp_path / "shards", FRAMES_OF_CLIPS, feature_dtype=dtype)
    samples = clip_dataset(tmp_path / "shards", "train", 4, batch_size=7, reading=reading)
    ((inputs, _targets),) = samples
    np.testing.assert_array_equal(inputs["lengths"], [4] * 7)
    chosen = [
        [0, 1, 2, 2],
        [1, 3, 5, 7],
        [0, 0, 0, 0],
        [0, 1, 3, 4],
        [1, 4, 7, 10],
        [0, 2, 3, 5],
        [0, 1, 2, 3],
    ]
    for clip, frames in enumerate(chosen):
        expected = features_of_clip(clip, FRAMES_OF_CLIPS[clip])[frames]
        np.testing.assert_array_equal(inputs["features"][clip], expected)


@both_readings
def test_int8_frames_come_back_with_their_scales(tmp_path, reading):
    write_small_shards(tmp_path, FRAMES_OF_CLIPS, feature_dtype="int8")
    dataset = clip_dataset(tmp_path, "train", 4, 7, short_clips="pad", reading=reading)
    ((inputs, _targets),) = dataset
    uniform = clip_dataset(tmp_path, "train", 12, 7, sampling="all_frames", reading=reading)
    whole = np.concatenate([inputs["features"] for inputs, _ in uniform])
    for clip, num_frames in enumerate(FRAMES_OF_CLIPS):
        features = features_of_clip(clip, num_frames)
        # Half a step of the largest number of each channel; rounding in float32 besides.
        steps = np.abs(features).max(axis=(1, 2), keepdims=True) / 127
        error = np.abs(whole[clip, :num_frames] - features)
        assert np.all(error <= 0.5001 * steps + 1e-6)
        np.testing.assert_array_equal(whole[clip, num_frames:], 0)
    np.testing.assert_array_equal(inputs["features"][4, 0], whole[4, 1])
    np.testing.assert_array_equal(inputs["features"][0, 3], 0)


@both_readings
def test_short_clips_can_be_padded_instead(shards, reading):
    dataset = clip_dataset(shards, "train", 4, 7, short_clips="pad", reading=reading)
    ((inputs, targets),) = dataset
    np.testing.assert_array_equal(inputs["lengths"], [3, 4, 1, 4, 4, 4, 4])
    np.testing.assert_array_equal(targets[0], [0, 0, 0, -1])
    np.testing.assert_array_equal(targets[2], [2, -1, -1, -1])
    np.testing.assert_array_equal(inputs["features"][2, 0], features_of_clip(2, 1)[0])
    np.testing.assert_array_equal(inputs["features"][2, 1:], 0)
    np.testing.assert_array_equal(inputs["features"][0, 3:], 0)


@both_readings
def test_random_frames_are_sorted_subsets_and_other_ones_in_each_pass(shards, reading):
    dataset = clip_dataset(shards, "train", 3, 7, sampling="random", reading=reading)
    passes = [drawn(dataset) for _ in range(4)]
    for samples in passes:
        assert [clip for clip, _ in samples] == list(range(7))  # not shuffled
        for clip, frames in samples:
            if FRAMES_OF_CLIPS[clip] >= 3:
                assert sorted(set(frames)) == frames
                assert len(frames) == 3
            assert max(frames) < FRAMES_OF_CLIPS[clip]
    assert len({str(samples) for samples in passes}) == 4


@both_readings
def test_shuffling_gives_every_clip_once_in_another_order_in_each_pass(shards, reading):
    dataset = clip_dataset(shards, "train", 3, 2, shuffle=True, reading=reading)
    orders = [[clip for clip, _ in drawn(dataset)] for _ in range(4)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


@both_readings
def test_the_same_seed_gives_the_same_batches_in_every_pass(shards, reading):
    def passes(seed, number=2):
        dataset = clip_dataset(
            shards, "train", 3, 2, sampling="random", shuffle=True, seed=seed, reading=reading
        )
        return [drawn(dataset) for _ in range(number)]

    tf.random.set_seed(0)
    first = passes(seed=5)
    tf.random.set_seed(1)  # has no say in it
    assert first == passes(seed=5)
    assert first != passes(seed=6)
    assert len({str(samples) for samples in first}) == 2


@both_readings
def test_repeated_batches_are_full_and_each_round_has_every_clip_once(shards, reading):
    dataset = clip_dataset(
        shards, "train", 3, 2, "random", shuffle=True, seed=1, repeat=True, reading=reading
    )
    assert reading == "sequential" or dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    samples = drawn(dataset.take(14))
    assert len(samples) == 28
    rounds = [samples[start : start + 7] for start in range(0, 28, 7)]
    assert all(sorted(clip for clip, _ in part) == list(range(7)) for part in rounds)
    assert len({str(part) for part in rounds}) == 4


@both_readings
def test_a_last_batch_of_fewer_clips_can_be_dropped(shards, reading):
    dataset = clip_dataset(shards, "train", 3, 2, drop_remainder=True, reading=reading)
    assert [targets.shape for _, targets in dataset] == [(2, 3)] * 3


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_cache_gives_the_same_batches_without_the_shards(shards, tmp_path, in_memory):
    cache = in_memory or tmp_path / "cache" / "shards"
    which = {"sampling": "random", "shuffle": True, "seed": 3}
    plain = clip_dataset(shards, "train", 3, 2, **which)
    expected = [drawn(plain), drawn(plain)]
    cached = clip_dataset(shards, "train", 3, 2, cache=cache, **which)
    for path in shards.glob("*.tfrecord"):
        path.unlink()
    assert [drawn(cached), drawn(cached)] == expected
    assert len(list(tmp_path.glob("cache/shards-*.tfrecord"))) == (0 if in_memory else 4)


def test_a_cache_in_files_is_not_taken_for_that_of_other_shards(shards, tmp_path):
    list(clip_dataset(shards, "train", 3, 2, cache=tmp_path / "cache"))
    write_small_shards(tmp_path / "others", [8, 3, 5, 1, 6, 12, 4])  # shards of the same sizes
    cached = clip_dataset(tmp_path / "others", "train", 3, 2, cache=tmp_path / "cache")
    assert drawn(cached) == drawn(clip_dataset(tmp_path / "others", "train", 3, 2))


@both_readings
def test_windows_hold_every_frame_of_every_clip_once(shards, reading):
    frames_of_clip: dict[int, list[int]] = {clip: [] for clip in range(7)}
    for inputs, targets, clip_index in clip_windows(shards, "train", 5, 4, reading=reading):
        assert clip_index.dtype == tf.int32
        for features, length, target, clip in zip(
            inputs["features"], inputs["lengths"], targets, clip_index, strict=True
        ):
            number, length = int(clip), int(length)
            np.testing.assert_array_equal(target[:length], number % 3)
            np.testing.assert_array_equal(target[length:], -1)
            np.testing.assert_array_equal(features[length:], 0)
            step = abs(features[:length, 0, 0, 0].numpy() - number) / 32
            frames = step.astype(int).tolist()
            expected = features_of_clip(number, FRAMES_OF_CLIPS[number])[frames]
            np.testing.assert_array_equal(features[:length], expected)
            frames_of_clip[number] += frames
    for clip, frames in frames_of_clip.items():
        assert sorted(frames) == list(range(FRAMES_OF_CLIPS[clip]))


def test_all_frames_are_the_windows_without_their_clips(shards):
    with_clips = list(clip_windows(shards, "train", 5, 4))
    without = list(clip_dataset(shards, "train", 5, 4, sampling="all_frames"))
    for (inputs, targets, _), (other_inputs, other_targets) in zip(
        with_clips, without, strict=True
    ):
        tf.nest.map_structure(
            np.testing.assert_array_equal, (inputs, targets), (other_inputs, other_targets)
        )


@both_readings
def test_clip_index_counts_as_the_list_of_clips_does(shards, reading):
    records = clips_in_split(shards, "train")
    assert [record.num_frames for record in records] == FRAMES_OF_CLIPS
    assert [record.id for record in records] == [f"train/{clip}.mp4" for clip in range(7)]
    index = np.concatenate([index for *_, index in clip_windows(shards, "train", 5, 4, reading)])
    windows = [-(-record.num_frames // 5) for record in records]
    np.testing.assert_array_equal(index, np.repeat(np.arange(7), windows))


def test_only_the_chosen_frames_are_read(shards):
    dataset = clip_dataset(shards, "train", num_frames=2, batch_size=7, sampling="uniform")
    ((expected, _),) = dataset
    stored = features_of_clip(4, 12).astype("<f2")
    chosen = {3, 9}
    path = shards / "train-00002-of-00004.tfrecord"
    content = path.read_bytes()
    for frame in set(range(12)) - chosen:
        # Length and numbers of a frame that is not chosen become nonsense.
        place = content.index(stored[frame].tobytes())
        content = content[: place - 1] + b"\xee" * 49 + content[place + 48 :]
    path.write_bytes(content)
    ((found, _),) = dataset
    np.testing.assert_array_equal(found["features"], expected["features"])


def test_only_the_chosen_frames_are_decoded(tmp_path, monkeypatch):
    write_small_shards(tmp_path, [50, 50])
    decoded = []

    def counting(frames, *arguments, **keywords):
        tf.py_function(lambda frames: decoded.append(frames.shape), [frames], [])
        return decode_raw(frames, *arguments, **keywords)

    decode_raw = tf.io.decode_raw
    monkeypatch.setattr(tf.io, "decode_raw", counting)
    list(clip_dataset(tmp_path, "train", num_frames=4, batch_size=2, reading="sequential"))
    assert decoded == [(2, 4)]


def test_shards_behind_a_url_give_the_same_batches(shards, monkeypatch):
    manifest = read_manifest(shards)
    for module in (sys.modules["cham_keras.data.reading.clip_dataset"], shard_reader):
        monkeypatch.setattr(module, "read_manifest", lambda folder: manifest)
    for path in shards.iterdir():
        tf.io.gfile.copy(str(path), f"ram://shards/{path.name}", overwrite=True)
    which = {"sampling": "random", "seed": 2}
    expected = clip_dataset(shards, "train", 3, 2, **which)
    for cache in (False, True):
        found = clip_dataset("ram://shards", "train", 3, 2, cache=cache, **which)
        assert [drawn(found), drawn(found)] == [drawn(expected), drawn(expected)]
        expected = clip_dataset(shards, "train", 3, 2, **which)
    assert clips_in_split("ram://shards", "train") == clips_in_split(shards, "train")


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_frames_are_decoded_as_little_endian_numbers(dtype):
    numbers = np.array([1.5, -2.25, 65504.0, 6e-8, 0.0, 3.0], dtype)
    stored = numbers.astype(np.dtype(dtype).newbyteorder("<")).tobytes()
    found = decode_frames(tf.constant([[stored, b""]]), (1, 2, 3), dtype)
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found[0, 0], numbers.reshape(1, 2, 3))
    np.testing.assert_array_equal(found[0, 1], 0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"split": "test"}, "`split` must be one of train,.* Received: 'test'"),
        ({"num_frames": 0}, "`num_frames` must be at least 1. Received: 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: 0"),
        ({"sampling": "first"}, "`sampling` must be one of random, uniform, all_frames.*'first'"),
        ({"short_clips": "drop"}, "`short_clips` must be one of repeat, pad. Received: 'drop'"),
        ({"sampling": "all_frames", "shuffle": True}, "`shuffle` must be false"),
        ({"reading": "mapped"}, "`reading` must be one of auto, sequential. Received: 'mapped'"),
        ({"reading": "sequential", "cache": True}, "`cache` must be false or a path"),
        ({"start_epoch": -1}, "`start_epoch` must be at least 0. Received: -1"),
        ({"start_batch": -2}, "`start_batch` must be at least 0. Received: -2"),
        ({"start_batch": 4}, "`start_batch` must be below 4, .* Received: 4"),
    ],
)
def test_an_argument_that_breaks_a_rule_is_refused(shards, arguments, sentence):
    defaults = {"split": "train", "num_frames": 3, "batch_size": 2}
    with pytest.raises(ValueError, match=sentence):
        clip_dataset(shards, **(defaults | arguments))


def test_other_errors_of_tensorflow_stay_as_they_are():
    with pytest.raises(tf.errors.InvalidArgumentError), shard_errors_named():
        tf.reshape(tf.zeros(3), (2, 2))


def test_a_model_can_be_fitted(shards):
    features = keras.Input((None, 2, 3, 4), name="features")
    lengths = keras.Input((), dtype="int32", name="lengths")
    pooled = keras.ops.mean(features, axis=(2, 3))
    scores = keras.layers.Dense(3, activation="softmax")(pooled)
    model = keras.Model({"features": features, "lengths": lengths}, scores)
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    model.compile(optimizer="sgd", loss=loss)
    dataset = clip_dataset(shards, "train", 4, 2, sampling="random", shuffle=True)
    history = model.fit(dataset, epochs=2, shuffle=False, verbose=0)
    assert len(history.history["loss"]) == 2
