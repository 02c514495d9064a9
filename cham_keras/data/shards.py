"""Writing shards: records of clips' features, in TFRecord files with a manifest.

Comes in: the features of one clip after the other. Goes out: a folder as
`docs/map.md` describes it, whole or not at all. `extraction.extract` calls it;
so can anybody who has features from elsewhere.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf

from cham_keras.data import shard_schema as schema
from cham_keras.data.backbone_spec import BackboneSpec
from cham_keras.data.clip_list import SPLITS
from cham_keras.data.manifest import (
    Manifest,
    ShardInfo,
    SplitInfo,
    UnreadableClip,
    versions_of,
    write_manifest,
)
from cham_keras.files import replacing_folder

DEFAULT_CLIPS_PER_SHARD = 32

#: The packages that decide what shards hold.
_PACKAGES = ("cham-keras", "tensorflow", "keras", "numpy", "av")


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


def write_shards(
    folder: Path | str,
    clips: Iterable[ClipFeatures | UnreadableClip],
    *,
    classes: Sequence[str],
    backbone: BackboneSpec,
    feature_dtype: str = "float16",
    frame_stride: int = 1,
    max_frames: int | None = None,
    clips_per_shard: int = DEFAULT_CLIPS_PER_SHARD,
    clips_root: str = "",
    command: str = "",
    overwrite: bool = False,
) -> Manifest:
    """Writes clips into shards, in the order in which they come.

    The same clips give the same bytes.

    Args:
        folder: a new or empty folder. It appears when everything is written.
        clips: the clips; those that could not be read go into the manifest.
        classes: names of the classes; a class's index is its label.
        backbone: what the features were computed with.
        feature_dtype: "float16" or "float32".
        frame_stride: kept in the manifest.
        max_frames: kept in the manifest.
        clips_per_shard: a shard holds this many clips; the last one may hold fewer.
        clips_root: kept in the manifest.
        command: kept in the manifest.
        overwrite: whether a folder that is already there is replaced.

    Returns:
        the manifest, as it lies in the folder.

    Raises:
        FileExistsError: the folder holds files, and `overwrite` is false.
        ValueError: an argument breaks its rule, a clip's features have another
            shape than the backbone's or numbers that the dtype cannot hold, or
            there are no clips.
    """
    if feature_dtype not in schema.BYTES_OF_DTYPE:
        raise ValueError(
            f"`feature_dtype` must be one of {', '.join(schema.BYTES_OF_DTYPE)}. "
            f"Received: {feature_dtype!r}."
        )
    if clips_per_shard < 1:
        raise ValueError(f"`clips_per_shard` must be at least 1. Received: {clips_per_shard}.")
    unreadable: list[UnreadableClip] = []
    with replacing_folder(Path(folder), overwrite=overwrite) as temporary:
        with ExitStack() as stack:
            writers = {
                split: stack.enter_context(_SplitWriter(temporary, split, classes, clips_per_shard))
                for split in SPLITS
            }
            for clip in clips:
                if isinstance(clip, UnreadableClip):
                    unreadable.append(clip)
                else:
                    _check_clip(clip, classes)
                    record = record_of_clip(clip, backbone.feature_shape, feature_dtype)
                    writers[clip.split].write(record, clip)
        splits = {split: writer.info() for split, writer in writers.items() if writer.num_clips}
        if not splits:
            raise ValueError(
                f"There must be at least one clip to write. Received none for {folder}."
            )
        manifest = Manifest(
            classes=tuple(classes),
            feature_dtype=feature_dtype,  # type: ignore[arg-type]  # checked above
            backbone=backbone,
            frame_stride=frame_stride,
            max_frames=max_frames,
            splits=splits,
            clips_root=clips_root,
            unreadable=tuple(unreadable),
            versions=versions_of(_PACKAGES),
            command=command,
        )
        write_manifest(manifest, temporary)
    return manifest


def record_of_clip(
    clip: ClipFeatures, feature_shape: tuple[int, int, int], feature_dtype: str
) -> bytes:
    """A clip as a serialised `tf.train.Example`.

    Args:
        clip: the clip.
        feature_shape: what one frame's features must be shaped like.
        feature_dtype: "float16" or "float32".

    Raises:
        ValueError: the features have another shape, or hold numbers that are
            not finite in `feature_dtype`.
    """
    if clip.features.shape[1:] != tuple(feature_shape) or len(clip.features) == 0:
        raise ValueError(
            f"Features must be of shape (frames, {', '.join(map(str, feature_shape))}) with at "
            f"least one frame. Received: {clip.features.shape} for {clip.id}."
        )
    with np.errstate(over="ignore"):
        stored = clip.features.astype(np.dtype(feature_dtype).newbyteorder("<"))
    if not np.all(np.isfinite(stored)):
        largest = np.max(np.abs(clip.features))
        raise ValueError(
            f"Features must be finite as {feature_dtype}. Received: {clip.id} with {largest:g}. "
            "If that is a number, store the features as float32."
        )
    feature = {
        schema.CLIP_ID: _bytes_feature([clip.id.encode()]),
        schema.CLIP_LABEL: tf.train.Feature(int64_list=tf.train.Int64List(value=[clip.label])),
        schema.CLIP_GROUP: _bytes_feature([clip.group.encode()]),
        schema.CLIP_NUM_FRAMES: tf.train.Feature(
            int64_list=tf.train.Int64List(value=[len(stored)])
        ),
        schema.CLIP_FRAME_RATE_HZ: tf.train.Feature(
            float_list=tf.train.FloatList(value=[clip.frame_rate_hz])
        ),
        schema.FRAMES_FEATURES: _bytes_feature([frame.tobytes() for frame in stored]),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    # Without this the order of the keys, and so the checksum, could change from run to run.
    return example.SerializeToString(deterministic=True)


class _SplitWriter:
    """Writes the records of one split, and counts them."""

    def __init__(
        self, folder: Path, split: str, classes: Sequence[str], clips_per_shard: int
    ) -> None:
        self.folder = folder
        self.split = split
        self.classes = classes
        self.clips_per_shard = clips_per_shard
        self.num_clips = 0
        self._num_frames = 0
        self._clips_per_class = dict.fromkeys(classes, 0)
        self._clips_of_shards: list[int] = []
        self._file: Any = None  # a tf.io.TFRecordWriter while a shard is open

    def __enter__(self) -> "_SplitWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close_file()

    def write(self, record: bytes, clip: ClipFeatures) -> None:
        if self.num_clips % self.clips_per_shard == 0:
            self._close_file()
            self._file = tf.io.TFRecordWriter(str(self._unfinished(len(self._clips_of_shards))))
            self._clips_of_shards.append(0)
        self._file.write(record)
        self._clips_of_shards[-1] += 1
        self.num_clips += 1
        self._num_frames += len(clip.features)
        self._clips_per_class[self.classes[clip.label]] += 1

    def info(self) -> SplitInfo:
        """Gives the closed files their names, which tell how many there are."""
        shards = []
        for index, clips in enumerate(self._clips_of_shards):
            name = schema.shard_file_name(self.split, index, len(self._clips_of_shards))
            path = self._unfinished(index).rename(self.folder / name)
            shards.append(ShardInfo(name, clips, path.stat().st_size, sha256_of_file(path)))
        return SplitInfo(self.num_clips, self._num_frames, self._clips_per_class, tuple(shards))

    def _unfinished(self, index: int) -> Path:
        return self.folder / f"{self.split}-{index:05d}.tfrecord"

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def sha256_of_file(path: Path) -> str:
    """Checksum of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
