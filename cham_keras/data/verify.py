"""Verification: whether shards are whole and hold what their manifest says.

Comes in: a folder that `cham extract` wrote. Goes out: a list of problems, each
with the file and the record where it lies. `cham verify` calls it. It reads every
byte, with a reader of its own that is not the one of training.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cham_keras.data import shard_schema as schema
from cham_keras.data.manifest import Manifest, ShardInfo, SplitInfo, read_manifest
from cham_keras.data.shards import sha256_of_file
from cham_keras.progress import track

# Key: (field of a tf.train.Feature, number of values or None for any).
_FORM = {
    schema.CLIP_ID: ("bytes_list", 1),
    schema.CLIP_LABEL: ("int64_list", 1),
    schema.CLIP_GROUP: ("bytes_list", 1),
    schema.CLIP_NUM_FRAMES: ("int64_list", 1),
    schema.CLIP_FRAME_RATE_HZ: ("float_list", 1),
    schema.FRAMES_FEATURES: ("bytes_list", None),
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: name of the shard, or of the manifest.
        record: number of the record in the shard, from 0; None where the whole
            file is meant.
        what: what is wrong.

    Example:
    >>> print(Problem("train-00000-of-00001.tfrecord", 3, "label 7 is out of range."))
    train-00000-of-00001.tfrecord, record 3: label 7 is out of range.
    """

    file: str
    record: int | None
    what: str

    def __str__(self) -> str:
        """File, record and what is wrong in one line."""
        place = self.file if self.record is None else f"{self.file}, record {self.record}"
        return f"{place}: {self.what}"


