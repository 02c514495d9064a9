"""Identical files: none may stand on both sides of a split, or the score leaks.

`write_prepared` calls this for every data set. Groups keep together what is
known to belong together; a file that lies in a data set twice under two names
is what nobody told. Files are the same where their SHA-256 is; only those whose
size another file has are read. A film that was encoded anew is another file:
what merely looks alike is not found here.
"""

import hashlib
from collections.abc import Iterable

from cham_keras.data.clip_list import SPLITS, Clip, ClipList
from cham_keras.data.frames.image_folder import ImageFolder
from cham_keras.data.prepare.problems import sentence_of_names
from cham_keras.paths import AnyPath
from cham_keras.progress import track


def check_duplicates(clip_list: ClipList, allow: bool = False) -> tuple[str, ...]:
    """Looks for clips whose files are identical.

    A clip that is a folder of images is its images, in their order; their names
    do not matter. Parts of one file may stand on two sides, where their groups
    say so, as long as their times do not overlap. Empty files hold nothing, so
    they are no copies of one another; they are counted.

    Args:
        clip_list: the clips.
        allow: whether copies on both sides of a split are let through, as a
            problem instead of an error.

    Returns:
        sentences on what was found, each with its count; none where every file
        is another.

    Raises:
        FileNotFoundError: a clip's file is gone.
        ValueError: identical files, or overlapping parts of one file, stand in
            different splits, and `allow` is false.
    """
    clips_of_path: dict[str, list[Clip]] = {}
    for clip in clip_list.clips:
        clips_of_path.setdefault(clip.path, []).append(clip)
    size_of_path = {path: _size(clip_list.root / path) for path in clips_of_path}
    empty = [path for path, size in size_of_path.items() if sum(size) == 0]
    problems = []
    if empty:
        problems.append(f"{len(empty)} clip(s) are empty files: {sentence_of_names(empty)}.")

    across = _overlapping_parts(clips_of_path)
    within = []
    for paths in _identical(clip_list.root, size_of_path):
        splits = {path: _splits_of(clips_of_path[path]) for path in paths}
        if len(set().union(*splits.values())) > 1:
            across.append(", ".join(f"{path} ({' and '.join(splits[path])})" for path in paths))
        else:
            within.append(" = ".join(paths))
    if across:
        found = f"{len(across)} file(s) stand in more than one split: {'; '.join(across[:3])}"
        found += f"; and {len(across) - 3} more" if len(across) > 3 else ""
        if not allow:
            raise ValueError(
                f"No file may stand on both sides of a split, or the score leaks. Received: "
                f"{found}. Delete the copies, or give them one group in a CSV "
                "(`cham prepare csv`); --allow-duplicates lets them stand."
            )
        problems.append(f"{found}. Scores are too good by what was trained on.")
    if within:
        problems.append(
            f"{len(within)} file(s) stand in one split more than once: {sentence_of_names(within)}."
        )
    return tuple(problems)


def _splits_of(clips: Iterable[Clip]) -> list[str]:
    found = {clip.split for clip in clips}
    return [split for split in SPLITS if split in found]


def _overlapping_parts(clips_of_path: dict[str, list[Clip]]) -> list[str]:
    """Pairs of parts of one file that share frames and stand in different splits."""
    found = []
    for clips in clips_of_path.values():
        in_order = sorted(clips, key=lambda clip: clip.start_seconds or 0.0)
        for number, clip in enumerate(in_order):
            for later in in_order[number + 1 :]:
                end = float("inf") if clip.end_seconds is None else clip.end_seconds
                if (later.start_seconds or 0.0) < end and later.split != clip.split:
                    found.append(f"{clip.id} ({clip.split}) and {later.id} ({later.split})")
    return found


def _files_of(path: AnyPath) -> list[AnyPath]:
    return ImageFolder(path).files if path.is_dir() else [path]


def _size(path: AnyPath) -> tuple[int, ...]:
    """The sizes of a clip's files in bytes."""
    try:
        return tuple(file.stat().st_size for file in _files_of(path))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no clip {path}.") from None


def _identical(root: AnyPath, size_of_path: dict[str, tuple[int, ...]]) -> list[list[str]]:
    """Groups of paths whose content is the same."""
    same_size: dict[tuple[int, ...], list[str]] = {}
    for path, size in size_of_path.items():
        if sum(size):
            same_size.setdefault(size, []).append(path)
    to_read = [path for paths in same_size.values() if len(paths) > 1 for path in paths]
    same: dict[tuple[str, ...], list[str]] = {}
    for path in track(to_read, "Looking for copies") if to_read else ():
        key = tuple(_sha256(file) for file in _files_of(root / path))
        same.setdefault(key, []).append(path)
    return [paths for paths in same.values() if len(paths) > 1]


def _sha256(path: AnyPath) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
