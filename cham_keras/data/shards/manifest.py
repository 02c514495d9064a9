"""The manifest: what lies in a folder of shards, and how it was made.

`shards.write_shards` writes `manifest.json`; whoever reads shards begins with
`read_manifest`, and a run folder keeps a copy. Its form is written in
`docs/map.md`. A folder that holds a manifest and shares the shards of another folder is
a view of them (`view.py`).
"""

import dataclasses
import importlib.metadata
import math
import platform
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import TypeAdapter

from cham_keras.data.backbones.backbone_spec import BackboneSpec
from cham_keras.data.shards.shard_schema import (
    BYTES_OF_DTYPE,
    MANIFEST_FILE,
    READABLE_VERSIONS,
    SCHEMA_VERSION,
)
from cham_keras.data.shards.stored_features import StorageError
from cham_keras.files import read_json, write_json
from cham_keras.paths import AnyPath, file_in_folder
from cham_keras.settings import settings, settings_from_dict


@settings
class ShardInfo:
    """One shard."""

    file: str
    """Name of the file in the manifest's folder; in a view the way from there, or a URL."""
    clips: int
    """Number of records in the file."""
    bytes: int
    """Size of the file."""
    sha256: str
    """Checksum of the file."""
    records: tuple[int, ...] | None = None
    """In a view: the records that belong to the split, from 0, ascending; None for all."""
    ids_sha256: str | None = None
    """In a view: checksum of the ids of these records' clips, as `checksum_of_ids` makes it."""

    @property
    def num_clips(self) -> int:
        """Number of records that belong to the split."""
        return self.clips if self.records is None else len(self.records)


@settings
class SplitInfo:
    """One split."""

    clips: int
    """Number of clips."""
    frames: int
    """Number of frames over all clips."""
    clips_per_class: dict[str, int]
    """Number of clips of each class, also where there are none."""
    shards: tuple[ShardInfo, ...]
    """The shards, in the order in which they were written."""


@settings
class UnreadableClip:
    """A clip that stands in the clip list and not in the shards."""

    path: str
    """The clip's path, as in the clip list."""
    reason: str
    """Why it could not be read."""


@settings
class Manifest:
    """What lies in a folder of shards, and how it was made."""

    classes: tuple[str, ...]
    """Names of the classes; a class's index is its label."""
    feature_dtype: Literal["float16", "float32", "int8"]
    """How the numbers are stored."""
    storage_error: StorageError
    """How far the stored numbers are from those that were computed."""
    backbone: BackboneSpec
    """What the features were computed with."""
    frame_stride: int
    """1 for every frame of a clip, 2 for every other one."""
    max_frames: int | None
    """At most this many frames of a clip; nothing means all."""
    splits: dict[str, SplitInfo]
    """The splits that have clips, by name."""
    clips_root: str
    """The folder that the clips' paths were relative to."""
    unreadable: tuple[UnreadableClip, ...]
    """The clips that could not be read."""
    versions: dict[str, str]
    """Versions of Python and of the packages that wrote the shards."""
    command: str
    """The command that wrote the shards, or the view; empty where there was none."""
    view_of: str | None = None
    """Of a view: the folder of the shards when the view was made, an absolute path or a URL."""
    divided_groups: tuple[str, ...] = ()
    """Of a view: groups in the records that its clip list divides into groups of its own, which
    stand in several splits."""
    schema_version: int = SCHEMA_VERSION
    """Version of the form of manifest and shards."""

    @property
    def feature_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one frame's features."""
        return self.backbone.feature_shape

    @property
    def bytes_per_frame(self) -> int:
        """Size of one frame's features as stored."""
        return math.prod(self.feature_shape) * BYTES_OF_DTYPE[self.feature_dtype]

    def split(self, name: str) -> SplitInfo:
        """What is known of one split.

        Raises:
            ValueError: there is no such split in the shards.
        """
        if name not in self.splits:
            raise ValueError(
                f"`split` must be one of {', '.join(self.splits)}, which the shards hold. "
                f"Received: {name!r}."
            )
        return self.splits[name]


def read_manifest(path: AnyPath | str) -> Manifest:
    """Reads a manifest.

    Args:
        path: the file, or a folder that holds `manifest.json`; a path or a URL.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no manifest of a version that can be read.
    """
    file = file_in_folder(path, MANIFEST_FILE)
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no {MANIFEST_FILE} at {path}. `cham extract` writes a folder of shards with "
            "its manifest."
        )
    values = read_json(file)
    # The version first: another version may well have other keys.
    if not isinstance(values, dict) or values.get("schema_version") not in READABLE_VERSIONS:
        version = values.get("schema_version") if isinstance(values, dict) else None
        raise ValueError(
            f"{file}: `schema_version` must be {' or '.join(map(str, READABLE_VERSIONS))}. "
            f"Received: {version!r}. Run `cham extract` again."
        )
    values["schema_version"] = SCHEMA_VERSION
    # On disk the shape stands at the top, where every reader looks for it.
    feature_shape = values.pop("feature_shape", None)
    if isinstance(values.get("backbone"), dict):
        values["backbone"]["feature_shape"] = feature_shape
    return settings_from_dict(Manifest, values, source=str(file))


def write_manifest(manifest: Manifest, path: AnyPath | str) -> None:
    """Writes a manifest, whole or not at all.

    Args:
        manifest: what to write.
        path: the file, or the folder in which `manifest.json` shall lie.
    """
    values: dict[str, Any] = TypeAdapter(Manifest).dump_python(manifest, mode="json")
    values["feature_shape"] = values["backbone"].pop("feature_shape")
    first = ("schema_version", "classes", "feature_shape", "feature_dtype")
    rest = [field.name for field in dataclasses.fields(Manifest) if field.name not in first]
    if manifest.view_of is None:  # only views have more to say than version 2 had
        rest = [name for name in rest if name not in ("view_of", "divided_groups")]
    for split in values["splits"].values():
        split["shards"] = [
            {key: value for key, value in shard.items() if value is not None}
            for shard in split["shards"]
        ]
    write_json(file_in_folder(path, MANIFEST_FILE), {key: values[key] for key in (*first, *rest)})


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Versions of Python and of installed packages, by name."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