def verify_shards(folder: Path | str) -> list[Problem]:
    """Checks a folder of shards against its manifest.

    Checksums and sizes; number of clips, of frames and of clips a class; keys and
    forms of every record; labels; shapes; numbers that are not finite; clips that
    stand twice; groups on both sides of a split; files that the manifest does not name.

    Args:
        folder: the folder of shards.

    Returns:
        the problems; none where all is well.

    Raises:
        FileNotFoundError: there is no manifest.
        ValueError: the manifest cannot be read.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    problems = [
        Problem(schema.MANIFEST_FILE, None, what) for what in _problems_of_manifest(manifest)
    ]
    named = {shard.file for split in manifest.splits.values() for shard in split.shards}
    for path in sorted(folder.glob("*.tfrecord")):
        if path.name not in named:
            problems.append(Problem(path.name, None, "is not named in the manifest."))
    seen = _Seen()
    shards = [(name, shard) for name, split in manifest.splits.items() for shard in split.shards]
    found: dict[str, _Counts] = {name: _Counts() for name in manifest.splits}
    for split, shard in track(shards, "Verifying shards"):
        problems += _problems_of_shard(folder, manifest, split, shard, seen, found[split])
    for name, info in manifest.splits.items():
        problems += _problems_of_counts(manifest, name, info, found[name])
    return problems


@dataclass
class _Counts:
    """What was found in the records of a split."""

    clips: int = 0
    frames: int = 0
    clips_per_class: Counter[str] = field(default_factory=Counter)


@dataclass
class _Seen:
    """What earlier records hold that later ones must not repeat."""

    shard_of_clip: dict[str, str] = field(default_factory=dict)
    split_of_group: dict[str, str] = field(default_factory=dict)


def _problems_of_manifest(manifest: Manifest) -> Iterator[str]:
    if list(manifest.classes) != sorted(set(manifest.classes)):
        yield f"classes must be sorted and unique, and are {list(manifest.classes)}."
    for name, split in manifest.splits.items():
        clips = sum(shard.clips for shard in split.shards)
        if clips != split.clips:
            yield f"split {name} states {split.clips} clips, and its shards {clips}."


def _problems_of_shard(
    folder: Path, manifest: Manifest, split: str, shard: ShardInfo, seen: _Seen, counts: _Counts
) -> list[Problem]:
    path = folder / shard.file
    if not path.is_file():
        return [Problem(shard.file, None, "is missing.")]
    problems = []
    if path.stat().st_size != shard.bytes:
        what = f"has {path.stat().st_size} bytes, and {shard.bytes} in the manifest."
        problems.append(Problem(shard.file, None, what))
    if sha256_of_file(path) != shard.sha256:
        problems.append(Problem(shard.file, None, "has another SHA-256 than in the manifest."))
    num_records = 0
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    for number in itertools.count():
        try:
            record = next(records)
        except StopIteration:
            break
        except tf.errors.OpError:
            what = "cannot be read, nor can what follows it: the file is damaged there."
            problems.append(Problem(shard.file, number, what))
            break
        num_records += 1
        for what in _problems_of_record(record, manifest, split, shard, seen, counts):
            problems.append(Problem(shard.file, number, what))
    if num_records != shard.clips:
        what = f"has {num_records} readable records, and {shard.clips} in the manifest."
        problems.append(Problem(shard.file, None, what))
    return problems


def _problems_of_record(
    record: bytes,
    manifest: Manifest,
    split: str,
    shard: ShardInfo,
    seen: _Seen,
    counts: _Counts,
) -> Iterator[str]:
    try:
        feature = tf.train.Example.FromString(record).features.feature
    except Exception:  # protobuf's own error; its class differs between implementations
        yield "is no tf.train.Example."
        return
    values: dict[str, Any] = {}
    for key, (kind, num_values) in _FORM.items():
        held = list(getattr(feature[key], kind).value) if key in feature else None
        if held is None or (num_values is not None and len(held) != num_values):
            yield f"has no proper `{key}`."
            return
        values[key] = held[0] if num_values == 1 else held
    frames = values[schema.FRAMES_FEATURES]
    counts.clips += 1
    counts.frames += len(frames)
    label = values[schema.CLIP_LABEL]
    if 0 <= label < len(manifest.classes):
        counts.clips_per_class[manifest.classes[label]] += 1
    else:
        yield f"label {label} must be from 0 to {len(manifest.classes) - 1}."
    if values[schema.CLIP_NUM_FRAMES] != len(frames) or not frames:
        yield f"states {values[schema.CLIP_NUM_FRAMES]} frames and holds {len(frames)}."
    yield from _problems_of_frames(frames, manifest)
    yield from _problems_of_place(values, split, shard, seen)


def _problems_of_frames(frames: list[bytes], manifest: Manifest) -> Iterator[str]:
    dtype = np.dtype(manifest.feature_dtype).newbyteorder("<")
    for number, frame in enumerate(frames):
        if len(frame) != manifest.bytes_per_frame:
            yield (
                f"frame {number} has {len(frame)} bytes; {manifest.feature_dtype} of shape "
                f"{manifest.feature_shape} must have {manifest.bytes_per_frame}."
            )
        elif not np.all(np.isfinite(np.frombuffer(frame, dtype))):
            yield f"frame {number} holds numbers that are not finite."


def _problems_of_place(
    values: dict[str, Any], split: str, shard: ShardInfo, seen: _Seen
) -> Iterator[str]:
    clip = values[schema.CLIP_ID].decode(errors="replace")
    if clip in seen.shard_of_clip:
        yield f"clip {clip} stands in {seen.shard_of_clip[clip]} already."
    seen.shard_of_clip[clip] = shard.file
    group = values[schema.CLIP_GROUP].decode(errors="replace")
    if seen.split_of_group.setdefault(group, split) != split:
        yield f"group {group} stands in {seen.split_of_group[group]} and in {split}."


def _problems_of_counts(
    manifest: Manifest, name: str, info: SplitInfo, counts: _Counts
) -> list[Problem]:
    problems = []
    stated = {"clips": info.clips, "frames": info.frames}
    held = {"clips": counts.clips, "frames": counts.frames}
    for class_name in manifest.classes:
        stated[f"clips of {class_name}"] = info.clips_per_class.get(class_name, 0)
        held[f"clips of {class_name}"] = counts.clips_per_class[class_name]
    for what, number in stated.items():
        if held[what] != number:
            text = f"split {name} states {number} {what}, and its shards hold {held[what]}."
            problems.append(Problem(schema.MANIFEST_FILE, None, text))
    return problems
