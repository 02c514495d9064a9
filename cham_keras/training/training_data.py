"""The data of a fit: training clips from any step on, validation clips, weights of classes.

Comes in: shards and settings. Goes out: data sets for `fit`. `train` calls it.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cham_keras.data import Manifest, clip_dataset, clips_in_split, read_manifest
from cham_keras.paths import AnyPath
from cham_keras.progress import stderr
from cham_keras.runs import RunSettings


def batch_size_of_part(settings: RunSettings) -> int:
    """Clips that go through the model at once: a step's clips, or a part of them."""
    return settings.data.batch_size // settings.optimizer.accumulation_steps


def training_clips(
    shards: AnyPath | str,
    settings: RunSettings,
    start_batch: int = 0,
    read: Callable[..., tf.data.Dataset] = clip_dataset,
) -> tf.data.Dataset:
    """The training clips, random and without end.

    Args:
        shards: the folder of shards.
        settings: decide on clips, frames, order and weights.
        start_batch: how many batches, or parts of steps, are passed over. What follows is
            bit for bit what follows there in the whole data set.
        read: what reads them; `clip_dataset`, or the like for a part of each batch.

    Returns:
        a data set of (inputs, targets) as from `clip_dataset`; with balanced class weights
        of (inputs, targets, weights), float32 (batch,).
    """
    clips = _read(shards, settings, read)(
        split="train",
        sampling="random",
        shuffle=True,
        repeat=True,
        start_batch=start_batch,
        mirror=settings.data.mirror,
    )
    if settings.class_weights == "none":
        return clips
    weights = tf.constant(class_weights(read_manifest(shards)))

    def weighted(inputs: dict[str, tf.Tensor], targets: tf.Tensor) -> tuple:
        # The first frame of a clip is never padding.
        return inputs, targets, tf.gather(weights, targets[:, 0])

    return clips.map(weighted)


def validation_clips(shards: AnyPath | str, settings: RunSettings) -> tf.data.Dataset | None:
    """The validation clips in order with evenly spaced frames; None without such a split."""
    if "validation" not in read_manifest(shards).splits:
        return None
    return _read(shards, settings)(split="validation", sampling="uniform")


def clip_datasets(shards: AnyPath | str, settings: RunSettings) -> tuple[Any, Any]:
    """The training clips, random and without end, and the validation clips or None."""
    return training_clips(shards, settings), validation_clips(shards, settings)


def class_weights(manifest: Manifest) -> np.ndarray:
    """Weights with which each class has the same sum of weights, and the mean clip weighs 1.

    Args:
        manifest: of the shards; the split `train` counts.

    Returns:
        float32 (classes,): clips / (classes with clips * clips of the class); 0 where a
        class has no clips.
    """
    of_class = manifest.split("train").clips_per_class
    counts = np.array([of_class.get(name, 0) for name in manifest.classes], np.float64)
    weights = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0).astype(np.float32)


def notice_short_clips(shards: AnyPath | str, settings: RunSettings) -> None:
    """Says how many clips are shorter than what is sampled, and what they get."""
    num_frames = settings.num_frames
    clips = clips_in_split(shards, "train")
    short = sum(clip.num_frames < num_frames for clip in clips)
    if short:
        gets = {"repeat": "repeat their last frame", "pad": "are padded"}
        stderr.print(
            f"{short} of {len(clips)} training clips are shorter than {num_frames} frames "
            f"and {gets[settings.data.short_clips]}."
        )


def _read(
    shards: AnyPath | str,
    settings: RunSettings,
    read: Callable[..., tf.data.Dataset] = clip_dataset,
) -> functools.partial:
    return functools.partial(
        read,
        shards,
        num_frames=settings.num_frames,
        batch_size=batch_size_of_part(settings),
        short_clips=settings.data.short_clips,
        seed=settings.seed,
    )
