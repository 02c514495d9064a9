"""Batches of frames, decoded when they are wanted.

Comes in: clips and how many frames each has. Goes out: batches, in an order that is a pure
function of seed and epoch, from any batch on. `frame_dataset` calls it; `random_access_clips`
does the same for features.
"""

import functools
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from cham_keras.data.clip_list import Clip, ClipList
from cham_keras.data.frames.chosen_frames import read_chosen_frames
from cham_keras.data.frames.cropping import WHOLE_FRAME, Crop
from cham_keras.data.frames.resizing import Resizing
from cham_keras.data.reading.epochs import one_epoch_a_pass
from cham_keras.data.reading.frame_augmentation import FrameAugmentation
from cham_keras.data.reading.frame_choice import NO_FRAME, ORDER_STREAM, PADDING_TARGET, FrameChoice
from cham_keras.data.reading.stateless_random import random_order
from cham_keras.files import local_copy

_MOST_THREADS = 16
# What is wrong with a clip begins and ends like this, so that it can be found in
# TensorFlow's text.
_SENTENCE = re.compile(r"The clip \S.*?Leave the clip out of the list\.", re.DOTALL)


@dataclass(frozen=True)
class FrameClip:
    """A clip whose frames can be asked for.

    Attributes:
        clip: the clip.
        label: index of its class.
        num_frames: number of its frames, after the stride.
    """

    clip: Clip
    label: int
    num_frames: int


class FrameClips:
    """The clips of a split as samples of frames.

    Args:
        clip_list: where the clips are from.
        clips: the clips that can be read.
        choice: which frames of a clip are taken; "random" or "uniform".
        resizing: the size of the frames.
        frame_stride: 1 takes every frame of a clip, 2 every other one.
        shuffle: whether clips come in the epoch's random order.
        augmentation: how their frames are varied; None shows whole frames.
        views: the parts that are taken of each frame in place of that. A clip makes a sample
            for each.
    """

    def __init__(
        self,
        clip_list: ClipList,
        clips: Sequence[FrameClip],
        choice: FrameChoice,
        resizing: Resizing,
        frame_stride: int = 1,
        shuffle: bool = False,
        augmentation: FrameAugmentation | None = None,
        views: Sequence[Crop] = (WHOLE_FRAME,),
    ) -> None:
        self._clip_list = clip_list
        self._clips = clips
        self._choice = choice
        self._resizing = resizing
        self._frame_stride = frame_stride
        self._shuffle = shuffle
        self._augmentation = augmentation
        self._views = views
        self._labels = np.array([clip.label for clip in clips], np.int32)
        # A batch may hold clips of two epochs.
        self._order = functools.lru_cache(maxsize=2)(self._order_of_epoch)

    def batches(
        self,
        batch_size: int,
        *,
        repeat: bool = False,
        drop_remainder: bool = False,
        start_epoch: int = 0,
        start_batch: int = 0,
    ) -> tf.data.Dataset:
        """The batches, with the position of each sample's clip; arguments as in `frame_dataset`.

        Raises:
            ValueError: an epoch has no batch `start_batch`, and nothing follows it.
        """
        num_batches = len(self._clips) // batch_size
        if not drop_remainder:
            num_batches = -(-len(self._clips) // batch_size)
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

        varies = self._shuffle or self._choice.is_random or self._augmentation is not None
        if repeat or not (start_batch or varies):
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
            batch_size: number of clips in it.
            repeat: whether the clips of the next epoch follow; else the epoch's last batch
                may have fewer.

        Returns:
            frames (samples, T, height, width, 3) uint8, lengths (samples,) int32, targets
            (samples, T) int32, clip_index (samples,) int32. The samples of a clip, one
            a view, follow each other.

        Raises:
            ValueError: a clip cannot be read; names it.
        """
        num_clips = len(self._clips)
        first, end = batch * batch_size, (batch + 1) * batch_size
        positions = range(first, end if repeat else min(end, num_clips))
        epochs = [epoch + position // num_clips for position in positions]
        clips = [position % num_clips for position in positions]
        if self._shuffle:
            clips = [int(self._order(e)[c]) for e, c in zip(epochs, clips, strict=True)]
        frame_index = np.stack(
            [
                self._choice.frames(self._clips[clip].num_frames, e, clip, 0)
                for e, clip in zip(epochs, clips, strict=True)
            ]
        )
        size = self._resizing.image_size
        views, num_frames = len(self._views), self._choice.num_frames
        frames = np.zeros((len(clips), views, num_frames, size, size, 3), np.uint8)
        for _ in _threads().map(self._read_clip, epochs, clips, frame_index, frames):
            pass  # waits, and raises what a thread raised
        clip_index = np.repeat(np.array(clips, np.int32), views)
        valid = np.repeat(frame_index != NO_FRAME, views, axis=0)
        targets = np.where(valid, self._labels[clip_index][:, None], np.int32(PADDING_TARGET))
        # (clips, views, T, ...) -> (clips * views, T, ...)
        frames = frames.reshape(-1, *frames.shape[2:])
        return frames, valid.sum(axis=1, dtype=np.int32), targets, clip_index

    def _read_clip(self, epoch: int, clip: int, numbers: np.ndarray, frames: np.ndarray) -> None:
        """Fills the frames (views, T, height, width, 3) of one clip."""
        views = self._views
        if self._augmentation is not None:
            views = (self._augmentation.crop_of(self._choice.seed, epoch, clip),)
        what = self._clips[clip].clip
        numbers = numbers[numbers != NO_FRAME]
        times = what.start_seconds, what.end_seconds
        try:
            with local_copy(self._clip_list.path_of(what)) as path:
                frames[:, : len(numbers)] = read_chosen_frames(
                    path, numbers, self._resizing, views, self._frame_stride, *times
                )
        except (ValueError, OSError) as error:
            raise ValueError(
                f"The clip {what.id} cannot be read: {error} Leave the clip out of the list."
            ) from error

    def _order_of_epoch(self, epoch: int) -> np.ndarray:
        return random_order((self._choice.seed, epoch, ORDER_STREAM), len(self._clips))

    def _read_in_graph(
        self, epoch: tf.Tensor, batch: tf.Tensor, batch_size: int, repeat: bool
    ) -> tuple:
        def read(epoch: np.ndarray, batch: np.ndarray) -> tuple:
            return self.read(int(epoch), int(batch), batch_size, repeat)

        dtypes = [tf.uint8, tf.int32, tf.int32, tf.int32]
        frames, lengths, targets, clip_index = tf.numpy_function(read, [epoch, batch], dtypes)
        num_frames, size = self._choice.num_frames, self._resizing.image_size
        frames = tf.ensure_shape(frames, (None, num_frames, size, size, 3))
        lengths = tf.ensure_shape(lengths, (None,))
        targets = tf.ensure_shape(targets, (None, num_frames))
        clip_index = tf.ensure_shape(clip_index, (None,))
        return {"frames": frames, "lengths": lengths}, targets, clip_index


@contextmanager
def clip_errors_named() -> Iterator[None]:
    """Turns what TensorFlow raises for a clip that cannot be read into one sentence.

    Put it around `model.fit` and every other loop over a data set of frames.

    Raises:
        ValueError: a clip could not be read; names it.
    """
    try:
        yield
    except tf.errors.OpError as error:
        sentence = _SENTENCE.search(str(error))
        if sentence is None:
            raise
        raise ValueError(sentence.group()) from error


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """The threads that decode, the same ones for all data sets."""
    number = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    return ThreadPoolExecutor(number, thread_name_prefix="frame_decoder")
