"""Batches from shards: what is in them, in which order, and what is refused."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from shard_testing import (
    CLASSES,
    SPEC,
    clip_features,
    features_of_clip,
    write_small_shards,
)

from cham_keras.data.clip_dataset import clip_dataset, clip_windows, decode_frames
from cham_keras.data.shard_reader import clips_in_split, shard_errors_named
from cham_keras.data.shards import write_shards

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


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_uniform_frames_come_with_their_own_numbers_and_short_clips_repeat(tmp_path, dtype):
    write_small_shards(tmp_path / "shards", FRAMES_OF_CLIPS, feature_dtype=dtype)
    samples = clip_dataset(tmp_path / "shards", "train", num_frames=4, batch_size=7)
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


def test_short_clips_can_be_padded_instead(shards):
    dataset = clip_dataset(shards, "train", num_frames=4, batch_size=7, short_clips="pad")
    ((inputs, targets),) = dataset
    np.testing.assert_array_equal(inputs["lengths"], [3, 4, 1, 4, 4, 4, 4])
    np.testing.assert_array_equal(targets[0], [0, 0, 0, -1])
    np.testing.assert_array_equal(targets[2], [2, -1, -1, -1])
    np.testing.assert_array_equal(inputs["features"][2, 0], features_of_clip(2, 1)[0])
    np.testing.assert_array_equal(inputs["features"][2, 1:], 0)
    np.testing.assert_array_equal(inputs["features"][0, 3:], 0)


def test_random_frames_are_sorted_subsets_and_other_ones_in_each_pass(shards):
    dataset = clip_dataset(shards, "train", 3, 7, sampling="random")
    passes = [drawn(dataset) for _ in range(4)]
    for samples in passes:
        assert [clip for clip, _ in samples] == list(range(7))  # not shuffled
        for clip, frames in samples:
            if FRAMES_OF_CLIPS[clip] >= 3:
                assert sorted(set(frames)) == frames
                assert len(frames) == 3
            assert max(frames) < FRAMES_OF_CLIPS[clip]
    assert len({str(samples) for samples in passes}) == 4


def test_shuffling_gives_every_clip_once_in_another_order_in_each_pass(shards):
    dataset = clip_dataset(shards, "train", 3, 2, shuffle=True)
    orders = [[clip for clip, _ in drawn(dataset)] for _ in range(4)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


@pytest.mark.parametrize("cache", [False, True])
def test_the_same_seed_gives_the_same_batches_in_every_pass(shards, cache):
    def passes(seed, number=3):
        dataset = clip_dataset(
            shards, "train", 3, 2, sampling="random", shuffle=True, seed=seed, cache=cache
        )
        return [drawn(dataset) for _ in range(number)]

    first = passes(seed=5)
    assert first == passes(seed=5)
    assert first != passes(seed=6)
    assert len({str(samples) for samples in first}) == 3  # the cache holds records, not draws


def test_repeated_batches_are_full_and_each_round_has_every_clip_once(shards):
    dataset = clip_dataset(
        shards, "train", 3, 2, sampling="random", shuffle=True, seed=1, repeat=True
    )
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    samples = drawn(dataset.take(14))
    assert len(samples) == 28
    rounds = [samples[start : start + 7] for start in range(0, 28, 7)]
    assert all(sorted(clip for clip, _ in part) == list(range(7)) for part in rounds)
    assert len({str(part) for part in rounds}) == 4


def test_a_last_batch_of_fewer_clips_can_be_dropped(shards):
    dataset = clip_dataset(shards, "train", 3, 2, drop_remainder=True)
    assert [targets.shape for _, targets in dataset] == [(2, 3)] * 3


def test_a_cache_in_a_file_gives_the_same_batches(shards, tmp_path):
    plain = drawn(clip_dataset(shards, "train", 3, 2))
    cached = clip_dataset(shards, "train", 3, 2, cache=tmp_path / "cache")
    assert drawn(cached) == plain
    assert drawn(cached) == plain
    assert list(tmp_path.glob("cache*"))


def test_windows_hold_every_frame_of_every_clip_once(shards):
    frames_of_clip: dict[int, list[int]] = {clip: [] for clip in range(7)}
    for inputs, targets, clip_index in clip_windows(shards, "train", num_frames=5, batch_size=4):
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


def test_clip_index_counts_as_the_list_of_clips_does(shards):
    records = clips_in_split(shards, "train")
    assert [record.num_frames for record in records] == FRAMES_OF_CLIPS
    assert [record.id for record in records] == [f"train/{clip}.mp4" for clip in range(7)]
    index = np.concatenate([index for *_, index in clip_windows(shards, "train", 5, 4)])
    windows = [-(-record.num_frames // 5) for record in records]
    np.testing.assert_array_equal(index, np.repeat(np.arange(7), windows))


def test_only_the_chosen_frames_are_decoded(tmp_path, monkeypatch):
    write_small_shards(tmp_path, [50, 50])
    decoded = []

    def counting(frames, *arguments, **keywords):
        tf.py_function(lambda frames: decoded.append(frames.shape), [frames], [])
        return decode_raw(frames, *arguments, **keywords)

    decode_raw = tf.io.decode_raw
    monkeypatch.setattr(tf.io, "decode_raw", counting)
    list(clip_dataset(tmp_path, "train", num_frames=4, batch_size=2))
    assert decoded == [(2, 4)]


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
    ],
)
def test_an_argument_that_breaks_a_rule_is_refused(shards, arguments, sentence):
    defaults = {"split": "train", "num_frames": 3, "batch_size": 2}
    with pytest.raises(ValueError, match=sentence):
        clip_dataset(shards, **(defaults | arguments))


READERS = {
    "clip_dataset": lambda folder: list(clip_dataset(folder, "train", 3, 2, shuffle=True)),
    "clip_windows": lambda folder: list(clip_windows(folder, "train", 3, 2)),
}
SECOND_SHARD = "train-00001-of-00004.tfrecord"


@pytest.fixture(params=READERS)
def read_all(request):
    def read(folder):
        with shard_errors_named():
            READERS[request.param](folder)

    return read


def change_manifest(folder, change) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_a_corrupted_record_is_named_with_its_shard(shards, read_all):
    path = shards / SECOND_SHARD
    content = bytearray(path.read_bytes())
    content[-200] ^= 0xFF  # in the second of its two records
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^Shard {path}, record 1, cannot be read: .*verify"):
        read_all(shards)


def test_a_corrupted_record_is_named_when_clips_are_listed(shards):
    path = shards / SECOND_SHARD
    content = bytearray(path.read_bytes())
    content[40] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^Shard {path}, record 0, cannot be read"):
        clips_in_split(shards, "train")


def test_a_shard_of_another_size_is_refused_before_it_is_read(shards):
    path = shards / SECOND_SHARD
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=f"Shard {path} must have the .* bytes"):
        clip_dataset(shards, "train", 3, 2)


def test_a_missing_shard_is_named(shards):
    (shards / SECOND_SHARD).unlink()
    with pytest.raises(FileNotFoundError, match=str(shards / SECOND_SHARD)):
        clip_dataset(shards, "train", 3, 2)


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("feature_shape", [2, 3, 5], r"48 bytes: features of shape \(2, 3, 5\).* must have 60"),
        ("feature_dtype", "float32", r"48 bytes: .*dtype float32.* must have 96"),
        ("classes", ["hop"], r"holds label 1: labels must be from 0 to 0"),
    ],
)
def test_a_record_that_does_not_agree_with_the_manifest_is_named(
    shards, read_all, key, value, rule
):
    change_manifest(shards, lambda manifest: manifest.update({key: value}))
    with pytest.raises(ValueError, match=rf"^Shard .*tfrecord, record [01], .*{rule}"):
        read_all(shards)


def test_a_shard_of_another_extraction_is_named(shards, tmp_path, read_all):
    """The same size in the manifest, other features inside."""
    clips = [clip_features(0, 3), clip_features(1, 8)]
    for clip in clips:
        object.__setattr__(clip, "features", np.zeros((len(clip.features), 2, 3, 5)))
    spec = {"feature_shape": (2, 3, 5)}
    other = type(SPEC)(**({name: getattr(SPEC, name) for name in vars(SPEC)} | spec))
    write_shards(tmp_path / "other", clips, classes=CLASSES, backbone=other)
    path = shards / SECOND_SHARD
    (tmp_path / "other" / "train-00000-of-00001.tfrecord").rename(path)

    def change(manifest):
        manifest["splits"]["train"]["shards"][1]["bytes"] = path.stat().st_size

    change_manifest(shards, change)
    with pytest.raises(ValueError, match=f"^Shard {path}, record 0, holds frames of 60 bytes"):
        read_all(shards)


def test_a_record_without_features_is_named(shards, read_all):
    path = shards / SECOND_SHARD
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(2):
            writer.write(tf.train.Example().SerializeToString() + b"\n\0")

    def change(manifest):
        manifest["splits"]["train"]["shards"][1]["bytes"] = path.stat().st_size

    change_manifest(shards, change)
    with pytest.raises(ValueError, match=f"^Shard {path}, record [01], holds"):
        read_all(shards)


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
