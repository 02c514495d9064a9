"""Olympic Sports as its owners distribute it becomes a clip list.

16 class folders of Norpix sequences (`.seq`), and the folder `train_test_split` with `train` and
`test`, a list of names a class in each. `cham prepare olympic-sports` calls this.

Niebles, Chen and Fei-Fei: Modeling temporal structure of decomposable motion segments for activity
classification. ECCV 2010.
"""

import re
from pathlib import Path, PurePosixPath

from cham_keras.data.clip_list import absolute_path
from cham_keras.data.prepare.class_files import files_of_classes, find_class_folders, find_near
from cham_keras.data.prepare.official_lists import Expected, ListedClip, prepare_listed
from cham_keras.data.prepare.prepared import Prepared

_EXPECTED = Expected(classes=16, clips=783, train=649, test=134)
_LISTS_FOLDER = "train_test_split"
_SEQUENCE_SUFFIX = ".seq"
_SIDES = ("train", "test")
#: As the distribution writes a class -> as it is spelt.
_SPELLING = {"diving_platfrom_10m": "diving_platform_10m"}


def prepare_olympic_sports(
    root: Path | str,
    lists: Path | str | None = None,
    validation_fraction: float = 0.15,
    seed: int = 0,
) -> Prepared:
    """Makes a clip list of Olympic Sports with its official split.

    Args:
        root: the folder of the 16 class folders, or a folder that holds it.
        lists: folder with the folders `train` and `test`; by default
            `train_test_split` in `root` or beside it.
        validation_fraction: fraction of the training clips to validate on, in
            [0, 1); the official split has no validation clips.
        seed: of the choice of the validation clips.

    Returns:
        the clips, sorted by path. A clip's group is its source video
        (`source_video`). `diving_platfrom_10m` becomes the class
        `diving_platform_10m`; the folder keeps its name.

    Raises:
        FileNotFoundError: a folder, the lists or all clips are missing.
        ValueError: a list is not in its form.
    """
    root = absolute_path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}.")
    folder = find_near(root, [_LISTS_FOLDER]) if lists is None else absolute_path(lists)
    if folder is None:
        raise FileNotFoundError(
            f"The official lists of Olympic Sports must lie in {root} or beside it, in the folder "
            f"{_LISTS_FOLDER}. Name their folder with --lists."
        )
    listed = read_olympic_sports_lists(folder)
    label_of_folder = {label: label for label in sorted({clip.label for clip in listed})}
    label_of_folder |= {f: label for f, label in _SPELLING.items() if label in label_of_folder}
    place = find_class_folders(root, list(label_of_folder))
    files, problems = files_of_classes(place, label_of_folder, _SEQUENCE_SUFFIX, by_stem=True)
    return prepare_listed(place, files, listed, _EXPECTED, validation_fraction, seed, problems)


def read_olympic_sports_lists(folder: Path | str) -> list[ListedClip]:
    """Reads the lists of both sides.

    Args:
        folder: holds `train/<class>.txt` and `test/<class>.txt`; a line is a
            clip's name, with or without its folder and suffix.

    Raises:
        FileNotFoundError: a side has no list.
        ValueError: a line holds more than one name.
    """
    listed = []
    for side in _SIDES:
        paths = sorted(path for path in Path(folder, side).glob("*.txt") if path.name[0] != ".")
        if not paths:
            raise FileNotFoundError(f"There is no list <class>.txt in {Path(folder, side)}.")
        for path in paths:
            label = _SPELLING.get(path.stem, path.stem)
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                if not line.strip():
                    continue
                if len(line.split()) > 1:
                    raise ValueError(
                        f"Line {number} of {path} must be the name of one clip. "
                        f"Received: {line.strip()!r}."
                    )
                name = PurePosixPath(line.strip()).name.removesuffix(_SEQUENCE_SUFFIX)
                listed.append(ListedClip(label, name, side, source_video(name)))
    return listed


def source_video(name: str) -> str:
    """The video that a clip was cut from, as its name tells.

    A name is the video's id on YouTube and the first and the last frame. A name
    of another form is its own source.

    Args:
        name: of the clip, without suffix.

    Example:
    >>> source_video("2s5XbNYB4vs_00205_00355")
    '2s5XbNYB4vs'
    """
    match = re.fullmatch(r"(.+)_\d+_\d+", name)
    return match[1] if match else name
