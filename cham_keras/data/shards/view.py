"""Views: manifests that share the shards of another folder, for another split of the same clips.

Comes in: a folder with its manifest. Goes out: where its shards lie. `reading.shard_file` and
`verify` ask; `data.split_views` writes views with what stands here.

A view names records by their numbers, so it must never meet other shards than those it was made
of. Hence it is compared with the manifest that lies beside the shards before any of them is read.
"""

import hashlib
import itertools
import os
import posixpath
from collections.abc import Iterable
from pathlib import Path

from cham_keras.data.shards.manifest import Manifest, ShardInfo, read_manifest
from cham_keras.data.shards.shard_schema import MANIFEST_FILE
from cham_keras.paths import AnyPath, RemotePath, as_path, path_from


def checksum_of_ids(ids: Iterable[str]) -> str:
    """SHA-256 of clips' ids in their order, in hexadecimal digits.

    Example:
    >>> checksum_of_ids(["a", "b"]) == checksum_of_ids(["b", "a"])
    False
    """
    text = "".join(f"{len(clip_id)} {clip_id}\n" for clip_id in ids)
    return hashlib.sha256(text.encode()).hexdigest()


def name_of_shard(shard: ShardInfo) -> str:
    """The name of a shard's file in the folder where it lies."""
    return posixpath.basename(shard.file)


def folder_of_shards(folder: AnyPath | str, manifest: Manifest) -> AnyPath:
    """The folder in which the shards of a manifest lie.

    For a view, that is the place which its `file` entries state, from the view on, or else the
    place where the shards lay when it was made: the one that holds these very shards, as the
    checksums in the manifest there tell. So view and shards can be moved together, and the view
    alone.

    Args:
        folder: the folder of the manifest.
        manifest: what lies there.

    Raises:
        FileNotFoundError: a view's shards lie in none of the places.
        ValueError: other shards lie there.
    """
    folder = as_path(folder)
    if manifest.view_of is None:
        return folder
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    stated = [path_from(folder, posixpath.dirname(shard.file) or ".") for shard in shards]
    places = list(dict.fromkeys([*stated[:1], as_path(manifest.view_of)]))
    problems = []
    for place in places:
        problem = _problem_of_place(place, shards)
        if problem is None:
            return place
        problems.append(problem)
    error = ValueError if any(isinstance(problem, ValueError) for problem in problems) else None
    raise (error or FileNotFoundError)(
        f"{folder} is a view: it shares the shards of another folder, which must be as they were "
        f"when it was made. {' '.join(str(problem) for problem in problems)} If the shards were "
        "moved, run `cham resplit` again with the folder where they lie now."
    )


def problem_of_records(shard: ShardInfo) -> str | None:
    """What is wrong with the record numbers of a shard, as the end of a sentence; else None.

    Example:
    >>> problem_of_records(ShardInfo("a.tfrecord", 3, 10, "ab", records=(0, 3)))
    'must have record numbers from 0 to 2, ascending. Received: 0, 3.'
    """
    records = shard.records
    if records is None:
        return None
    ascending = all(a < b for a, b in itertools.pairwise(records))
    if records and ascending and records[0] >= 0 and records[-1] < shard.clips:
        return None
    few = ", ".join(map(str, records[:5])) + (", …" if len(records) > 5 else "")
    return (
        f"must have record numbers from 0 to {shard.clips - 1}, ascending. "
        f"Received: {few or 'none'}."
    )


def way_to_shards(shards: AnyPath, view: AnyPath) -> str:
    """The way from a view's folder to the folder of its shards, as `file` entries begin.

    Args:
        shards: the folder of the shards.
        view: the folder of the view; it need not be there yet.

    Returns:
        a relative path where both lie on one storage, else a URL.

    Raises:
        ValueError: the view would lie on remote storage and the shards on a local disk.
    """
    if isinstance(shards, Path) and isinstance(view, Path):
        # Links are followed, for the operating system takes `..` from where a link leads to.
        return Path(os.path.relpath(shards.resolve(), view.resolve())).as_posix()
    if isinstance(shards, Path):
        raise ValueError(
            f"A view on remote storage must share shards that are remote too. Received: {view} "
            f"for {shards}. Write it to a local folder, or copy the shards to that storage."
        )
    if isinstance(view, RemotePath) and _bucket(view) == _bucket(shards):
        return posixpath.relpath(_inner(shards), _inner(view))
    return str(shards)


def _problem_of_place(place: AnyPath, shards: list[ShardInfo]) -> Exception | None:
    """Why a folder does not hold the shards of a view."""
    if not (place / MANIFEST_FILE).is_file():
        return FileNotFoundError(f"There is no {MANIFEST_FILE} in {place}.")
    try:
        manifest = read_manifest(place)
    except ValueError as error:
        return error
    held = {
        name_of_shard(shard): (shard.clips, shard.bytes, shard.sha256)
        for split in manifest.splits.values()
        for shard in split.shards
        if manifest.view_of is None
    }
    for shard in shards:
        if held.get(name_of_shard(shard)) != (shard.clips, shard.bytes, shard.sha256):
            return ValueError(
                f"The manifest in {place} names other shards, or others of the same names: "
                f"{name_of_shard(shard)} is not the one that the view was made of."
            )
    return None


def _inner(path: RemotePath) -> str:
    return str(path).removeprefix(f"{path.scheme}:/")


def _bucket(path: RemotePath) -> tuple[str, str]:
    return path.scheme, _inner(path).split("/")[1]
