"""The clips of a split, pooled: one pass over its shards, and none the next time.

Comes in: shards. Goes out: a table of pooled vectors with label and group of each clip,
kept in a file beside the results, with the checksum of the shards' manifest.
`pooled_baselines` calls this.
"""

import dataclasses
import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cham_keras.baselines.pooling import (
    STATISTICS,
    STATISTICS_OF_POOLING,
    Pooling,
    pooled_statistics,
)
from cham_keras.data import (
    ClipRecord,
    Manifest,
    clip_windows,
    clips_in_split,
    read_manifest,
    shard_errors_named,
)
from cham_keras.files import replacing_file
from cham_keras.paths import AnyPath
from cham_keras.progress import track

# Frames and clips that are read at once; a longer clip comes in several windows.
_FRAMES_OF_WINDOW = 32
_WINDOWS_AT_ONCE = 4


@dataclasses.dataclass(frozen=True)
class PooledClips:
    """The clips of one split and their pooled vectors.

    Attributes:
        clips: what the records say of the clips.
        statistics: for each name in `STATISTICS`, `(clips, channels)` float32.
    """

    clips: tuple[ClipRecord, ...]
    statistics: dict[str, np.ndarray]

    def pooled(self, pooling: Pooling) -> np.ndarray:
        """The vectors of a pooling: `(clips, statistics of the pooling * channels)`."""
        names = STATISTICS_OF_POOLING[pooling]
        return np.concatenate([self.statistics[name] for name in names], axis=1)

    @property
    def labels(self) -> np.ndarray:
        """Index of each clip's class, int `(clips,)`."""
        return np.array([clip.label for clip in self.clips])

    @property
    def groups(self) -> np.ndarray:
        """Group of each clip, texts `(clips,)`."""
        return np.array([clip.group for clip in self.clips])

    def joined_with(self, other: "PooledClips") -> "PooledClips":
        """These clips and those of another split."""
        statistics = {
            name: np.concatenate([self.statistics[name], other.statistics[name]])
            for name in STATISTICS
        }
        return PooledClips((*self.clips, *other.clips), statistics)


def pooled_clips(
    shards: AnyPath | str, split: str, cache_folder: Path | None = None
) -> PooledClips:
    """Pools all frames of each clip of a split.

    Args:
        shards: the folder of shards.
        split: name of the split.
        cache_folder: where `pooled-<split>.npz` is kept. One that was made of shards with
            another manifest is made anew.

    Returns:
        the clips in the order of `clips_in_split`.

    Raises:
        FileNotFoundError: the folder, its manifest or a shard is missing.
        ValueError: there is no such split, a record cannot be read, or a clip's features
            are not finite.
    """
    manifest = read_manifest(shards)
    cache = None if cache_folder is None else cache_folder / f"pooled-{split}.npz"
    checksum = manifest_checksum(manifest)
    if cache is not None and (kept := _read(cache, checksum)) is not None:
        return kept
    clips = clips_in_split(shards, split)
    rows: dict[str, list[np.ndarray]] = {name: [] for name in STATISTICS}
    with shard_errors_named():
        whole = _features_of_clips(shards, split, clips)
        for clip, features in track(whole, f"pooling {split}, clips", total=len(clips)):
            if not np.isfinite(features).all():
                raise ValueError(
                    f"Features must be finite numbers. The clip {clip.id} in {shards} holds NaN or "
                    "infinity. Extract it again with another --dtype, or leave it out of the list."
                )
            for name, value in pooled_statistics(features).items():
                rows[name].append(value)
    pooled = PooledClips(tuple(clips), {name: np.stack(rows[name]) for name in STATISTICS})
    if cache is not None:
        _write(pooled, cache, checksum)
    return pooled


def manifest_checksum(manifest: Manifest) -> str:
    """A checksum of what lies in the shards, wherever they lie and whoever wrote them."""
    shards = {
        # Views with other splits of the same clips share their shards, not the records.
        name: [(shard.sha256, shard.ids_sha256) for shard in split.shards]
        for name, split in manifest.splits.items()
    }
    return hashlib.sha256(repr((manifest.classes, shards)).encode()).hexdigest()


def _features_of_clips(
    shards: AnyPath | str, split: str, clips: list[ClipRecord]
) -> Iterator[tuple[ClipRecord, np.ndarray]]:
    """Each clip with all its features `(time, height, width, channels)`, in their order."""
    longest = max(clip.num_frames for clip in clips)
    num_frames = min(longest, _FRAMES_OF_WINDOW)
    windows: list[np.ndarray] = []
    for inputs, _, clip_index in clip_windows(shards, split, num_frames, _WINDOWS_AT_ONCE):
        rows = zip(inputs["features"].numpy(), inputs["lengths"].numpy(), strict=True)
        for (features, length), index in zip(rows, clip_index.numpy(), strict=True):
            clip = clips[index]
            windows.append(features[:length])
            if len(windows) == -(-clip.num_frames // num_frames):
                yield clip, _interleaved(windows)
                windows = []


def _interleaved(windows: list[np.ndarray]) -> np.ndarray:
    """Window w of W holds the frames w, w + W, w + 2 W, ...; this puts them in order."""
    if len(windows) == 1:
        return windows[0]
    shape = (sum(map(len, windows)), *windows[0].shape[1:])
    clip = np.empty(shape, windows[0].dtype)
    for number, window in enumerate(windows):
        clip[number :: len(windows)] = window
    return clip


_CLIP_FIELDS = tuple(field.name for field in dataclasses.fields(ClipRecord))


def _write(pooled: PooledClips, path: Path, checksum: str) -> None:
    of_clips: dict[str, Any] = {
        f"clip_{name}": np.array([getattr(clip, name) for clip in pooled.clips])
        for name in _CLIP_FIELDS
    }
    of_clips["checksum"] = np.array(checksum)
    with replacing_file(path) as temporary:
        np.savez(temporary, **(of_clips | pooled.statistics))


def _read(path: Path, checksum: str) -> PooledClips | None:
    """What was kept, or None where there is none of these shards."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            if str(kept["checksum"]) != checksum:
                return None
            columns = [kept[f"clip_{name}"].tolist() for name in _CLIP_FIELDS]
            statistics = {name: kept[name] for name in STATISTICS}
    except (KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} must be what `cham baselines` wrote. It cannot be read: {error}. Delete it; "
            "it is made anew."
        ) from error
    clips = (ClipRecord(*row) for row in zip(*columns, strict=True))
    return PooledClips(tuple(clips), statistics)
