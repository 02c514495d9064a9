"""HMDB51 as its owners distribute it becomes a clip list; `cham prepare hmdb51` calls this.

51 class folders of AVI files, or the RAR archives that hold them, and for each class and split a
list `<class>_test_split<k>.txt` with a clip and its side a line.

Kuehne, Jhuang, Garrote, Poggio and Serre: HMDB: a large video database for human motion
recognition. ICCV 2011.
"""

import re
from pathlib import Path

from cham_keras.data.clip_list import absolute_path
from cham_keras.data.prepare.archives import ARCHIVE_SUFFIXES, extract_nested, opened
from cham_keras.data.prepare.class_files import (
    files_of_classes,
    find_class_folders,
    find_near,
    place_of_class_folders,
)
from cham_keras.data.prepare.official_lists import Expected, ListedClip, prepare_listed
from cham_keras.data.prepare.prepared import Prepared
from cham_keras.data.prepare.problems import sentence_of_names

_EXPECTED = Expected(classes=51, clips=6766, train=3570, test=1530, per_class=(70, 30))
_SPLITS = (1, 2, 3)
_LISTS_FOLDER = "testTrainMulti_7030_splits"
_LISTS = (
    _LISTS_FOLDER,
    *(
        f"{stem}{suffix}"
        for stem in ("test_train_splits", _LISTS_FOLDER)
        for suffix in ARCHIVE_SUFFIXES
    ),
)
_OUTER_ARCHIVE = "hmdb51_org.rar"
_SIDES = {"0": None, "1": "train", "2": "test"}
# What follows the class in a clip's name: visible body parts, camera motion, number of people,
# viewpoint, quality, and the clip's number.
_PROPERTIES = r"_[fhlu]_(?:cm|nm)_np\d+_(?:ba|fr|le|ri)_(?:bad|goo|med)_\d+\.avi"


def prepare_hmdb51(
    root: Path | str,
    split: int = 1,
    lists: Path | str | None = None,
    extract_to: Path | str | None = None,
    validation_fraction: float = 0.15,
    seed: int = 0,
) -> Prepared:
    """Makes a clip list of HMDB51 with one of its three official splits.

    Args:
        root: the folder of the 51 class folders, a folder that holds it, or the
            archive `hmdb51_org.rar`, the folder that holds it or one archive a class.
        split: 1, 2 or 3.
        lists: folder or archive of the official lists; by default
            `testTrainMulti_7030_splits` or `test_train_splits.rar` in `root` or beside it.
        extract_to: where the clips shall lie if there are archives only. Class
            folders that are there from an earlier call are taken as they are.
        validation_fraction: fraction of the training clips to validate on, in
            [0, 1); the official splits have no validation clips.
        seed: of the choice of the validation clips.

    Returns:
        the clips of the split, sorted by path. A clip's group is its source
        video (`source_video`). Clips that the split does not use are left out and
        counted in a problem.

    Raises:
        FileExistsError: `extract_to` holds something else.
        FileNotFoundError: a folder, the lists, all clips or a tool for RAR is missing.
        ValueError: `split` is unknown, a list is not in its form, an archive
            cannot be read, or there are archives and no `extract_to`.
    """
    if split not in _SPLITS:
        raise ValueError(f"`split` of HMDB51 must be 1, 2 or 3. Received: {split!r}.")
    root = absolute_path(root)
    if not root.exists():
        raise FileNotFoundError(f"There is no folder or archive {root}.")
    with opened(_find_lists(root, lists)) as folder:
        listed = read_hmdb51_lists(folder, split)
    labels = sorted({clip.label for clip in listed})
    place = _place_of_clips(root, labels, extract_to)
    files, problems = files_of_classes(place, {label: label for label in labels}, ".avi")
    return prepare_listed(place, files, listed, _EXPECTED, validation_fraction, seed, problems)


def read_hmdb51_lists(folder: Path | str, split: int) -> list[ListedClip]:
    """Reads the lists of one split, sorted by class.

    Args:
        folder: holds `<class>_test_split<k>.txt`, itself or in a folder below.
        split: 1, 2 or 3.

    Raises:
        FileNotFoundError: there is no list of this split.
        ValueError: a line is not a name and 0, 1 or 2.
    """
    ending = f"_test_split{split}.txt"
    paths = sorted(Path(folder).rglob(f"*{ending}"))
    if not paths:
        raise FileNotFoundError(f"There is no list <class>{ending} in {folder}.")
    listed = []
    for path in paths:
        label = path.name.removesuffix(ending)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            name, _, side = line.strip().rpartition(" ")
            if not name or side not in _SIDES:
                raise ValueError(
                    f"Line {number} of {path} must be a clip's name and 0, 1 or 2. "
                    f"Received: {line.strip()!r}."
                )
            name = name.strip()
            listed.append(ListedClip(label, name, _SIDES[side], source_video(name, label)))
    return listed


def source_video(name: str, label: str) -> str:
    """The video that a clip was cut from, as its name tells.

    A name is the source, the class, six properties of the clip and its number.
    A name of another form is its own source.

    Args:
        name: of the clip's file.
        label: its class.

    Example:
    >>> source_video("50_FIRST_DATES_wave_u_cm_np1_fr_goo_30.avi", "wave")
    '50_FIRST_DATES'
    """
    match = re.fullmatch(f"(.+)_{re.escape(label)}{_PROPERTIES}", name)
    return match[1] if match else f"{label}/{name}"


def _find_lists(root: Path, lists: Path | str | None) -> Path:
    if lists is not None:
        found = absolute_path(lists)
        if not found.exists():
            raise FileNotFoundError(f"There is no folder or archive of lists {found}.")
        return found
    near = find_near(root if root.is_dir() else root.parent, _LISTS)
    if near is None:
        raise FileNotFoundError(
            f"The official lists of HMDB51 must lie in {root} or beside it, as one of "
            f"{', '.join(_LISTS)}. Name their folder with --lists."
        )
    return near


def _place_of_clips(root: Path, labels: list[str], extract_to: Path | str | None) -> Path:
    """The folder of the class folders; archives are extracted where there are none."""
    place = place_of_class_folders(root, labels)
    if place is not None:
        return place
    archives = _archives_of_clips(root, labels)
    if not archives:
        raise FileNotFoundError(
            f"{root} must hold class folders, such as {sentence_of_names(labels)}, or the archive "
            f"{_OUTER_ARCHIVE}. It holds neither."
        )
    if extract_to is None:
        raise ValueError(
            f"{root} holds archives and no class folders: "
            f"{sentence_of_names([path.name for path in archives])}. Name a folder to extract them "
            "to with --extract-to, or extract them yourself."
        )
    folder = absolute_path(extract_to)
    # What is there is whole: the folder got its name when all archives were extracted.
    place = place_of_class_folders(folder, labels)
    if place is not None:
        return place
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileExistsError(
            f"{folder} must be new or empty, or hold the class folders from an earlier call. It "
            "holds something else. Name another folder with --extract-to."
        )
    extract_nested(archives, folder)
    return find_class_folders(folder, labels)


def _archives_of_clips(root: Path, labels: list[str]) -> list[Path]:
    """The archives that hold the clips: one a class, or the one that holds these."""
    if root.is_file():
        return [root]
    of_classes = [path for path in sorted(root.glob("*.rar")) if path.stem in labels]
    outer = root / _OUTER_ARCHIVE
    return of_classes or ([outer] if outer.is_file() else [])
