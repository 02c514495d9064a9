"""A host's part of each batch: the same rows of every batch, and only these are read.

Comes in: shards, how batches are made, and which part of each is wanted. Goes out: data sets.
`parallel_hosts` calls it. The parts of all hosts, one after the other, are the batches that
`clip_dataset` gives.
"""

from typing import Any, Literal

import numpy as np
import tensorflow as tf

from cham_keras.data import clip_dataset, read_manifest
from cham_keras.data.reading.clip_dataset import Sampling, ShortClips
from cham_keras.data.reading.frame_choice import FrameChoice
from cham_keras.data.reading.random_access_clips import RandomAccessClips
from cham_keras.data.reading.shard_file import shard_files
from cham_keras.data.reading.shard_reader import places_of_clips
from cham_keras.paths import AnyPath

# Batches that are made while a model works on another one, as in `clip_dataset`.
_BATCHES_AHEAD = 2


class _PartsOfBatches(RandomAccessClips):
    """Clips whose batches are read in part.

    Args:
        part: which part, counted from 0.
        num_parts: in how many equal parts a batch is divided.
        **clips: of `RandomAccessClips`.
    """

    def __init__(self, part: int, num_parts: int, **clips: Any) -> None:
        super().__init__(**clips)
        self._part, self._num_parts = part, num_parts

    def read(
        self, epoch: int, batch: int, batch_size: int, repeat: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Reads this part of a batch, which is a batch where all of them are that small."""
        number = batch * self._num_parts + self._part
        return super().read(epoch, number, batch_size // self._num_parts, repeat)


def part_of_clips(
    shards: AnyPath | str,
    split: str,
    num_frames: int,
    batch_size: int,
    *,
    part: int,
    num_parts: int,
    sampling: Sampling,
    shuffle: bool,
    seed: int,
    short_clips: ShortClips,
    repeat: Literal[True],
    start_batch: int = 0,
    mirror: bool = False,
) -> tf.data.Dataset:
    """A part of each batch that `clip_dataset` gives without end.

    Where the shards have no random access, all is read, and the other parts are thrown away.

    Args:
        shards: the folder of shards.
        split: name of the split.
        num_frames: number of frames of a clip.
        batch_size: clips of a whole batch, a multiple of `num_parts`.
        part: which part, counted from 0.
        num_parts: in how many equal parts a batch is divided.
        sampling: as in `clip_dataset`.
        shuffle: likewise.
        seed: likewise.
        short_clips: likewise.
        repeat: True, for a last batch of fewer clips could not be divided.
        start_batch: as in `clip_dataset`.
        mirror: likewise.
        mirror: as in `clip_dataset`.

    Returns:
        a data set of (inputs, targets) as from `clip_dataset`, of `batch_size / num_parts`
        clips each.

    Raises:
        FileNotFoundError: the folder, its manifest or a shard is missing.
        ValueError: there is no such split, or a shard is damaged.
    """
    manifest = read_manifest(shards)
    files = shard_files(shards, manifest, split)
    places = places_of_clips(files, manifest)
    if places is None:
        whole = clip_dataset(
            shards,
            split,
            num_frames,
            batch_size,
            sampling=sampling,
            shuffle=shuffle,
            seed=seed,
            short_clips=short_clips,
            repeat=repeat,
            start_batch=start_batch,
            mirror=mirror,
        )
        return part_of_batches(whole, part, num_parts)
    clips = _PartsOfBatches(
        part,
        num_parts,
        shards=files,
        places=places,
        manifest=manifest,
        choice=FrameChoice(num_frames, sampling, short_clips == "repeat", seed, mirror),
        shuffle=shuffle,
    )
    batches = clips.batches(batch_size, repeat=repeat, start_batch=start_batch)
    return batches.map(lambda inputs, targets, _: (inputs, targets)).prefetch(_BATCHES_AHEAD)


def part_of_batches(batches: tf.data.Dataset, part: int, num_parts: int) -> tf.data.Dataset:
    """A part of each batch of a data set that gives whole ones.

    Args:
        batches: batches of which each can be divided by `num_parts`.
        part: which part, counted from 0.
        num_parts: in how many equal parts a batch is divided.

    Example:

    >>> batches = tf.data.Dataset.range(6).batch(4)
    >>> [part.numpy().tolist() for part in part_of_batches(batches, 1, num_parts=2)]
    [[2, 3], [5]]
    """

    def rows(*batch: Any) -> Any:
        number = tf.shape(tf.nest.flatten(batch)[0])[0] // num_parts
        taken = tf.nest.map_structure(lambda x: x[part * number : (part + 1) * number], batch)
        return taken if len(taken) > 1 else taken[0]

    return batches.map(rows)
