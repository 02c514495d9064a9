"""Batches of clips from shards, as `docs/map.md` writes them.

Comes in: a folder that `cham extract` wrote. Goes out: a `tf.data.Dataset` of
({"features", "lengths"}, targets). Training and evaluation call it, and anybody
who has a `keras.Model` to fit.

Two ways lead there. Where shards have random access (`random_access_clips`), frames are
chosen first, and only those are read. Elsewhere (`sequential_clips`) records are read in
order, and the chosen frames are decoded.
"""

from pathlib import Path
from typing import Any, Literal, get_args

import tensorflow as tf

from cham_keras.data.reading.frame_choice import FrameChoice
from cham_keras.data.reading.random_access_clips import RandomAccessClips
from cham_keras.data.reading.sequential_clips import SequentialClips
from cham_keras.data.reading.shard_file import shard_files
from cham_keras.data.reading.shard_reader import places_of_clips
from cham_keras.data.shards.manifest import read_manifest
from cham_keras.paths import AnyPath

Sampling = Literal["random", "uniform", "all_frames"]
ShortClips = Literal["repeat", "pad"]
Reading = Literal["auto", "sequential"]

# Batches that are made while a model works on another one.
_BATCHES_AHEAD = 2


def clip_dataset(
    shards: AnyPath | str,
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
    start_epoch: int = 0,
    start_batch: int = 0,
    reading: Reading = "auto",
    mirror: bool = False,
) -> tf.data.Dataset:
    """Batches of clips with a fixed number of frames.

    The order of an epoch is a pure function of (seed, epoch), and the random frames of a
    clip, and whether it is mirrored, are one of (seed, epoch, clip). So two programs get
    the same batches from the same seed, and a program that begins at `start_epoch` and
    `start_batch` gets bit for bit the batches that another one would have got from there on.

    Without `repeat`, each pass over the data set is the next epoch: the first pass is
    epoch `start_epoch` from `start_batch` on, the next one the whole of the epoch after.
    With `repeat`, epochs follow each other without end, and each pass begins anew at
    the same place.

    Where the shards have random access, as on a disk, only the chosen frames are read,
    and nothing of what came before `start_batch`. The records' checksums cover frames
    that are not read, so they are passed over: a flipped bit within a frame is found by
    `cham verify` only. Elsewhere, and where a record has another form than `cham extract`
    writes, records are read in order with their checksums. There an epoch has the same
    clips with the same frames, but shards are shuffled, then clips in blocks of 256 MiB;
    the number of batches is not known beforehand; and what came before `start_batch` is
    read and skipped.

    Wrap the loop over it in `shard_errors_named`, which turns TensorFlow's error for
    a damaged record into one sentence.

    Args:
        shards: the folder of shards; a path, or a URL that `tf.io.gfile` knows.
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
            epoch to the next.
        drop_remainder: whether a last batch of fewer clips is left out.
        cache: True reads the shards into memory now. A path copies them now to local
            files whose names begin with it. Either gives random access, also to shards
            behind a URL.
        start_epoch: the epoch to begin with.
        start_batch: how many batches of it to pass over. With `repeat` it may be more
            than an epoch has: the number of steps done since the epoch began.
        reading: "sequential" reads in order also where there is random access, with
            TensorFlow's own operations only, so that other processes can do it (tf.data
            service).
        mirror: whether half of the clips, others in each epoch, have the maps of all their
            frames flipped left to right, for training. A flipped map is near to the map of
            the flipped frame and not the same; `cham extract --mirrored` stores the latter.

    Returns:
        a data set of ({"features": (batch, T, height, width, channels) float32,
        "lengths": (batch,) int32}, targets (batch, T) int32, -1 on padding).

    Raises:
        FileNotFoundError: the folder, its manifest or a shard is missing.
        ValueError: an argument breaks its rule, there is no such split, a shard has
            another size than the manifest says, or a record does not agree with it.
    """
    _check_arguments(num_frames, batch_size, sampling, short_clips, reading)
    if sampling == "all_frames" and shuffle:
        raise ValueError("`shuffle` must be false with sampling='all_frames'. Received: True.")
    if sampling == "all_frames" and mirror:
        raise ValueError(
            "`mirror` must be false with sampling='all_frames', which evaluates. Received: True."
        )
    if cache is True and reading == "sequential":
        raise ValueError(
            "`cache` must be false or a path with reading='sequential'. Received: True."
        )
    for name, number in (("start_epoch", start_epoch), ("start_batch", start_batch)):
        if number < 0:
            raise ValueError(f"`{name}` must be at least 0. Received: {number}.")
    repeats_last = short_clips == "repeat" and sampling != "all_frames"
    batches = _batches(
        shards,
        split,
        FrameChoice(num_frames, sampling, repeats_last, seed, mirror),
        batch_size,
        reading,
        shuffle,
        cache,
        repeat=repeat,
        drop_remainder=drop_remainder,
        start_epoch=start_epoch,
        start_batch=start_batch,
    )
    return batches.map(_without_clip_index).prefetch(_BATCHES_AHEAD)


