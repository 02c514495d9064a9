"""Clip lists: which clips there are, what they show, and which split they belong to.

`cham prepare` makes one from a data set and writes it as `clips.json`; `cham
extract` reads it. The form of the file is written in `docs/map.md`. A list that
breaks a rule cannot be made, so whoever holds one need not check it again.
"""

import dataclasses
import math
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cham_keras.files import read_json, write_json
from cham_keras.paths import (
    AnyPath,
    RemotePath,
    as_path,
    file_in_folder,
    is_inside,
    local_path,
    path_from,
    place_in,
)

#: The splits, in the order in which tables show them.
SPLITS = ("train", "validation", "test")
#: How data sets name their splits, and the split that is meant.
SPLIT_NAMES = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
#: The version of the form of `clips.json` that this code writes and reads.
SCHEMA_VERSION = 2
#: The name of the file in the folder that `cham prepare` writes.
CLIP_LIST_FILE = "clips.json"


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip: a video file or a part of one, its class and its split.

    Attributes:
        path: a video file, a Norpix sequence, or a folder of numbered images,
            relative to the list's root, with forward slashes.
        label: the name of its class.
        split: "train", "validation" or "test".
        group: what must not stand on both sides of a split, such as the source
            video; the clip's own path where nothing is known.
        num_frames: number of frames, where the data set says it.
        start_seconds: where the clip begins in the file; None for its beginning.
        end_seconds: where the clip ends in the file; None for its end.

    Raises:
        ValueError: a text is empty, the path is absolute, the split is not known,
            or a number is out of range.

    Example:
    >>> Clip("a.mp4", "run", "train", "a", start_seconds=2.0, end_seconds=4.5).id
    'a.mp4#t=2,4.5'
    """

    path: str
    label: str
    split: str
    group: str
    num_frames: int | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in ("path", "label", "split", "group"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise ValueError(f"`{name}` of a clip must be a text. Received: {self}.")
        if Path(self.path).is_absolute():
            raise ValueError(
                f"`path` of a clip must be relative to the list's root. Received: {self.path!r}."
            )
        if self.split not in SPLITS:
            raise ValueError(
                f"`split` must be one of {', '.join(SPLITS)}. "
                f"Received: {self.split!r} for the clip {self.path}."
            )
        if self.num_frames is not None and not (
            type(self.num_frames) is int and self.num_frames >= 1
        ):
            raise ValueError(
                f"`num_frames` of a clip must be a whole number of at least 1. Received: {self}."
            )
        self._check_seconds()

    def _check_seconds(self) -> None:
        for name in ("start_seconds", "end_seconds"):
            value = getattr(self, name)
            if value is None:
                continue
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise ValueError(
                    f"`{name}` of a clip must be a number of at least 0. Received: {self}."
                )
        if self.end_seconds is not None and self.end_seconds <= (self.start_seconds or 0):
            raise ValueError(f"`end_seconds` of a clip must be after its start. Received: {self}.")

    @property
    def id(self) -> str:
        """What tells the clip from all others: its path, and its times as in a media fragment."""
        if self.start_seconds is None and self.end_seconds is None:
            return self.path
        end = "" if self.end_seconds is None else f",{self.end_seconds:.10g}"
        return f"{self.path}#t={self.start_seconds or 0:.10g}{end}"


def place_of_id(clip_id: str) -> tuple[str, float | None, float | None]:
    """Where the clip of an id lies: the way back from `Clip.id`.

    Args:
        clip_id: as it stands in shards.

    Returns:
        the path, and from and to which second of it; None and None for the whole file.

    Example:
    >>> place_of_id("a.mp4#t=2,4.5"), place_of_id("a.mp4#t=2"), place_of_id("a.mp4")
    (('a.mp4', 2.0, 4.5), ('a.mp4', 2.0, None), ('a.mp4', None, None))
    """
    found = re.fullmatch(r"(.*)#t=([0-9.e+-]+)(?:,([0-9.e+-]+))?", clip_id, re.DOTALL)
    if found is None:
        return clip_id, None, None
    path, start, end = found.groups()
    return path, float(start), None if end is None else float(end)


@dataclasses.dataclass(frozen=True)
class ClipList:
    """The clips of a data set.

    Attributes:
        root: the folder that the clips' paths are relative to; a path or a URL.
        classes: the names of the classes, sorted; a class's index is its label.
        clips: the clips.
        schema_version: version of the written form.

    Raises:
        ValueError: there are fewer than two classes; they are not sorted or not
            unique; a label is not among them; a clip stands twice; a group
            stands in two splits; or no clip is for training.

    Example:
    >>> clips = [Clip("run/1.mp4", "run", "train", "a"), Clip("hop/2.mp4", "hop", "test", "b")]
    >>> clip_list = ClipList(Path("videos"), ["hop", "run"], clips)
    >>> clip_list.label_of(clips[0])
    1
    >>> [clip.path for clip in clip_list.clips_of_split("test")]
    ['hop/2.mp4']
    """

    root: AnyPath
    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Brings the fields to their types and checks the rules."""
        object.__setattr__(self, "root", as_path(self.root))
        object.__setattr__(self, "classes", tuple(self.classes))
        object.__setattr__(self, "clips", tuple(self.clips))
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(
                f"`schema_version` of a clip list must be {SCHEMA_VERSION}. "
                f"Received: {self.schema_version!r}. Run `cham prepare` again."
            )
        check_classes(self.classes)
        _check_clips(self.classes, self.clips)
        _check_groups(self.clips)

    def label_of(self, clip: Clip) -> int:
        """The index of the clip's class in `classes`."""
        return self.classes.index(clip.label)

    def path_of(self, clip: Clip) -> AnyPath:
        """The clip's file: its path under `root`."""
        return self.root / clip.path

    def clips_of_split(self, split: str) -> tuple[Clip, ...]:
        """The clips of one split, in the order of the list; there may be none.

        Raises:
            ValueError: `split` is not known.
        """
        if split not in SPLITS:
            raise ValueError(f"`split` must be one of {', '.join(SPLITS)}. Received: {split!r}.")
        return tuple(clip for clip in self.clips if clip.split == split)


