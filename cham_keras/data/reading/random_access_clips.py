"""Batches of clips from shards of which only the sampled frames are read.

Comes in: the shards of a split and the places of its clips. Goes out: batches, in an
order that is a pure function of seed and epoch, from any batch on. `clip_dataset` takes
this way wherever the store has random access.
"""

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from cham_keras.data.reading.epochs import one_epoch_a_pass
from cham_keras.data.reading.frame_choice import NO_FRAME, ORDER_STREAM, PADDING_TARGET, FrameChoice
from cham_keras.data.reading.frame_reader import FrameReader
from cham_keras.data.reading.shard_file import ShardFile
from cham_keras.data.reading.shard_index import ClipPlace
from cham_keras.data.reading.stateless_random import random_order
from cham_keras.data.shards.manifest import Manifest


class RandomAccessClips:
    """The samples of a split: one a clip, or one a window.

    Args:
        shards: the shards of the split, with random access.
        places: where its clips lie.
        manifest: how the frames are stored.
        choice: which frames of a clip are taken.
        shuffle: whether clips come in the epoch's random order.
    """

    def __init__(
        self,
        shards: Sequence[ShardFile],
        places: Sequence[ClipPlace],
        manifest: Manifest,
        choice: FrameChoice,
        shuffle: bool,
    ) -> None:
        self._choice = choice
        self._shuffle = shuffle
        self._reader = FrameReader(shards, places, manifest)
        self._labels = np.array([place.clip.label for place in places], np.int32)
        self._num_frames = [place.clip.num_frames for place in places]
        wanted = choice.num_frames
        # A batch may hold samples of two epochs.
        self._order = functools.lru_cache(maxsize=2)(self._order_of_epoch)
        # Clip and window of each sample.
        self._samples = [
            (clip, window)
            for clip, num_frames in enumerate(self._num_frames)
            for window in range(-(-num_frames // wanted) if choice.has_windows else 1)
        ]

    def batches(
        self,
        batch_size: int,
        *,
        repeat: bool = False,
        drop_remainder: bool = False,
        start_epoch: int = 0,
        start_batch: int = 0,
    ) -> tf.data.Dataset:
        """The batches as `clip_windows` gives them; the arguments as in `clip_dataset`.

        Raises:
            ValueError: an epoch has no batch `start_batch`, and nothing follows it.
        """
        num_samples = len(self._samples)
        num_batches = num_samples // batch_size
        if not drop_remainder:
            num_batches = -(-num_samples // batch_size)
        if start_batch and not repeat and start_batch >= num_batches:
            raise ValueError(
                f"`start_batch` must be below {num_batches}, the batches of an epoch, without "
                f"`repeat`. Received: {start_batch}."
            )

        def of_epoch(epoch: tf.Tensor, start: tf.Tensor) -> tf.data.Dataset:
            end = tf.int64.max if repeat else num_batches
            return tf.data.Dataset.range(start, end).map(lambda number: (epoch, number))

        def read(epoch: tf.Tensor, batch: tf.Tensor) -> tuple:
            return self._read_in_graph(epoch, batch, batch_size, repeat)

        if repeat or not (start_batch or self._shuffle or self._choice.is_random):
            numbers = of_epoch(tf.constant(start_epoch, tf.int64), start_batch)
        else:
            numbers = one_epoch_a_pass(start_epoch, of_epoch, start_batch)
        batches = numbers.map(read)  # one batch at a time, each by several threads
        if start_batch and not repeat:
            return batches  # the first pass has fewer than the next ones
        end = tf.data.INFINITE_CARDINALITY if repeat else num_batches
        return batches.apply(tf.data.experimental.assert_cardinality(end))

    def read(
        self, epoch: int, batch: int, batch_size: int, repeat: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Reads one batch.

        Args:
            epoch: number of an epoch.
            batch: number of the batch, counted from the epoch's beginning.
            batch_size: number of samples in it.
            repeat: whether the samples of the next epoch follow; else the epoch's last
                batch may have fewer samples.

        Returns:
            features (batch, T, height, width, channels) float32, lengths
            (batch,) int32, targets (batch, T) int32 and clip_index (batch,) int32.
        """
        num_samples = len(self._samples)
        first, end = batch * batch_size, (batch + 1) * batch_size
        clips, frames, mirrored = [], [], []
        for position in range(first, end if repeat else min(end, num_samples)):
            epoch_of_sample = epoch + position // num_samples
            sample = position % num_samples
            if self._shuffle:
                sample = self._order(epoch_of_sample)[sample]
            clip, window = self._samples[sample]
            clips.append(clip)
            mirrored.append(self._choice.is_mirrored(epoch_of_sample, clip))
            frames.append(
                self._choice.frames(self._num_frames[clip], epoch_of_sample, clip, window)
            )
        clip_index, frame_index = np.array(clips, np.int32), np.array(frames)
        valid = frame_index != NO_FRAME
        targets = np.where(valid, self._labels[clip_index][:, None], np.int32(PADDING_TARGET))
        features = self._reader.read(clip_index, frame_index, np.array(mirrored))
        return features, valid.sum(axis=1, dtype=np.int32), targets, clip_index

    def _order_of_epoch(self, epoch: int) -> np.ndarray:
        return random_order((self._choice.seed, epoch, ORDER_STREAM), len(self._samples))

    def _read_in_graph(
        self, epoch: tf.Tensor, batch: tf.Tensor, batch_size: int, repeat: bool
    ) -> tuple:
        def read(epoch: np.ndarray, batch: np.ndarray) -> tuple:
            return self.read(int(epoch), int(batch), batch_size, repeat)

        dtypes = [tf.float32, tf.int32, tf.int32, tf.int32]
        features, lengths, targets, clip_index = tf.numpy_function(read, [epoch, batch], dtypes)
        num_frames = self._choice.num_frames
        features = tf.ensure_shape(features, (None, num_frames, *self._reader.feature_shape))
        lengths = tf.ensure_shape(lengths, (None,))
        targets = tf.ensure_shape(targets, (None, num_frames))
        clip_index = tf.ensure_shape(clip_index, (None,))
        return {"features": features, "lengths": lengths}, targets, clip_index
