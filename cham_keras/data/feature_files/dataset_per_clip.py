"""Feature files with a data set for each clip, and a CSV file that says what the clips are.

A data set is of shape (frames, height, width, channels), or (frames, positions, channels) with
positions row by row over the map. The CSV has the columns that `cham prepare csv` takes: `path`,
the data set's name ("run/a" for data set a of group run), `label`, and optionally `split` and
`group`. Attributes of the data sets are not looked at: a table can be read, sorted and mended
without a program, and says what is missing.

Comes in: the HDF5 file and the CSV. Goes out: a `StoredClips`. `import_hdf5` calls it.
"""

import csv
import logging
from pathlib import Path

import h5py

from cham_keras.data.clip_list import Clip, ClipList, absolute_path, check_classes, split_named
from cham_keras.data.feature_files.stored_clips import Rows, StoredClips, check_numbers, open_hdf5
from cham_keras.data.prepare.problems import sentence_of_names
from cham_keras.data.splits import assign_splits

logger = logging.getLogger(__name__)

_REQUIRED_COLUMNS = ("path", "label")
_OPTIONAL_COLUMNS = ("split", "group")


def dataset_per_clip(
    path: Path,
    clips_csv: Path,
    map_shape: tuple[int, int] | None = None,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
) -> StoredClips:
    """Finds the clips of a CSV file in an HDF5 file.

    Data sets that the CSV does not name are left out, with a warning that counts them.

    Args:
        path: the HDF5 file.
        clips_csv: the CSV file, in UTF-8, with a header.
        map_shape: height and width of the map, needed for (frames, positions, channels).
        test_fraction: fraction of all clips to test on, where the CSV states no splits.
        validation_fraction: fraction of all clips to validate on, likewise.
        seed: of the split, likewise.

    Returns:
        the clips, in the order of the CSV.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the CSV breaks a rule, a data set that it names is missing, or of another
            shape than the others, or the list breaks a rule of `ClipList`.
    """
    table = _read_table(clips_csv)
    names = [row["path"].strip("/") for row in table]
    shapes = _shapes(path, names, clips_csv)
    feature_shape = _feature_shape(path, shapes, map_shape)
    labels = [row["label"] for row in table]
    classes = tuple(sorted(set(labels)))
    check_classes(classes)
    groups = [row.get("group") or name for row, name in zip(table, names, strict=True)]
    if "split" in table[0]:
        splits = [_split_of_row(clips_csv, row) for row in table]
    else:
        splits = assign_splits(labels, groups, test_fraction, validation_fraction, seed)
    clips = [
        Clip(name, label, split, group, num_frames=shapes[name][0])
        for name, label, split, group in zip(names, labels, splits, groups, strict=True)
    ]
    file = absolute_path(path)
    return StoredClips(
        ClipList(file.parent, classes, tuple(clips)),
        {name: Rows(file, name, 0, shape[0]) for name, shape in shapes.items()},
        feature_shape=feature_shape,
        order="C",
        layout="HDF5, a data set for each clip",
    )


def _shapes(path: Path, names: list[str], clips_csv: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the clips' data sets."""
    shapes = {}
    missing = []
    with open_hdf5(path) as file:
        for name in names:
            dataset = file.get(name)
            if not isinstance(dataset, h5py.Dataset):
                missing.append(name)
                continue
            check_numbers(dataset, path)
            if dataset.ndim not in (3, 4) or 0 in dataset.shape:
                raise ValueError(
                    f"Data set {name} of {path} must be of shape (frames, height, width, channels) "
                    f"or (frames, positions, channels). Received: {dataset.shape}."
                )
            shapes[name] = dataset.shape
        if missing:
            raise ValueError(
                f"Every path in {clips_csv} must be the name of a data set in {path}. Missing: "
                f"{sentence_of_names(missing)}. Data sets there: "
                f"{sentence_of_names(_all_names(file)) or 'none'}."
            )
        others = [name for name in _all_names(file) if name not in shapes]
    if others:
        logger.warning(
            "%d data set(s) of %s are not in %s and are left out: %s.",
            len(others),
            path,
            clips_csv,
            sentence_of_names(others),
        )
    return shapes


def _all_names(file: h5py.File) -> list[str]:
    names: list[str] = []

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            names.append(name)

    file.visititems(note)
    return names


def _feature_shape(
    path: Path, shapes: dict[str, tuple[int, ...]], map_shape: tuple[int, int] | None
) -> tuple[int, int, int]:
    first, *others = shapes
    for name in others:
        if shapes[name][1:] != shapes[first][1:]:
            raise ValueError(
                f"All clips of {path} must have frames of one shape. Received: "
                f"{shapes[first][1:]} in {first} and {shapes[name][1:]} in {name}."
            )
    frame = shapes[first][1:]
    if len(frame) == 3:
        if map_shape is not None and map_shape != frame[:2]:
            raise ValueError(
                f"`map_shape` must be {frame[0]} {frame[1]}, as the data sets of {path} have it, "
                f"or left out. Received: {map_shape[0]} {map_shape[1]}."
            )
        return frame[0], frame[1], frame[2]
    positions, channels = frame
    if map_shape is None or map_shape[0] * map_shape[1] != positions:
        received = "none" if map_shape is None else f"{map_shape[0]} {map_shape[1]}"
        raise ValueError(
            f"`map_shape` must be the height and width of the {positions} positions that the data "
            f"sets of {path} have. Received: {received}. Pass it with --map-shape."
        )
    return *map_shape, channels


def _read_table(clips_csv: Path) -> list[dict[str, str]]:
    if not clips_csv.is_file():
        raise FileNotFoundError(f"There is no CSV file {clips_csv}.")
    # utf-8-sig: spreadsheets put a mark at the start that would stick to the first column's name.
    with clips_csv.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True, skipinitialspace=True)
        try:
            columns = reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            _check_columns(clips_csv, columns)
            table = []
            for row in reader:
                cells = {name: (value or "").strip() for name, value in row.items() if name}
                if (
                    None in row
                    or None in row.values()
                    or not all(map(cells.get, _REQUIRED_COLUMNS))
                ):
                    raise ValueError(
                        f"Line {reader.line_num} of {clips_csv} must have as many cells as the "
                        "header, and a path and a label."
                    )
                table.append(cells)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{clips_csv} must be a CSV file in UTF-8: {error}.") from error
    if not table:
        raise ValueError(f"{clips_csv} must name at least one clip. It holds a header only.")
    return table


def _check_columns(clips_csv: Path, columns: list[str]) -> None:
    known = _REQUIRED_COLUMNS + _OPTIONAL_COLUMNS
    if not set(_REQUIRED_COLUMNS) <= set(columns) <= set(known) or len(set(columns)) < len(columns):
        raise ValueError(
            f"{clips_csv} must have the columns {', '.join(_REQUIRED_COLUMNS)} in its first line, "
            f"and may have {', '.join(_OPTIONAL_COLUMNS)}. "
            f"Received: {', '.join(columns) or 'none'}."
        )


def _split_of_row(clips_csv: Path, row: dict[str, str]) -> str:
    try:
        return split_named(row["split"])
    except ValueError as error:
        raise ValueError(f"{clips_csv}, clip {row['path']}: {error}") from None