def check_classes(classes: tuple[str, ...]) -> None:
    """Checks the names of the classes.

    Raises:
        ValueError: there are fewer than two, or they are not sorted and unique texts.
    """
    if not all(isinstance(name, str) and name for name in classes):
        raise ValueError(f"`classes` must be texts. Received: {list(classes)}.")
    if list(classes) != sorted(set(classes)):
        raise ValueError(f"`classes` must be sorted and unique. Received: {list(classes)}.")
    if len(classes) < 2:
        raise ValueError(
            f"There must be at least two classes to tell apart. Received: {list(classes)}."
        )


def absolute_path(path: AnyPath | str) -> Path:
    """The path from the root of the file system on, without `.` and `..`; links keep their names.

    `Path.resolve` would follow links, and a data set that moves behind its link would be lost.

    Raises:
        ValueError: it is a URL.
    """
    return Path(os.path.normpath(local_path(path, "The place of this data set").absolute()))


def absolute_location(path: AnyPath | str) -> AnyPath:
    """As `absolute_path`, for what may be a URL too."""
    path = as_path(path)
    return path if isinstance(path, RemotePath) else absolute_path(path)


def split_named(name: str) -> str:
    """The split that a data set means by a name, such as "validation" by "val".

    Raises:
        ValueError: the name is not known.
    """
    if name not in SPLIT_NAMES:
        raise ValueError(f"`split` must be one of {', '.join(SPLIT_NAMES)}. Received: {name!r}.")
    return SPLIT_NAMES[name]


