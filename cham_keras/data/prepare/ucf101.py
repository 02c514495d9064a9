"""UCF101 as its owners distribute it becomes a clip list; `cham prepare ucf101` calls this.

101 class folders of AVI files, and the folder `ucfTrainTestlist` with `trainlist01.txt`,
`testlist01.txt` (and 02, 03) and `classInd.txt`.

Soomro, Roshan Zamir and Shah: UCF101: a dataset of 101 human actions classes from videos in the
wild. CRCV-TR-12-01, 2012.
"""

import re
from pathlib import Path

from cham_keras.data.clip_list import absolute_path
from cham_keras.data.prepare.archives import opened
from cham_keras.data.prepare.class_files import files_of_classes, find_class_folders, find_near
from cham_keras.data.prepare.official_lists import Expected, ListedClip, prepare_listed
from cham_keras.data.prepare.prepared import Prepared
from cham_keras.data.prepare.problems import sentence_of_names

_CLASSES = 101
_CLIPS = 13320
#: Split -> number of clips to train and to test on.
_COUNTS = {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)}
_LISTS = (
    "ucfTrainTestlist",
    "UCF101TrainTestSplits-RecognitionTask.zip",
    "ucfTrainTestlist.zip",
)


def prepare_ucf101(
    root: Path | str,
    split: int = 1,
    lists: Path | str | None = None,
    validation_fraction: float = 0.15,
    seed: int = 0,
) -> Prepared:
    """Makes a clip list of UCF101 with one of its three official splits.

    Args:
        root: the folder of the 101 class folders, or a folder that holds it.
        split: 1, 2 or 3.
        lists: folder or archive of the official lists; by default
            `ucfTrainTestlist` or its zip archive in `root` or beside it.
        validation_fraction: fraction of the training clips to validate on, in
            [0, 1); the official splits have no validation clips.
        seed: of the choice of the validation clips.

    Returns:
        the clips of the split, sorted by path. A clip's group is its class and
        the number after `g` in its name: clips of one group are cut from one video.

    Raises:
        FileNotFoundError: a folder, the lists or all clips are missing.
        ValueError: `split` is unknown, or a list is not in its form.
    """
    if split not in _COUNTS:
        raise ValueError(f"`split` of UCF101 must be 1, 2 or 3. Received: {split!r}.")
    root = absolute_path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}.")
    place_of_lists = find_near(root, _LISTS) if lists is None else absolute_path(lists)
    if place_of_lists is None or not place_of_lists.exists():
        raise FileNotFoundError(
            f"The official lists of UCF101 must lie in {place_of_lists or root}"
            f"{'' if place_of_lists else ' or beside it, as ' + ' or '.join(_LISTS)}. "
            "Name their folder with --lists."
        )
    with opened(place_of_lists) as folder:
        listed, problems_of_lists = read_ucf101_lists(folder, split)
    labels = sorted({clip.label for clip in listed})
    place = find_class_folders(root, labels)
    files, problems = files_of_classes(place, {label: label for label in labels}, ".avi")
    expected = Expected(_CLASSES, _CLIPS, *_COUNTS[split])
    problems = [*problems_of_lists, *problems]
    return prepare_listed(place, files, listed, expected, validation_fraction, seed, problems)


def read_ucf101_lists(folder: Path | str, split: int) -> tuple[list[ListedClip], list[str]]:
    """Reads the two lists of one split, and sentences on what is wrong in them.

    Args:
        folder: holds `trainlist0<k>.txt` and `testlist0<k>.txt`, itself or in a folder below.
        split: 1, 2 or 3.

    Raises:
        FileNotFoundError: a list is missing.
        ValueError: a line is not class, slash and name, followed by a number or nothing.
    """
    listed: list[ListedClip] = []
    stated: list[tuple[str, str]] = []  # class and the number that the list states for it
    for side in ("train", "test"):
        path = _file_in(Path(folder), f"{side}list{split:02}.txt")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            match = re.fullmatch(r"([^/\s]+)/([^/\s]+)(?:\s+(\d+))?", line.strip())
            if match is None:
                raise ValueError(
                    f"Line {number} of {path} must be as in Archery/v_Archery_g01_c01.avi. "
                    f"Received: {line.strip()!r}."
                )
            label, name, index = match.groups()
            listed.append(ListedClip(label, name, side, source_video(name, label)))
            if index is not None:
                stated.append((label, index))
    return listed, _problems_of_indices(Path(folder), stated)


def source_video(name: str, label: str) -> str:
    """The video that a clip was cut from: its class and the group in its name.

    A name without a group is its own source.

    Args:
        name: of the clip's file.
        label: its class.

    Example:
    >>> source_video("v_Archery_g07_c03.avi", "Archery")
    'Archery/g07'
    """
    match = re.fullmatch(r"v_\w+_(g\d+)_c\d+\.avi", name)
    return f"{label}/{match[1] if match else name}"


def _file_in(folder: Path, name: str) -> Path:
    found = next(iter(sorted(folder.rglob(name))), None)
    if found is None:
        raise FileNotFoundError(f"There is no list {name} in {folder}.")
    return found


def _problems_of_indices(folder: Path, stated: list[tuple[str, str]]) -> list[str]:
    """A sentence on classes whose number in the lists is another than in `classInd.txt`."""
    if not list(folder.rglob("classInd.txt")):
        return ["There is no classInd.txt beside the lists: class numbers were not compared."]
    lines = _file_in(folder, "classInd.txt").read_text(encoding="utf-8").splitlines()
    index_of = {words[1]: words[0] for words in map(str.split, lines) if len(words) == 2}
    wrong = sorted({label for label, index in stated if index_of.get(label) != index})
    if not wrong:
        return []
    return [
        f"{len(wrong)} class(es) have another number in the lists than in classInd.txt; the name "
        f"of the folder was taken: {sentence_of_names(wrong)}."
    ]
