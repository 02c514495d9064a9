"""Writing shards: records of clips' features, in TFRecord files with a manifest.

Comes in: the features of one clip after the other. Goes out: a folder as
`docs/map.md` describes it, whole or not at all. For whoever has features from
elsewhere; `extraction.extract` writes in the same way and can be continued.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cham_keras.data.backbones.backbone_spec import BackboneSpec
from cham_keras.data.shards import shard_schema as schema
from cham_keras.data.shards.clip_record import ClipFeatures
from cham_keras.data.shards.journal import JOURNAL_FILE
from cham_keras.data.shards.manifest import Manifest, UnreadableClip, versions_of, write_manifest
from cham_keras.data.shards.shard_folder import ShardFolder
from cham_keras.files import replacing_folder

#: 128 MiB: some fifty clips of ResNet features; small enough to mix shards in training.
DEFAULT_SHARD_BYTES = 128 * 2**20

#: The packages that decide what shards hold.
_PACKAGES = ("cham-keras", "tensorflow", "keras", "numpy", "av")


def write_shards(
    folder: Path | str,
    clips: Iterable[ClipFeatures | UnreadableClip],
    *,
    classes: Sequence[str],
    backbone: BackboneSpec,
    feature_dtype: str = "float16",
    frame_stride: int = 1,
    max_frames: int | None = None,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    clips_per_shard: int | None = None,
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
        feature_dtype: "float16", "float32", or "int8" with a scale for each channel.
        frame_stride: kept in the manifest.
        max_frames: kept in the manifest.
        shard_bytes: size at which a shard is closed and the next one begun.
        clips_per_shard: number of clips at which it is closed, whatever its size.
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
    check_storage(feature_dtype, shard_bytes, clips_per_shard)
    with replacing_folder(folder, overwrite=overwrite) as temporary:
        with ShardFolder(
            temporary, classes, backbone, feature_dtype, shard_bytes, clips_per_shard
        ) as shards:
            for clip in clips:
                shards.write(clip)
            manifest = finish_shards(
                shards,
                backbone=backbone,
                frame_stride=frame_stride,
                max_frames=max_frames,
                clips_root=clips_root,
                command=command,
            )
        (temporary / JOURNAL_FILE).unlink()
    return manifest


def finish_shards(shards: ShardFolder, **facts: Any) -> Manifest:
    """Names the shards and writes the manifest beside them.

    Args:
        shards: a folder to which all clips were written.
        **facts: what the manifest says beside counts: `backbone`, `frame_stride`,
            `max_frames`, `clips_root`, `command`.

    Raises:
        ValueError: there are no clips.
    """
    splits = shards.close_shards()
    if not splits:
        raise ValueError(
            f"There must be at least one clip to write. Received none for {shards.folder}."
        )
    manifest = Manifest(
        classes=shards.classes,
        feature_dtype=shards.feature_dtype,  # type: ignore[arg-type]  # checked before
        storage_error=shards.storage_error(),
        splits=splits,
        unreadable=shards.unreadable(),
        versions=versions_of(_PACKAGES),
        **facts,
    )
    write_manifest(manifest, shards.folder)
    return manifest


def check_storage(feature_dtype: str, shard_bytes: int, clips_per_shard: int | None) -> None:
    """Checks how features shall be stored.

    Raises:
        ValueError: the dtype is not known, or a size is below 1.
    """
    if feature_dtype not in schema.BYTES_OF_DTYPE:
        raise ValueError(
            f"`feature_dtype` must be one of {', '.join(schema.BYTES_OF_DTYPE)}. "
            f"Received: {feature_dtype!r}."
        )
    for name, value in (("shard_bytes", shard_bytes), ("clips_per_shard", clips_per_shard)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {value}.")


def sha256_of_file(path: Path) -> str:
    """Checksum of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