def read_clip_list(path: AnyPath | str) -> ClipList:
    """Reads `clips.json`.

    Args:
        path: the file, or the folder that holds it; a path or a URL.

    Returns:
        the list. A relative `root` in the file counts from the file's folder.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no JSON, a key is missing or unknown, or the
            list breaks a rule of `ClipList`.
    """
    path = file_in_folder(path, CLIP_LIST_FILE)
    values = read_json(path)
    try:
        # The version first: another version may well have other keys.
        if isinstance(values, dict) and values.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(
                f"`schema_version` must be {SCHEMA_VERSION}. "
                f"Received: {values.get('schema_version')!r}. Run `cham prepare` again."
            )
        _check_keys(ClipList, values, "The file")
        if not isinstance(values["root"], str):
            raise ValueError(f"`root` must be a text. Received: {values['root']!r}.")
        for name in ("classes", "clips"):
            if not isinstance(values[name], list):
                raise ValueError(f"`{name}` must be a list. Received: {values[name]!r}.")
        for number, clip in enumerate(values["clips"]):
            _check_keys(Clip, clip, f"Clip {number} (counted from 0)")
        clips = [Clip(**clip) for clip in values["clips"]]
        return ClipList(path_from(path.parent, values["root"]), values["classes"], tuple(clips))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def write_clip_list(clip_list: ClipList, path: AnyPath | str) -> None:
    """Writes a clip list as JSON, whole or not at all.

    A root inside the file's folder is written relative to that folder, so that
    the folder can be moved with its clips; any other root is written absolute.

    Args:
        clip_list: what to write.
        path: the file, a path or a URL. Its folder is made where it is missing; a file that is
            already there is replaced.

    Example:
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> clips = [Clip("1.mp4", "run", "train", "a"), Clip("2.mp4", "hop", "test", "b")]
    >>> write_clip_list(ClipList(folder / "videos", ["hop", "run"], clips), folder / "clips.json")
    >>> read_clip_list(folder).root == folder / "videos"
    True
    """
    path = as_path(path)
    folder = absolute_location(path.parent)
    root = absolute_location(clip_list.root)
    stated = place_in(root, folder) if is_inside(root, folder) else root.as_posix()
    values = {
        "schema_version": clip_list.schema_version,
        "root": stated,
        "classes": list(clip_list.classes),
        "clips": [_stated_values(clip) for clip in clip_list.clips],
    }
    write_json(path, values)


def _stated_values(clip: Clip) -> dict[str, Any]:
    """A clip's values without those that nobody knows."""
    return {name: value for name, value in dataclasses.asdict(clip).items() if value is not None}


def _check_keys(cls: type, values: Any, what: str) -> None:
    fields = dataclasses.fields(cls)
    known = [field.name for field in fields]
    # What has a default may be left out, but for the version.
    optional = {field.name for field in fields if field.default is None}
    if not isinstance(values, dict):
        raise ValueError(f"{what} must be a JSON object. Received: {values!r}.")
    if not set(known) - optional <= set(values) <= set(known):
        raise ValueError(
            f"{what} must have the keys {', '.join(k for k in known if k not in optional)}"
            f"{' and may have ' + ', '.join(k for k in known if k in optional) if optional else ''}"
            f". Received: {', '.join(values)}."
        )


def _check_clips(classes: tuple[str, ...], clips: tuple[Clip, ...]) -> None:
    known = set(classes)
    for clip in clips:
        if clip.label not in known:
            raise ValueError(
                f"The label of {clip.path} is not a known class. Received: {clip.label!r}. "
                f"Known: {', '.join(classes)}."
            )
    twice = _first_few(i for i, n in Counter(clip.id for clip in clips).items() if n > 1)
    if twice:
        raise ValueError(f"A clip must stand in the list once. These stand there twice: {twice}.")
    if not any(clip.split == "train" for clip in clips):
        raise ValueError(f"At least one clip must be for training. Received: {len(clips)} clips.")


def _check_groups(clips: tuple[Clip, ...]) -> None:
    split_of_group: dict[str, str] = {}
    for clip in clips:
        split = split_of_group.setdefault(clip.group, clip.split)
        if split != clip.split:
            raise ValueError(
                "A group must stand on one side of a split only, or the score leaks. "
                f"Received: group {clip.group!r} in {split} and in {clip.split} ({clip.path})."
            )


def _first_few(items: Iterable[str]) -> str:
    items = list(items)
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return ", ".join(items[:3]) + more
