"""Where the files of a data set with official lists lie: its class folders, its lists.

In comes the folder that the user names; out go paths. `hmdb51.py`, `ucf101.py` and
`olympic_sports.py` call this, since each may be unpacked with or without the archive's own folder.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cham_keras.data.prepare.problems import sentence_of_names


def find_near(root: Path, names: Iterable[str]) -> Path | None:
    """The first of the names that stands in a folder, beside it, or in a folder of it.

    Args:
        root: the folder.
        names: of files or folders, the most wanted first.
    """
    places = [root, root.parent, *_folders_in(root)]
    return next((p / name for name in names for p in places if (p / name).exists()), None)


def place_of_class_folders(root: Path, names: Sequence[str]) -> Path | None:
    """The folder that holds most of the class folders: `root`, or a folder or two below it.

    Args:
        root: where to look.
        names: of the class folders.

    Returns:
        the folder; None if no class folder is in any of these places.
    """
    children = _folders_in(root)
    places = [root, *children, *(below for child in children for below in _folders_in(child))]
    found = [sum((place / name).is_dir() for name in names) for place in places]
    return places[found.index(max(found))] if max(found) else None


def find_class_folders(root: Path, names: Sequence[str]) -> Path:
    """As `place_of_class_folders`, where class folders must be.

    Raises:
        FileNotFoundError: there is no class folder.
    """
    place = place_of_class_folders(root, names)
    if place is None:
        raise FileNotFoundError(
            f"{root} must hold class folders, such as {sentence_of_names(names)}. It holds none of "
            f"the {len(names)} that the lists name."
        )
    return place


def files_of_classes(
    place: Path, label_of_folder: Mapping[str, str], suffix: str, by_stem: bool = False
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """The clips in class folders, and sentences on what else is there.

    Hidden files are passed over.

    Args:
        place: the folder of the class folders.
        label_of_folder: class folder -> class; folders that are not there are passed over.
        suffix: of a clip's file, in small letters, with its dot.
        by_stem: whether a clip's name in the lists has no suffix.

    Returns:
        (class, name) -> path relative to `place`; and the problems.
    """
    files: dict[tuple[str, str], str] = {}
    others: list[str] = []
    repeated: list[str] = []
    for folder, label in label_of_folder.items():
        paths = sorted((place / folder).iterdir()) if (place / folder).is_dir() else []
        for path in paths:
            if path.name.startswith("."):
                continue
            name = f"{folder}/{path.name}"
            if path.suffix.lower() != suffix or not path.is_file():
                others.append(name)
            elif files.setdefault((label, path.stem if by_stem else path.name), name) != name:
                repeated.append(name)
    problems = []
    if others:
        problems.append(
            f"{len(others)} entries of class folders are no {suffix} files and were left out: "
            f"{sentence_of_names(others)}."
        )
    if repeated:
        problems.append(
            f"{len(repeated)} clip(s) lie in two folders of one class; the second was left out: "
            f"{sentence_of_names(repeated)}."
        )
    return files, problems


def _folders_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    # __MACOSX is what macOS leaves in archives: a shadow of every file.
    paths = (p for p in folder.iterdir() if p.name[0] != "." and p.name != "__MACOSX")
    return sorted(path for path in paths if path.is_dir())
