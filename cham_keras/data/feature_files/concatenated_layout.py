"""The feature files of the FC-Attention authors: all clips of a split in one data set.

Sharma, Kiros and Salakhutdinov (action-recognition-visual-attention) keep four files a split,
`train`, `valid` and `test`:

    train_features.h5     data set `features`: (frames of all clips, positions x channels) float32
    train_framenum.txt    number of frames of each clip, one a line
    train_filename.txt    the clip's name, as "cartwheel/lea.avi"
    train_labels.txt      the clip's label, a number from 0

A row is a frame. MATLAB wrote it, so its 7 x 7 x 1024 = 50176 numbers are the block of
49 positions x 1024 channels in Fortran order: `row.reshape(49, 1024, order="F")`, which is
`row.reshape(1024, 49).T`. The 49 positions go row by row over the 7 x 7 map, as the authors draw
their attention.

Comes in: the folder. Goes out: a `StoredClips`. `import_hdf5` calls it.
"""

from itertools import accumulate, pairwise
from pathlib import Path

from cham_keras.data.clip_list import SPLIT_NAMES, Clip, ClipList, absolute_path
from cham_keras.data.feature_files.stored_clips import (
    Order,
    Rows,
    StoredClips,
    check_numbers,
    open_hdf5,
    read_lines,
)

DATASET = "features"
#: Height and width of the authors' maps.
MAP_SHAPE = (7, 7)

_SUFFIX = "_features.h5"
#: The splits that a file's name may begin with; the authors say "valid".
_SPLITS = SPLIT_NAMES | {"valid": "validation"}


def concatenated_layout(
    folder: Path,
    map_shape: tuple[int, int] = MAP_SHAPE,
    order: Order = "F",
    class_names: Path | None = None,
) -> StoredClips:
    """Finds the clips of `<split>_features.h5` and of the text files beside it.

    Args:
        folder: the folder with the files of one split or more.
        map_shape: height and width of a frame's map.
        order: "F" as the authors have it, "C" for files whose rows are written from NumPy.
        class_names: text file with the name of label 0 in the first line, of label 1 in the
            second and so on. Without it a class is named by its number, with zeros in front so
            that the order of the names is that of the numbers.

    Returns:
        the clips, in the order of the files. Each is a group of its own.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the files contradict each other, a line is no number, a clip has several
            labels, a label has no name, or the list breaks a rule of `ClipList`.
    """
    folder = absolute_path(folder)
    rows: dict[str, Rows] = {}
    clips_with_numbers: list[tuple[str, str, int, int]] = []  # name, split, label, frames
    row_lengths: dict[Path, int] = {}
    for prefix, split in _splits_in(folder):
        path = folder / f"{prefix}{_SUFFIX}"
        frames = _numbers(folder / f"{prefix}_framenum.txt", "number of frames", at_least=1)
        names = read_lines(folder / f"{prefix}_filename.txt")
        labels = _numbers(folder / f"{prefix}_labels.txt", "label", at_least=0)
        if not len(frames) == len(names) == len(labels):
            raise ValueError(
                f"The text files of {path} must have a line for each clip. Received: "
                f"{len(frames)} numbers of frames, {len(names)} names and {len(labels)} labels."
            )
        row_lengths[path] = _row_length(path, num_rows=sum(frames))
        for name, (start, stop) in zip(names, pairwise(accumulate(frames, initial=0)), strict=True):
            if name in rows:
                raise ValueError(
                    f"Each clip must stand in the files once. Received: {name} in {rows[name].file}"
                    f" and in {path}."
                )
            rows[name] = Rows(path, DATASET, start, stop)
        clips_with_numbers += zip(names, [split] * len(names), labels, frames, strict=True)
    class_of_label = _class_of_label({label for *_, label, _ in clips_with_numbers}, class_names)
    clips = [
        Clip(name, class_of_label[label], split, group=name, num_frames=num_frames)
        for name, split, label, num_frames in clips_with_numbers
    ]
    return StoredClips(
        ClipList(folder, tuple(sorted(class_of_label.values())), tuple(clips)),
        rows,
        feature_shape=(*map_shape, _channels(row_lengths, map_shape)),
        order=order,
        layout=f"HDF5, all clips in one data set, rows in {order} order",
    )


def _splits_in(folder: Path) -> list[tuple[str, str]]:
    """The beginnings of the files' names, and the splits that they mean."""
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    prefixes = sorted(path.name.removesuffix(_SUFFIX) for path in folder.glob(f"*{_SUFFIX}"))
    if not prefixes:
        raise FileNotFoundError(
            f"There is no train{_SUFFIX} in {folder}, nor {_SUFFIX} of another split. A single "
            "file with a data set a clip is imported with --clips."
        )
    unknown = [prefix for prefix in prefixes if prefix not in _SPLITS]
    if unknown:
        raise ValueError(
            f"The files of {folder} must be named <split>{_SUFFIX} with one of {', '.join(_SPLITS)}"
            f" as split. Received: {unknown[0]}{_SUFFIX}. Rename it or move it away."
        )
    return [(prefix, _SPLITS[prefix]) for prefix in prefixes]


def _row_length(path: Path, num_rows: int) -> int:
    with open_hdf5(path) as file:
        dataset = file.get(DATASET)
        if getattr(dataset, "ndim", None) != 2:
            received = (
                "none" if dataset is None else f"shape {getattr(dataset, 'shape', 'a group')}"
            )
            raise ValueError(
                f"{path} must hold a data set `{DATASET}` of shape (frames, positions x channels). "
                f"Received: {received}."
            )
        check_numbers(dataset, path)
        if dataset.shape[0] != num_rows:
            raise ValueError(
                f"`{DATASET}` in {path} must have as many rows as its _framenum.txt has frames, "
                f"{num_rows}. Received: {dataset.shape[0]} rows."
            )
        return dataset.shape[1]


def _channels(row_lengths: dict[Path, int], map_shape: tuple[int, int]) -> int:
    if len(set(row_lengths.values())) > 1:
        received = ", ".join(f"{length} in {path.name}" for path, length in row_lengths.items())
        raise ValueError(f"Rows must have the same length in all files. Received: {received}.")
    length = next(iter(row_lengths.values()))
    positions = map_shape[0] * map_shape[1]
    if length == 0 or length % positions:
        raise ValueError(
            f"A row must be the channels of {map_shape[0]} x {map_shape[1]} positions, so its "
            f"length a multiple of {positions}. Received: {length}. Name another height and width "
            "with --map-shape."
        )
    return length // positions


def _numbers(path: Path, what: str, at_least: int) -> list[int]:
    numbers = []
    for number, line in enumerate(read_lines(path), start=1):
        if "," in line and what == "label":
            raise ValueError(
                f"Line {number} of {path} must hold one label. Received: {line}. A clip with "
                "several labels, as in Hollywood2, cannot be imported: the models give a clip one "
                "class."
            )
        if not (line.isascii() and line.isdigit() and int(line) >= at_least):
            raise ValueError(
                f"Line {number} of {path} must be a {what}, a whole number of at least {at_least}. "
                f"Received: {line}."
            )
        numbers.append(int(line))
    return numbers


def _class_of_label(labels: set[int], class_names: Path | None) -> dict[int, str]:
    if class_names is None:
        width = len(str(max(labels)))
        return {label: str(label).zfill(width) for label in labels}
    names = dict(enumerate(read_lines(class_names)))
    if max(labels) not in names:
        raise ValueError(
            f"{class_names} must have a line for each label, from 0 to {max(labels)}. "
            f"Received: {len(names)} lines."
        )
    return names
