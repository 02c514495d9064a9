"""A folder with one folder a class becomes a clip list.

Two layouts: <root>/<class>/<clip>, which is split here, and
<root>/<split>/<class>/<clip>, whose split is taken as it is. `cham prepare
folder` calls this.
"""

from cham_keras.data.clip_list import (
    SPLIT_NAMES,
    Clip,
    ClipList,
    absolute_location,
    check_classes,
    split_named,
)
from cham_keras.data.frames.clip_frames import CLIP_SUFFIXES
from cham_keras.data.frames.image_folder import IMAGE_SUFFIXES, ImageFolder, is_image_folder
from cham_keras.data.prepare.prepared import Prepared
from cham_keras.data.prepare.problems import problems_of_image_folders, sentence_of_names
from cham_keras.data.splits import assign_splits
from cham_keras.paths import AnyPath, entries_of, place_in


def prepare_folder(
    root: AnyPath | str,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
) -> Prepared:
    """Makes a clip list of a folder of class folders.

    In a class folder, every file whose name ends like a video's or like a Norpix
    sequence's is a clip, and so is every folder of numbered images. Other files
    are left out, and a problem counts them. Hidden files and folders are passed
    over. Each clip is a group of its own: where several clips come from one
    source, a CSV with a column `group` keeps them together.

    Args:
        root: a path or a URL of a folder with one folder a class, or with the folders `train`,
            `validation` (or `val`) and `test` that hold one folder a class each.
        test_fraction: fraction of all clips to test on, where the folders state
            no splits.
        validation_fraction: fraction of all clips to validate on, likewise.
        seed: of the split, likewise.

    Returns:
        the clips, sorted by path, with the number of frames of those that are
        folders of images.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the folder is empty or holds clips outside class folders; a
            class has no clip, or folders without images; images have no order;
            folders of splits stand beside others; or the list breaks a rule of
            `ClipList`.
    """
    root = absolute_location(root)
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
    left_out: list[AnyPath] = []
    paths = [
        path for folder in split_folders or [root] for path in _clips_of_classes(folder, left_out)
    ]
    # One path, one name: what the clip is called and, since no more is known, its group.
    names = [place_in(path, root) for path in paths]
    labels = [path.parent.name for path in paths]
    classes = tuple(sorted(set(labels)))
    check_classes(classes)
    # How many frames a video has nobody knows before it is decoded.
    images = {path: ImageFolder(path) for path in paths if path.is_dir()}
    num_frames = [images[path].num_frames if path in images else None for path in paths]
    if split_folders:
        splits = [split_named(path.parent.parent.name) for path in paths]
    else:
        splits = assign_splits(labels, names, test_fraction, validation_fraction, seed)
    columns = (names, labels, splits, names, num_frames)
    clips = [Clip(*values) for values in zip(*columns, strict=True)]
    problems = problems_of_image_folders(images.values())
    if left_out:
        stray = [place_in(path, root) for path in left_out]
        problems += (
            f"{len(stray)} file(s) are no clips and were left out: {sentence_of_names(stray)}.",
        )
    return Prepared(ClipList(root, classes, tuple(clips)), problems)


def _is_hidden(path: AnyPath) -> bool:
    # __MACOSX is what macOS leaves in archives: a shadow of every file.
    return path.name.startswith(".") or path.name == "__MACOSX"


def _folders_in(folder: AnyPath) -> list[AnyPath]:
    return [path for path in entries_of(folder) if path.is_dir() and not _is_hidden(path)]


def _clips_of_classes(folder: AnyPath, left_out: list[AnyPath]) -> list[AnyPath]:
    stray = sorted(path.name for path in entries_of(folder) if path.suffix.lower() in CLIP_SUFFIXES)
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
    return [clip for of_class in classes for clip in _clips_of_class(of_class, left_out)]


def _clips_of_class(folder: AnyPath, left_out: list[AnyPath]) -> list[AnyPath]:
    clips: list[AnyPath] = []
    others: list[AnyPath] = []
    for path in entries_of(folder):
        if _is_hidden(path):
            continue
        if path.is_dir() and not is_image_folder(path):
            raise ValueError(
                "A class's folder must hold clips: files, or folders of numbered images. "
                f"Received: {path}, a folder without images. Name the folder that holds the class "
                "folders, or list the clips in a CSV: `cham prepare csv`."
            )
        is_clip = path.is_dir() or path.suffix.lower() in CLIP_SUFFIXES
        (clips if is_clip else others).append(path)
    if not clips:
        images = sum(path.suffix.lower() in IMAGE_SUFFIXES for path in others)
        raise ValueError(
            f"The class folder {folder} must hold at least one clip "
            f"({', '.join(CLIP_SUFFIXES)}, or a folder of numbered images). It holds "
            f"{len(others)} other file(s)"
            + (", images among them: put those of each clip in a folder." if images else ".")
        )
    left_out += others
    return clips
