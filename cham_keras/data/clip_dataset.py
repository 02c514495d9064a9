"""Batches of clips from shards, as `docs/map.md` writes them.

Comes in: a folder that `cham extract` wrote. Goes out: a `tf.data.Dataset` of
({"features", "lengths"}, targets). Training and evaluation call it, and anybody
who has a `keras.Model` to fit.

The order of work: read a record; choose frames; only then decode those frames.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import tensorflow as tf

from cham_keras.data import frame_sampling
from cham_keras.data.manifest import Manifest, read_manifest
from cham_keras.data.shard_reader import parse_clip, serialized_records
from cham_keras.data.shard_schema import BYTES_OF_DTYPE

Sampling = Literal["random", "uniform", "all_frames"]
ShortClips = Literal["repeat", "pad"]

#: What `targets` holds where a clip has no frame.
PADDING_TARGET = -1

# The shuffle holds the chosen frames of as many clips as go into this.
_SHUFFLE_MEMORY_BYTES = 256 * 2**20


def clip_dataset(
    shards: Path | str,
    split: str,
    num_frames: int,
    batch_size: int,
    sampling: Sampling = "uniform",
    shuffle: bool = False,
    seed: int = 0,
    short_clips: ShortClips = "repeat",
    repeat: bool = False,
    drop_remainder: bool = False,
    cache: bool | Path = False,
) -> tf.data.Dataset:
    """Batches of clips with a fixed number of frames.

    With the same seed (and the same `tf.random.set_seed`, if any), two programs get
    the same batches. Each pass over the data set, and each round of `repeat`,
    has another order and other random frames.

    Wrap the loop over it in `shard_errors_named`, which turns TensorFlow's error for
    a damaged record into one sentence.

    Args:
        shards: the folder of shards.
        split: name of the split.
        num_frames: T, number of frames of a clip in the batch.
        batch_size: number of clips in a batch.
        sampling: "random" takes a sorted random subset, for training; "uniform" takes
            uniformly spaced frames, for testing; "all_frames" gives every frame
            exactly once, in as many interleaved windows as a clip needs, each window
            as if it were a clip (`clip_windows` also says whose it is).
        shuffle: whether clips come in random order.
        seed: for the order and the random frames.
        short_clips: a clip of fewer than T frames can "repeat" its last frame, or
            be padded ("pad"). Windows of "all_frames" are always padded.
        repeat: whether the data set goes on for ever; batches then cross from one
            round to the next.
        drop_remainder: whether a last batch of fewer clips is left out.
        cache: keep records in memory after the first pass (True), or in a file of
            this name.

    Returns:
        a data set of ({"features": (batch, T, height, width, channels) float32,
        "lengths": (batch,) int32}, targets (batch, T) int32, -1 on padding).

    Raises:
        FileNotFoundError: the folder, its manifest or a shard is missing.
        ValueError: an argument breaks its rule, there is no such split, or a shard
            has another size than the manifest says.
    """
    _check_arguments(num_frames, batch_size, sampling, short_clips)
    manifest = read_manifest(shards)
    if sampling == "all_frames":
        if shuffle:
            raise ValueError("`shuffle` must be false with sampling='all_frames'. Received: True.")
        windows = _window_samples(Path(shards), manifest, split, num_frames, cache)
        samples = windows.map(_without_clip_index)
    else:
        samples = _clip_samples(
            Path(shards), manifest, split, num_frames, sampling, shuffle, seed, short_clips, cache
        )
    if repeat:
        samples = samples.repeat()
    batches = samples.batch(batch_size, drop_remainder=drop_remainder)
    return _decoded(batches, manifest, num_frames)


def clip_windows(
    shards: Path | str, split: str, num_frames: int, batch_size: int
) -> tf.data.Dataset:
    """Every frame of a split exactly once, in windows, for evaluation.

    A clip of n frames gives ceil(n / T) windows, which follow each other; window w of
    W holds the frames w, w + W, w + 2 W, ... and is padded at its end.

    Args:
        shards: the folder of shards.
        split: name of the split.
        num_frames: T, the most frames that a window holds.
        batch_size: number of windows in a batch.

    Returns:
        a data set of ({"features", "lengths"}, targets, clip_index) with the first two
        as from `clip_dataset` and clip_index: (batch,) int32, the position of the
        window's clip in `clips_in_split`. `model.fit` and `model.evaluate` would
        take the third part for weights; they want `clip_dataset`.

    Raises:
        FileNotFoundError: the folder, its manifest or a shard is missing.
        ValueError: an argument breaks its rule, there is no such split, or a shard
            has another size than the manifest says.
    """
    _check_arguments(num_frames, batch_size, "all_frames", "pad")
    manifest = read_manifest(shards)
    samples = _window_samples(Path(shards), manifest, split, num_frames, cache=False)
    return _decoded(samples.batch(batch_size), manifest, num_frames)


def decode_frames(
    frames: tf.Tensor, feature_shape: tuple[int, int, int], feature_dtype: str
) -> tf.Tensor:
    """Stored bytes as numbers.

    Args:
        frames: (...) strings, one a frame; an empty one becomes zeros.
        feature_shape: height, width, channels.
        feature_dtype: "float16" or "float32", how they are stored.

    Returns:
        (..., height, width, channels) float32.
    """
    # As whole numbers of the same size first: TensorFlow pads those, and not float16.
    whole = {"float16": tf.uint16, "float32": tf.int32}[feature_dtype]
    num_bytes = math.prod(feature_shape) * BYTES_OF_DTYPE[feature_dtype]
    bits = tf.io.decode_raw(frames, whole, little_endian=True, fixed_length=num_bytes)
    numbers = tf.bitcast(bits, tf.as_dtype(feature_dtype))
    # (..., height * width * channels) to (..., height, width, channels)
    shape = tf.concat([tf.shape(frames), feature_shape], axis=0)
    return tf.cast(tf.reshape(numbers, shape), tf.float32)


def _clip_samples(
    folder: Path,
    manifest: Manifest,
    split: str,
    num_frames: int,
    sampling: Sampling,
    shuffle: bool,
    seed: int,
    short_clips: ShortClips,
    cache: bool | Path,
) -> tf.data.Dataset:
    """One sample a clip: `frames` (T,) strings, `length` and `label` scalars."""
    records = serialized_records(folder, manifest, split, shuffle_seed=seed if shuffle else None)
    records = _cached(records, cache)
    # A number for each record, drawn in order and before the parallel map, so that no
    # race between threads decides which frames are chosen.
    draws = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)

    def sample(record, draw):
        shard, number, serialized = record
        clip = parse_clip(shard, number, serialized, manifest)
        if sampling == "random":
            indices = frame_sampling.random_subset(
                clip["num_frames"], num_frames, seed=tf.stack([tf.cast(seed, tf.int64), draw])
            )
        else:
            indices = frame_sampling.uniform(clip["num_frames"], num_frames)
        if short_clips == "repeat":
            indices = frame_sampling.repeat_last(indices, num_frames)
        return _sample_of_frames(clip, indices, num_frames)

    samples = _mapped(tf.data.Dataset.zip(records, draws), sample)
    if shuffle:
        clip_bytes = num_frames * manifest.bytes_per_frame
        buffer_size = min(manifest.split(split).clips, max(1, _SHUFFLE_MEMORY_BYTES // clip_bytes))
        samples = samples.shuffle(buffer_size, seed, reshuffle_each_iteration=True)
    return samples


def _window_samples(
    folder: Path, manifest: Manifest, split: str, num_frames: int, cache: bool | Path
) -> tf.data.Dataset:
    """One sample a window: as `_clip_samples`, and `clip_index`."""
    records = _cached(serialized_records(folder, manifest, split), cache)

    def parse(shard, number, serialized):
        return parse_clip(shard, number, serialized, manifest)

    def windows_of_clip(clip_index, clip):
        def sample(number):
            indices = frame_sampling.window(clip["num_frames"], num_frames, number)
            sample = _sample_of_frames(clip, indices, num_frames)
            return sample | {"clip_index": tf.cast(clip_index, tf.int32)}

        num_windows = frame_sampling.num_windows(clip["num_frames"], num_frames)
        return tf.data.Dataset.range(tf.cast(num_windows, tf.int64)).map(sample)

    return _mapped(records, parse).enumerate().flat_map(windows_of_clip)


def _sample_of_frames(
    clip: dict[str, tf.Tensor], indices: tf.Tensor, num_frames: int
) -> dict[str, tf.Tensor]:
    """Takes the chosen frames' bytes; empty strings fill up to T."""
    length = tf.size(indices)
    chosen = tf.gather(clip["frames"], indices)
    padded = tf.concat([chosen, tf.fill([num_frames - length], "")], axis=0)
    return {
        "frames": tf.ensure_shape(padded, (num_frames,)),
        "length": length,
        "label": clip["label"],
    }


