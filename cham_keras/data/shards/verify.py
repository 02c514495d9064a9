"""Verification: whether shards are whole and hold what their manifest says.

Comes in: a folder that `cham extract` wrote, or a view that `cham resplit` wrote, on any
storage. Goes out: a list of problems, each with the file and the record where it lies.
`cham verify` calls it. It reads every byte once, with a reader of its own that is not the one of
training, and holds one record at a time.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO

from cham_keras.data.clip_list import SPLITS
from cham_keras.data.shards import shard_schema as schema
from cham_keras.data.shards.manifest import Manifest, ShardInfo, SplitInfo, read_manifest
from cham_keras.data.shards.record_check import CheckedRecord, check_record
from cham_keras.data.shards.tfrecord_file import DamagedFileError, framed_records
from cham_keras.data.shards.view import (
    checksum_of_ids,
    folder_of_shards,
    name_of_shard,
    problem_of_records,
)
from cham_keras.paths import AnyPath, RemotePath, as_path, entries_of
from cham_keras.progress import progress_bar

_BLOCK_BYTES = 1 << 20


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


@dataclass(frozen=True)
class Verification:
    """What verifying a folder of shards found.

    Attributes:
        problems: what is wrong; empty where all is well.
        shards: number of shards that were read.
        clips: number of clips in them.
        frames: number of frames of the clips.
        bytes: size of the shards that were read.
        not_checked: what could not be checked on this storage, in sentences.
    """

    problems: tuple[Problem, ...]
    shards: int
    clips: int
    frames: int
    bytes: int
    not_checked: tuple[str, ...] = ()


def verify_shards(folder: AnyPath | str) -> list[Problem]:
    """Checks a folder of shards against its manifest.

    Checksums and sizes; the manifest's own numbers and names; number of clips, of frames
    and of clips a class; keys and forms of every record; labels; shapes; numbers and scales
    that are not finite; clips that stand twice, or that the manifest calls unreadable; groups
    on both sides of a split; files that the manifest does not name. Of a view also whether its
    shards are those that it was made of, and its records those of the same clips.

    Args:
        folder: the folder of shards, a path or a URL.

    Returns:
        the problems; none where all is well.

    Raises:
        FileNotFoundError: there is no manifest.
        ValueError: the manifest cannot be read.
        OSError: the storage does not answer.
    """
    return list(verification_of_shards(folder).problems)


def verification_of_shards(folder: AnyPath | str) -> Verification:
    """As `verify_shards`, with what was read beside what is wrong."""
    folder = as_path(folder)
    manifest = read_manifest(folder)
    problems = [
        Problem(schema.MANIFEST_FILE, None, what) for what in _problems_of_manifest(manifest)
    ]
    not_checked = []
    try:
        problems += _unnamed_files(folder, manifest)
    except OSError:
        if not isinstance(folder, RemotePath):
            raise
        not_checked.append(
            "Whether there are shards that the manifest does not name: "
            f"{folder.scheme}:// does not list its files here."
        )
    place = folder
    try:
        place = folder_of_shards(folder, manifest)
    except (FileNotFoundError, ValueError) as error:
        problems.append(Problem(schema.MANIFEST_FILE, None, str(error)))
    seen = _Seen({clip.path for clip in manifest.unreadable}, set(manifest.divided_groups))
    found = {name: _Counts() for name in manifest.splits}
    files: dict[str, list[_Part]] = {}  # a view's file may have records of several splits
    for name, split in manifest.splits.items():
        for shard in split.shards:
            files.setdefault(name_of_shard(shard), []).append(_Part(name, shard, found[name]))
    total = _Counts()
    with progress_bar() as bar, ThreadPoolExecutor(1) as hasher:
        megabytes = sum(parts[0].shard.bytes for parts in files.values()) / 1e6
        task = bar.add_task("Verifying shards, MB", total=math.ceil(megabytes), note="")
        for name, parts in files.items():
            bar.update(task, note=name)
            reading = _Reading(hasher, lambda num_bytes: bar.advance(task, num_bytes / 1e6))
            problems += _problems_of_shard(place / name, reading, manifest, parts, seen, total)
    for name, info in manifest.splits.items():
        problems += _problems_of_counts(manifest, name, info, found[name])
    return Verification(
        problems=tuple(problems),
        shards=total.shards,
        clips=sum(counts.clips for counts in found.values()),
        frames=sum(counts.frames for counts in found.values()),
        bytes=total.bytes,
        not_checked=tuple(not_checked),
    )


@dataclass
class _Counts:
    """What was found in shards."""

    shards: int = 0
    bytes: int = 0
    clips: int = 0
    frames: int = 0
    clips_per_class: Counter[str] = field(default_factory=Counter)


@dataclass
class _Seen:
    """What records must not repeat."""

    unreadable: set[str]
    divided_groups: set[str]
    shard_of_clip: dict[str, str] = field(default_factory=dict)
    split_of_group: dict[str, str] = field(default_factory=dict)


@dataclass
class _Part:
    """The records of a shard that belong to one split."""

    split: str
    shard: ShardInfo
    counts: _Counts
    ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.records = None if self.shard.records is None else frozenset(self.shard.records)

    def holds(self, record: int) -> bool:
        return self.records is None or record in self.records


class _Reading:
    """Reads a shard once: what is read is hashed by another thread and counted."""

    def __init__(self, hasher: ThreadPoolExecutor, count: Callable[[int], object]) -> None:
        self.num_bytes = 0
        self._hasher = hasher
        self._count = count
        self._hash = hashlib.sha256()
        self._hashed: Future | None = None

    def read(self, file: IO[bytes], num_bytes: int) -> bytes:
        data = file.read(num_bytes)
        self.num_bytes += len(data)
        self._count(len(data))
        if len(data) > _BLOCK_BYTES // 16 and self._hashed is not None:
            self._hashed.result()  # so that no more than two records are held
        self._hashed = self._hasher.submit(self._hash.update, data)
        return data

    def read_rest(self, file: IO[bytes]) -> None:
        while self.read(file, _BLOCK_BYTES):
            pass

    def sha256(self) -> str:
        if self._hashed is not None:
            self._hashed.result()
        return self._hash.hexdigest()


def _unnamed_files(folder: AnyPath, manifest: Manifest) -> list[Problem]:
    named = {shard.file for split in manifest.splits.values() for shard in split.shards}
    return [
        Problem(path.name, None, "is not named in the manifest.")
        for path in entries_of(folder)
        if path.suffix == ".tfrecord" and path.name not in named
    ]


def _problems_of_manifest(manifest: Manifest) -> Iterator[str]:
    if list(manifest.classes) != sorted(set(manifest.classes)):
        yield f"classes must be sorted and unique, and are {list(manifest.classes)}."
    if min(manifest.feature_shape) < 1:
        yield f"feature_shape must be of numbers from 1 on, and is {list(manifest.feature_shape)}."
    error = manifest.storage_error
    if not (0 <= error.largest < math.inf and 0 <= error.relative_rms < math.inf):
        yield (
            "storage_error must be of finite numbers of at least 0, and is "
            f"{error.largest:g} and {error.relative_rms:g}."
        )
    for name, split in manifest.splits.items():
        if name not in SPLITS:
            yield f"split {name} must be one of {', '.join(SPLITS)}."
        clips = sum(shard.num_clips for shard in split.shards)
        if clips != split.clips:
            yield f"split {name} states {split.clips} clips, and its shards {clips}."
        for class_name in sorted(set(split.clips_per_class) - set(manifest.classes)):
            yield f"split {name} counts clips of {class_name}, which is none of the classes."
        for shard in split.shards:
            if (problem := problem_of_records(shard)) is not None:
                yield f"split {name}, shard {shard.file}, {problem}"
        files = [shard.file for shard in split.shards]
        if manifest.view_of is not None:
            continue  # the names are those of another split
        expected = [schema.shard_file_name(name, i, len(files)) for i in range(len(files))]
        for file, right in zip(files, expected, strict=True):
            if file != right:
                yield f"split {name} names the shard {file}, which must be {right}."


def _problems_of_shard(
    path: AnyPath,
    reading: _Reading,
    manifest: Manifest,
    parts: list[_Part],
    seen: _Seen,
    total: _Counts,
) -> list[Problem]:
    """Problems of one file, of whose records several splits may hold a part each."""
    shard = parts[0].shard
    problems: list[Problem] = []
    num_records = num_whole = 0
    try:
        if not path.is_file():
            return [Problem(shard.file, None, "is missing.")]
        size = path.stat().st_size
        with path.open("rb") as file:
            try:
                for record, is_whole in framed_records(lambda n: reading.read(file, n), size):
                    found = ["does not agree with its checksum: the file is damaged there."]
                    if is_whole:
                        num_whole += 1
                        checked = check_record(record, manifest)
                        found = list(checked.problems)
                        for part in parts:
                            if part.holds(num_records):
                                found += _problems_beside_others(checked, part, seen)
                                _count(checked, manifest, part)
                    problems += [Problem(shard.file, num_records, what) for what in found]
                    num_records += 1
            except DamagedFileError as error:
                what = f"cannot be read, nor can what follows it: {error}"
                problems.append(Problem(shard.file, num_records, what))
            reading.read_rest(file)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}."
        return [*problems, Problem(shard.file, num_records, what)]
    total.shards += 1
    total.bytes += size
    of_file = []
    if size != shard.bytes:
        of_file.append(f"has {size} bytes, and {shard.bytes} in the manifest.")
    if reading.sha256() != shard.sha256:
        of_file.append("has another SHA-256 than in the manifest.")
    problems[:0] = [Problem(shard.file, None, what) for what in of_file]
    if num_whole != shard.clips:
        what = f"has {num_whole} readable records, and {shard.clips} in the manifest."
        problems.append(Problem(shard.file, None, what))
    for part in parts:
        stated = part.shard.ids_sha256
        if stated is not None and checksum_of_ids(part.ids) != stated:
            what = f"the records of {part.split} are not of the clips that the view was made of."
            problems.append(Problem(shard.file, None, what))
    return problems


def _problems_beside_others(record: CheckedRecord, part: _Part, seen: _Seen) -> Iterator[str]:
    if record.clip is None or record.group is None:
        return
    part.ids.append(record.clip)
    split = part.split
    if record.clip in seen.shard_of_clip:
        yield f"clip {record.clip} stands in {seen.shard_of_clip[record.clip]} already."
    seen.shard_of_clip[record.clip] = part.shard.file
    if record.clip in seen.unreadable:
        yield f"clip {record.clip} is unreadable, says the manifest."
    if record.group in seen.divided_groups:
        return  # the view's clip list says of its parts that they are groups of their own
    if seen.split_of_group.setdefault(record.group, split) != split:
        yield (
            f"group {record.group} stands in {seen.split_of_group[record.group]} and in {split}."
        )


def _count(record: CheckedRecord, manifest: Manifest, part: _Part) -> None:
    if record.label is None:
        return
    counts = part.counts
    counts.clips += 1
    counts.frames += record.num_frames
    if 0 <= record.label < len(manifest.classes):
        counts.clips_per_class[manifest.classes[record.label]] += 1


def _problems_of_counts(
    manifest: Manifest, name: str, info: SplitInfo, counts: _Counts
) -> list[Problem]:
    stated = {"clips": info.clips, "frames": info.frames}
    held = {"clips": counts.clips, "frames": counts.frames}
    for class_name in manifest.classes:
        stated[f"clips of {class_name}"] = info.clips_per_class.get(class_name, 0)
        held[f"clips of {class_name}"] = counts.clips_per_class[class_name]
    return [
        Problem(
            schema.MANIFEST_FILE,
            None,
            f"split {name} states {number} {what}, and its shards hold {held[what]}.",
        )
        for what, number in stated.items()
        if held[what] != number
    ]
