"""Batches of clips from shards that are read from their beginning to their end.

Comes in: the shards of a split. Goes out: batches. `clip_dataset` takes this way where
shards have no random access. It is TensorFlow's own operations only, so it also runs in
the workers of tf.data service.
"""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from cham_keras.data.reading import frame_sampling
from cham_keras.data.reading.epochs import endless_epochs, one_epoch_a_pass
from cham_keras.data.reading.frame_choice import ORDER_STREAM, PADDING_TARGET, FrameChoice
from cham_keras.data.reading.record_parsing import parse_clip
from cham_keras.data.reading.shard_file import ShardFile
from cham_keras.data.reading.shard_reader import serialized_records
from cham_keras.data.reading.stateless_random import random_order_tensor
from cham_keras.data.shards.manifest import Manifest
from cham_keras.data.shards.shard_schema import BYTES_OF_DTYPE

# The shuffle holds the chosen frames of as many clips as go into this.
_SHUFFLE_MEMORY_BYTES = 256 * 2**20


class SequentialClips:
    """The samples of a split: one a clip, or one a window.

    Args:
        shards: the shards of the split.
        manifest: what the records must agree with.
        choice: which frames of a clip are taken.
        shuffle: whether shards come in the epoch's random order, several at a time, and
            their clips are mixed in blocks of 256 MiB.
    """

    def __init__(
        self,
        shards: Sequence[ShardFile],
        manifest: Manifest,
        choice: FrameChoice,
        shuffle: bool,
    ) -> None:
        self._shards = shards
        self._manifest = manifest
        self._choice = choice
        self._shuffle = shuffle

    def batches(
        self,
        batch_size: int,
        *,
        repeat: bool = False,
        drop_remainder: bool = False,
        start_epoch: int = 0,
        start_batch: int = 0,
    ) -> tf.data.Dataset:
        """The batches as `clip_windows` gives them; the arguments as in `clip_dataset`."""
        skipped = start_batch * batch_size

        def of_epoch(epoch: tf.Tensor, num_skipped: tf.Tensor) -> tf.data.Dataset:
            return self._samples(epoch).skip(num_skipped)

        if self._shuffle or self._choice.is_random or (skipped and not repeat):
            if repeat:  # these are never windows, so an epoch has a sample for each clip
                num_clips = sum(len(shard.record_numbers) for shard in self._shards)
                start_epoch += skipped // num_clips
                skipped %= num_clips
            epochs = endless_epochs if repeat else one_epoch_a_pass
            samples = epochs(start_epoch, of_epoch, skipped)
        else:
            # Epochs are alike, and nothing counts them: tf.data service can split this.
            samples = self._samples(tf.constant(0, tf.int64))
            if repeat:
                samples = samples.repeat().skip(skipped)
        batches = samples.batch(batch_size, drop_remainder=drop_remainder)
        return _mapped(batches, self._decoded)

    def _samples(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """The samples of one epoch.

        Returns:
            a data set of `frames` (T,) strings, empty ones where a clip has no more,
            `scales` likewise with int8, `length`, `label` and `clip_index`; also `mirrored`
            where clips are mirrored by chance.
        """
        choice = self._choice
        order = None
        if self._shuffle:
            order = random_order_tensor(self._order_words(epoch, 0), len(self._shards))
        records = serialized_records(self._shards, order)

        def clip_of_record(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return parse_clip(record, self._manifest)

        def sample(clip: dict[str, tf.Tensor], window: tf.Tensor) -> dict[str, tf.Tensor]:
            num_frames, clip_index = clip["num_frames"], clip["clip_index"]
            indices = choice.frames_in_graph(num_frames, epoch, clip_index, window)
            taken = _sample_of_frames(clip, indices, choice.num_frames)
            if choice.mirror:
                taken["mirrored"] = choice.is_mirrored_in_graph(epoch, clip_index)
            return taken

        def windows_of_clip(clip: dict[str, tf.Tensor]) -> tf.data.Dataset:
            number = frame_sampling.num_windows(clip["num_frames"], choice.num_frames)
            windows = tf.data.Dataset.range(tf.cast(number, tf.int64))
            return windows.map(lambda window: sample(clip, window))

        if choice.has_windows:
            return _mapped(records, clip_of_record).flat_map(windows_of_clip)
        samples = _mapped(records, lambda record: sample(clip_of_record(record), tf.constant(0)))
        return self._shuffled_in_blocks(samples, epoch) if self._shuffle else samples

    def _shuffled_in_blocks(self, samples: tf.data.Dataset, epoch: tf.Tensor) -> tf.data.Dataset:
        # `Dataset.shuffle` has a state, with which one cannot begin in the middle.
        clip_bytes = self._choice.num_frames * self._manifest.bytes_per_frame
        block_size = max(1, _SHUFFLE_MEMORY_BYTES // clip_bytes)

        def shuffled(number: tf.Tensor, block: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            words = self._order_words(epoch, number + 1)
            order = random_order_tensor(words, tf.size(block["length"]))
            return {name: tf.gather(values, order) for name, values in block.items()}

        return samples.batch(block_size).enumerate().map(shuffled).unbatch()

    def _order_words(self, epoch: tf.Tensor, what: tf.Tensor | int) -> tf.Tensor:
        """Words for the order of the shards (0), or of the clips of block `what`."""
        words = (self._choice.seed, epoch, ORDER_STREAM, what)
        return tf.stack([tf.cast(word, tf.int64) for word in words])

    def _decoded(self, batch: dict[str, tf.Tensor]) -> tuple:
        shape, dtype = self._manifest.feature_shape, self._manifest.feature_dtype
        num_frames, lengths = self._choice.num_frames, batch["length"]
        features = decode_frames(batch["frames"], shape, dtype, batch.get("scales"))
        if "mirrored" in batch:
            # (batch,) to (batch, 1, 1, 1, 1); axis 3 of the features is the width
            mirrored = batch["mirrored"][:, None, None, None, None]
            features = tf.where(mirrored, tf.reverse(features, [3]), features)
        features = tf.ensure_shape(features, (None, num_frames, *shape))
        valid = tf.sequence_mask(lengths, num_frames)  # (batch, time)
        targets = tf.where(valid, batch["label"][:, None], PADDING_TARGET)
        return {"features": features, "lengths": lengths}, targets, batch["clip_index"]


def decode_frames(
    frames: tf.Tensor,
    feature_shape: tuple[int, int, int],
    feature_dtype: str,
    scales: tf.Tensor | None = None,
) -> tf.Tensor:
    """Stored bytes as numbers.

    Args:
        frames: (...) strings, one a frame; an empty one becomes zeros.
        feature_shape: height, width, channels.
        feature_dtype: how they are stored, a dtype of `shard_schema.BYTES_OF_DTYPE`.
        scales: (...) strings, with int8 only: what each frame's channels are multiplied
            with.

    Returns:
        (..., height, width, channels) float32.
    """
    # As whole numbers of the same size first: TensorFlow pads those, and not float16.
    whole = {"float16": tf.uint16, "float32": tf.int32, "int8": tf.int8}[feature_dtype]
    num_bytes = math.prod(feature_shape) * BYTES_OF_DTYPE[feature_dtype]
    bits = tf.io.decode_raw(frames, whole, little_endian=True, fixed_length=num_bytes)
    numbers = tf.bitcast(bits, tf.as_dtype(feature_dtype))
    # (..., height * width * channels) to (..., height, width, channels)
    shape = tf.concat([tf.shape(frames), feature_shape], axis=0)
    features = tf.cast(tf.reshape(numbers, shape), tf.float32)
    if scales is None:
        return features
    # (...) strings to (..., 1, 1, channels)
    factors = decode_frames(scales, (1, 1, feature_shape[-1]), "float32")
    return features * factors


def _sample_of_frames(
    clip: dict[str, tf.Tensor], indices: tf.Tensor, num_frames: int
) -> dict[str, tf.Tensor]:
    """Takes the chosen frames' bytes; empty strings fill up to T."""
    length = tf.size(indices)
    sample = {
        "length": length,
        "label": clip["label"],
        "clip_index": tf.cast(clip["clip_index"], tf.int32),
    }
    for name in ("frames", "scales"):
        if name in clip:
            chosen = tf.gather(clip[name], indices)
            padded = tf.concat([chosen, tf.fill([num_frames - length], "")], axis=0)
            sample[name] = tf.ensure_shape(padded, (num_frames,))
    return sample


def _mapped(dataset: tf.data.Dataset, function: Callable) -> tf.data.Dataset:
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