def clip_windows(
    shards: AnyPath | str, split: str, num_frames: int, batch_size: int, reading: Reading = "auto"
) -> tf.data.Dataset:
    """Every frame of a split exactly once, in windows, for evaluation.

    A clip of n frames gives ceil(n / T) windows, which follow each other; window w of
    W holds the frames w, w + W, w + 2 W, ... and is padded at its end.

    Args:
        shards: the folder of shards.
        split: name of the split.
        num_frames: T, the most frames that a window holds.
        batch_size: number of windows in a batch.
        reading: as in `clip_dataset`.

    Returns:
        a data set of ({"features", "lengths"}, targets, clip_index) with the first two
        as from `clip_dataset` and clip_index: (batch,) int32, the position of the
        window's clip in `clips_in_split`. `model.fit` and `model.evaluate` would
        take the third part for weights; they want `clip_dataset`.

    Raises:
        FileNotFoundError: the folder, its manifest or a shard is missing.
        ValueError: an argument breaks its rule, there is no such split, a shard has
            another size than the manifest says, or a record does not agree with it.
    """
    _check_arguments(num_frames, batch_size, "all_frames", "pad", reading)
    choice = FrameChoice(num_frames, "all_frames", repeat_last=False, seed=0)
    batches = _batches(shards, split, choice, batch_size, reading)
    return batches.prefetch(_BATCHES_AHEAD)


def _batches(
    shards: AnyPath | str,
    split: str,
    choice: FrameChoice,
    batch_size: int,
    reading: Reading,
    shuffle: bool = False,
    cache: bool | Path = False,
    **which: Any,  # which batches; the arguments of `RandomAccessClips.batches`
) -> tf.data.Dataset:
    """Batches as `clip_windows` gives them."""
    manifest = read_manifest(shards)
    files = shard_files(shards, manifest, split, cache)
    places = None if reading == "sequential" else places_of_clips(files, manifest)
    clips: RandomAccessClips | SequentialClips
    if places is not None:
        clips = RandomAccessClips(files, places, manifest, choice, shuffle)
    else:
        clips = SequentialClips(files, manifest, choice, shuffle)
    return clips.batches(batch_size, **which)


def _without_clip_index(inputs: dict[str, tf.Tensor], targets: tf.Tensor, _: tf.Tensor) -> tuple:
    return inputs, targets


def _check_arguments(
    num_frames: int, batch_size: int, sampling: str, short_clips: str, reading: str
) -> None:
    for name, number in (("num_frames", num_frames), ("batch_size", batch_size)):
        if number < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {number}.")
    choices = (
        ("sampling", sampling, Sampling),
        ("short_clips", short_clips, ShortClips),
        ("reading", reading, Reading),
    )
    for name, value, allowed in choices:
        if value not in get_args(allowed):
            known = ", ".join(get_args(allowed))
            raise ValueError(f"`{name}` must be one of {known}. Received: {value!r}.")
