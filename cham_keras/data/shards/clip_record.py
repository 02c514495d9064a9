"""One clip with its features, and the record that it becomes.

`shard_folder` writes the records; `shard_reader` and `shard_index` read them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from cham_keras.data.clip_list import SPLITS
from cham_keras.data.shards import shard_schema as schema
from cham_keras.data.shards.stored_features import StoredFeatures, store

#: A serialised protocol buffer ends at 2 GiB; room is left for the rest of the record.
_MOST_BYTES = 2**31 - 2**24


@dataclass(frozen=True)
class ClipFeatures:
    """One clip, as it becomes a record.

    Attributes:
        id: the clip's path, as in the clip list.
        split: "train", "validation" or "test".
        label: index of its class.
        group: what must not stand on both sides of a split.
        frame_rate_hz: frames per second, after the stride.
        features: (frames, height, width, channels), a float dtype.
    """

    id: str
    split: str
    label: int
    group: str
    frame_rate_hz: float
    features: np.ndarray


def record_of_clip(
    clip: ClipFeatures,
    classes: Sequence[str],
    feature_shape: tuple[int, int, int],
    feature_dtype: str,
) -> tuple[bytes, StoredFeatures]:
    """A clip as a serialised `tf.train.Example`.

    Args:
        clip: the clip.
        classes: names of the classes.
        feature_shape: what one frame's features must be shaped like.
        feature_dtype: a dtype of `shard_schema.BYTES_OF_DTYPE`.

    Returns:
        the record, and what of it was stored how exactly.

    Raises:
        ValueError: the split or the label is not known, the features have another
            shape, or hold numbers that are not finite in `feature_dtype`.
    """
    _check_clip(clip, classes)
    if clip.features.shape[1:] != tuple(feature_shape) or len(clip.features) == 0:
        raise ValueError(
            f"Features must be of shape (frames, {', '.join(map(str, feature_shape))}) with at "
            f"least one frame. Received: {clip.features.shape} for {clip.id}."
        )
    _check_size(clip, feature_dtype)
    try:
        stored = store(clip.features, feature_dtype)
    except ValueError as error:
        raise ValueError(
            f"{str(error).removesuffix('.')} in {clip.id}. "
            "If that is a number, store the features as float32."
        ) from None
    feature = {
        schema.CLIP_ID: _bytes_feature([clip.id.encode()]),
        schema.CLIP_LABEL: tf.train.Feature(int64_list=tf.train.Int64List(value=[clip.label])),
        schema.CLIP_GROUP: _bytes_feature([clip.group.encode()]),
        schema.CLIP_NUM_FRAMES: tf.train.Feature(
            int64_list=tf.train.Int64List(value=[len(stored.frames)])
        ),
        schema.CLIP_FRAME_RATE_HZ: tf.train.Feature(
            float_list=tf.train.FloatList(value=[clip.frame_rate_hz])
        ),
        schema.FRAMES_FEATURES: _bytes_feature(stored.frames),
    }
    if stored.scales is not None:
        feature[schema.FRAMES_SCALES] = _bytes_feature(stored.scales)
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    # Without this the order of the keys, and so the checksum, could change from run to run.
    return example.SerializeToString(deterministic=True), stored


def _check_size(clip: ClipFeatures, feature_dtype: str) -> None:
    num_bytes = clip.features.size * schema.BYTES_OF_DTYPE[feature_dtype]
    if num_bytes > _MOST_BYTES:
        raise ValueError(
            f"The features of a clip must fit into {_MOST_BYTES >> 20} MiB, since a record is one "
            f"protocol buffer. Received: {num_bytes >> 20} MiB for the {len(clip.features)} frames "
            f"of {clip.id}. Take fewer with --frame-stride or --max-frames, or cut the clip."
        )


def _check_clip(clip: ClipFeatures, classes: Sequence[str]) -> None:
    if clip.split not in SPLITS:
        raise ValueError(
            f"`split` must be one of {', '.join(SPLITS)}. Received: {clip.split!r} for {clip.id}."
        )
    if not 0 <= clip.label < len(classes):
        raise ValueError(
            f"`label` must be from 0 to {len(classes) - 1}. Received: {clip.label} for {clip.id}."
        )


def _bytes_feature(values: list[bytes]) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