def _decoded(batches: tf.data.Dataset, manifest: Manifest, num_frames: int) -> tf.data.Dataset:
    def decode(batch):
        features = decode_frames(batch["frames"], manifest.feature_shape, manifest.feature_dtype)
        lengths = batch["length"]
        valid = tf.sequence_mask(lengths, num_frames)  # (batch, time)
        targets = tf.where(valid, batch["label"][:, None], PADDING_TARGET)
        features = tf.ensure_shape(features, (None, num_frames, *manifest.feature_shape))
        inputs = {"features": features, "lengths": lengths}
        if "clip_index" in batch:
            return inputs, targets, batch["clip_index"]
        return inputs, targets

    return _mapped(batches, decode).prefetch(tf.data.AUTOTUNE)


def _without_clip_index(sample: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {name: value for name, value in sample.items() if name != "clip_index"}


def _cached(records: tf.data.Dataset, cache: bool | Path) -> tf.data.Dataset:
    if cache is False:
        return records
    return records.cache("" if cache is True else str(cache))


def _mapped(dataset: tf.data.Dataset, function: Callable) -> tf.data.Dataset:
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _check_arguments(num_frames: int, batch_size: int, sampling: str, short_clips: str) -> None:
    for name, number in (("num_frames", num_frames), ("batch_size", batch_size)):
        if number < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {number}.")
    choices = (("sampling", sampling, Sampling), ("short_clips", short_clips, ShortClips))
    for name, value, allowed in choices:
        if value not in get_args(allowed):
            known = ", ".join(get_args(allowed))
            raise ValueError(f"`{name}` must be one of {known}. Received: {value!r}.")
