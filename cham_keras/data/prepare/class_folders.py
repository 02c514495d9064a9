"""A folder with one folder a class becomes a clip list.

Two layouts: <root>/<class>/<clip>, which is split here, and
<root>/<split>/<class>/<clip>, whose split is taken as it is. `cham prepare
folder` calls this.
"""

import logging
from pathlib import Path

from cham_keras.data.clip_list import (
    SPLIT_NAMES,
    Clip,
    ClipList,
    absolute_path,
    check_classes,
    split_named,
)
from cham_keras.data.splits import assign_splits
from cham_keras.data.video import VIDEO_SUFFIXES

logger = logging.getLogger(__name__)


def prepare_folder(
    root: Path | str,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
) -> ClipList:
    """Makes a clip list of a folder of class folders.

    Every file in a class folder whose name ends like a video's is a clip; other
    files are left out, and a log message counts them. Hidden files and folders
    are passed over. Each clip is a group of its own: where several clips come
    from one source, a CSV with a column `group` keeps them together.

    Args:
        root: a folder with one folder a class, or with the folders `train`,
            `validation` (or `val`) and `test` that hold one folder a class each.
        test_fraction: fraction of all clips to test on, where the folders state
            no splits.
        validation_fraction: fraction of all clips to validate on, likewise.
        seed: of the split, likewise.

    Returns:
        the clips, sorted by path.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the folder is empty or holds clips outside class folders; a
            class has no clip, or folders where clips should be; folders of
            splits stand beside others; or the list breaks a rule of `ClipList`.
    """
    root = absolute_path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}.")
    folders = _folders_in(root)
    split_folders = [folder for folder in folders if folder.name in SPLIT_NAMES]
    if split_folders and split_folders != folders:
        others = ", ".join(folder.name for folder in folders if folder not in split_folders)
        raise ValueError(
            f"{root} must hold folders of splits ({', '.join(SPLIT_NAMES)}) or folders of classes, "
            f"not both. Received: {', '.join(f.name for f in split_folders)} beside {others}."
        )
    paths = [path for folder in split_folders or [root] for path in _clips_of_classes(folder)]
    # One path, one name: what the clip is called and, since no more is known, its group.
    names = [path.relative_to(root).as_posix() for path in paths]
    labels = [path.parent.name for path in paths]
    classes = tuple(sorted(set(labels)))
    check_classes(classes)
    if split_folders:
        splits = [split_named(path.parent.parent.name) for path in paths]
    else:
        splits = assign_splits(labels, names, test_fraction, validation_fraction, seed)
    clips = [Clip(*values) for values in zip(names, labels, splits, names, strict=True)]
    return ClipList(root, classes, tuple(clips))


def _is_hidden(path: Path) -> bool:
    # __MACOSX is what macOS leaves in archives: a shadow of every file.
    return path.name.startswith(".") or path.name == "__MACOSX"


def _folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path))


def _clips_of_classes(folder: Path) -> list[Path]:
    stray = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
    if stray:
        raise ValueError(
            f"Clips must lie in a folder of their class. {folder} holds {len(stray)} directly, "
            f"such as {stray[0]}."
        )
    classes = _folders_in(folder)
    if not classes:
        raise ValueError(
            f"{folder} must hold one folder a class, as in {folder.name}/run/clip.mp4. "
            "It holds none."
        )
    return [clip for class_folder in classes for clip in _clips_of_class(class_folder)]


def _clips_of_class(folder: Path) -> list[Path]:
    clips: list[Path] = []
    left_out: list[Path] = []
    for path in sorted(folder.iterdir()):
        if _is_hidden(path):
            continue
        if path.is_dir():
            raise ValueError(
                f"A class's folder must hold clips, not folders. Received: {path}. Name the folder "
                "that holds the class folders, or list the clips in a CSV: `cham prepare csv`."
            )
        (clips if path.suffix.lower() in VIDEO_SUFFIXES else left_out).append(path)
    if not clips:
        raise ValueError(
            f"The class folder {folder} must hold at least one video "
            f"({', '.join(VIDEO_SUFFIXES)}). It holds {len(left_out)} other file(s)."
        )
    if left_out:
        logger.warning(
            "%s: left out %d file(s) that are no videos, such as %s.",
            folder,
            len(left_out),
            left_out[0].name,
        )
    return clips
