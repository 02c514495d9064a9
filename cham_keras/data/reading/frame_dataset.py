"""Batches of clips as frames, for training a network on them from end to end.

Comes in: a clip list. Goes out: a `tf.data.Dataset` of ({"frames", "lengths"}, targets), as
`clip_dataset` gives for features: the same clips with the same frames in the same order.
`finetuning` calls it, and anybody who has a `keras.Model` on frames to fit.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import tensorflow as tf

from cham_keras.data.clip_list import ClipList, read_clip_list
from cham_keras.data.extraction.extraction import extraction_order
from cham_keras.data.frames.cropping import WHOLE_FRAME, Crop
from cham_keras.data.frames.resizing import Resizing
from cham_keras.data.reading.clip_dataset import ShortClips
from cham_keras.data.reading.frame_augmentation import FrameAugmentation
from cham_keras.data.reading.frame_choice import FrameChoice
from cham_keras.data.reading.frame_clips import FrameClip, FrameClips
from cham_keras.data.reading.frame_counts import count_frames
from cham_keras.data.shards.manifest import UnreadableClip
from cham_keras.paths import AnyPath

# Batches that are made while a model works on another one.
_BATCHES_AHEAD = 2


def frame_dataset(
    clips: ClipList | AnyPath | str,
    split: str,
    num_frames: int,
    batch_size: int,
    image_size: int,
    sampling: Literal["random", "uniform"] = "uniform",
    shuffle: bool = False,
    seed: int = 0,
    augmentation: FrameAugmentation | None = None,
    short_clips: ShortClips = "repeat",
    repeat: bool = False,
    drop_remainder: bool = False,
    start_epoch: int = 0,
    start_batch: int = 0,
    frame_stride: int = 1,
    max_frames: int | None = None,
    interpolation: str = "bicubic",
    index: Path | None = None,
    strict: bool = False,
) -> tf.data.Dataset:
    """Batches of clips with a fixed number of frames, decoded when they are wanted.

    The order of an epoch is a pure function of (seed, epoch), the random frames of a clip
    and the part that is cut out of them are pure functions of (seed, epoch, clip). With the
    same seed these are the clips, frames and order that `clip_dataset` gives for shards that
    `cham extract` made of this clip list with `frame_stride` and `max_frames`, and its seed 0.

    Before the first batch the frames of the clips are counted, behind a progress bar, which
    decodes each clip once; `index` keeps the counts. Wrap the loop over the data set in
    `clip_errors_named`, which turns TensorFlow's error for a clip that broke since then into
    one sentence.

    Args:
        clips: a clip list, or where `cham prepare` wrote it.
        split: name of the split.
        num_frames: T, number of frames of a clip in the batch.
        batch_size: number of clips in a batch.
        image_size: height and width of the frames in pixels.
        sampling: "random" takes a sorted random subset, for training; "uniform" takes
            uniformly spaced frames, for testing.
        shuffle: whether clips come in random order.
        seed: for the order, the random frames and the augmentation.
        augmentation: how frames are varied; left out, they are shown whole.
        short_clips: a clip of fewer than T frames can "repeat" its last frame, or be padded
            ("pad") with frames of zeros.
        repeat: whether the data set goes on for ever; batches then cross from one epoch to
            the next. Without it each pass is the next epoch.
        drop_remainder: whether a last batch of fewer clips is left out.
        start_epoch: the epoch to begin with.
        start_batch: how many batches of it to pass over; none of them is decoded.
        frame_stride: 1 takes every frame of a clip, 2 every other one.
        max_frames: take at most this many frames of a clip, after the stride.
        interpolation: how frames are resized, one of `frames.INTERPOLATIONS`.
        index: a file for the counts of frames; left out, they are counted anew each time.
        strict: whether a clip that cannot be read is an error; else it is left out.

    Returns:
        a data set of ({"frames": (batch, T, image_size, image_size, 3) uint8 of 0 to 255,
        red, green, blue, "lengths": (batch,) int32}, targets (batch, T) int32, -1 on padding).

    Raises:
        FileNotFoundError: there is no clip list.
        ValueError: an argument breaks its rule, the split has no clip that can be read, or
            with `strict` one cannot be.
    """
    if sampling not in ("random", "uniform"):
        raise ValueError(f"`sampling` must be random or uniform. Received: {sampling!r}.")
    for name, number in (("start_epoch", start_epoch), ("start_batch", start_batch)):
        if number < 0:
            raise ValueError(f"`{name}` must be at least 0. Received: {number}.")
    choice = _choice(num_frames, batch_size, sampling, short_clips, seed)
    clip_list = clips if isinstance(clips, ClipList) else read_clip_list(clips)
    readable, _ = readable_clips(clip_list, split, frame_stride, max_frames, index, strict)
    frame_clips = FrameClips(
        clip_list,
        readable,
        choice,
        Resizing(image_size, interpolation),
        frame_stride,
        shuffle,
        augmentation,
    )
    batches = frame_clips.batches(
        batch_size,
        repeat=repeat,
        drop_remainder=drop_remainder,
        start_epoch=start_epoch,
        start_batch=start_batch,
    )
    return batches.map(lambda inputs, targets, _: (inputs, targets)).prefetch(_BATCHES_AHEAD)


def frame_views(
    clip_list: ClipList,
    clips: Sequence[FrameClip],
    num_frames: int,
    resizing: Resizing,
    views: Sequence[Crop] = (WHOLE_FRAME,),
    short_clips: ShortClips = "repeat",
    frame_stride: int = 1,
) -> tf.data.Dataset:
    """Each clip by itself, in several views, for evaluation.

    Args:
        clip_list: where the clips are from.
        clips: from `readable_clips`.
        num_frames: T, uniformly spaced.
        resizing: the size of the frames.
        views: the parts that are taken of each frame.
        short_clips: as in `frame_dataset`.
        frame_stride: as in `frame_dataset`.

    Returns:
        a data set of {"frames": (views, T, image_size, image_size, 3) uint8, "lengths":
        (views,) int32}, an element for each clip, in their order.
    """
    choice = _choice(num_frames, 1, "uniform", short_clips, seed=0)
    frame_clips = FrameClips(clip_list, clips, choice, resizing, frame_stride, views=views)
    batches = frame_clips.batches(batch_size=1)
    return batches.map(lambda inputs, _, __: inputs).prefetch(_BATCHES_AHEAD)


def readable_clips(
    clip_list: ClipList,
    split: str,
    frame_stride: int = 1,
    max_frames: int | None = None,
    index: Path | None = None,
    strict: bool = False,
) -> tuple[list[FrameClip], list[UnreadableClip]]:
    """The clips of a split that can be read, in the order of extraction, and those that cannot.

    Args:
        clip_list: the clip list.
        split: name of the split.
        frame_stride: as in `frame_dataset`.
        max_frames: as in `frame_dataset`.
        index: a file for the counts of frames.
        strict: whether a clip that cannot be read is an error.

    Raises:
        ValueError: there is no such split, none of its clips can be read, or with `strict`
            one cannot be.
    """
    wanted = set(clip_list.clips_of_split(split))
    clips = [c for c in extraction_order(clip_list) if c in wanted]
    if not clips:
        raise ValueError(
            f"`split` must be one that has clips in the list. Received: {split!r}, which has none."
        )
    counts = count_frames(clip_list, clips, frame_stride, max_frames, index)
    readable, unreadable = [], []
    for clip in clips:
        number = counts[clip.id]
        if isinstance(number, UnreadableClip):
            unreadable.append(number)
        else:
            readable.append(FrameClip(clip, clip_list.label_of(clip), number))
    if unreadable and (strict or not readable):
        which = "; ".join(f"{clip.path}: {clip.reason}" for clip in unreadable[:3])
        raise ValueError(
            f"{len(unreadable)} of {len(clips)} clips of the split {split} cannot be read: {which}"
            f"{'; …' if len(unreadable) > 3 else ''} Mend them, or leave them out of the list."
        )
    return readable, unreadable


def _choice(
    num_frames: int, batch_size: int, sampling: str, short_clips: str, seed: int
) -> FrameChoice:
    for name, number in (("num_frames", num_frames), ("batch_size", batch_size)):
        if number < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {number}.")
    if short_clips not in get_args(ShortClips):
        known = ", ".join(get_args(ShortClips))
        raise ValueError(f"`short_clips` must be one of {known}. Received: {short_clips!r}.")
    return FrameChoice(num_frames, sampling, short_clips == "repeat", seed)
