"""A CSV file that names clips becomes a clip list.

The way in for any data set: whatever its layout, a table with two columns says
what there is. `cham prepare csv` calls this.
"""

import csv

from cham_keras.data.clip_list import Clip, ClipList, absolute_location, check_classes, split_named
from cham_keras.data.frames.image_folder import ImageFolder, is_image_folder
from cham_keras.data.prepare.prepared import Prepared
from cham_keras.data.prepare.problems import problems_of_image_folders, sentence_of_names
from cham_keras.data.splits import assign_splits
from cham_keras.paths import AnyPath, as_path, is_inside, path_from, place_in

_REQUIRED_COLUMNS = ("path", "label")
_OPTIONAL_COLUMNS = ("split", "group", "start", "end")
_MISSING_FILES_SHOWN = 5


def prepare_csv(
    csv_path: AnyPath | str,
    root: AnyPath | str | None = None,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
) -> Prepared:
    """Makes a clip list of a CSV file.

    Args:
        csv_path: the file, a path or a URL, in UTF-8, with a header. Columns: `path` (a video, a
            Norpix sequence or a folder of numbered images), `label`; optional:
            `split` ("train", "validation" or "val", "test"); `group` (clips of
            one group stay on one side of a split; where the cells of a file are
            empty, the file is a group of its own, with all its parts); `start`
            and `end` (seconds; an empty cell means the file's beginning or end).
        root: folder that the paths are relative to; by default the CSV's own.
            An absolute path must lie under it.
        test_fraction: fraction of all clips to test on, where the file states
            no splits.
        validation_fraction: fraction of all clips to validate on, likewise.
        seed: of the split, likewise.

    Returns:
        the clips in the order of the file.

    Raises:
        FileNotFoundError: the CSV or one of the clips does not exist.
        ValueError: a column is missing or unknown, a row has too many or too
            few cells, a path or label is empty, a time is no number, splits are
            stated for some rows only, groups for some parts of a file only, or
            the list breaks a rule of `Clip` or `ClipList`.
    """
    csv_path = as_path(csv_path)
    rows = _read_rows(csv_path)
    root = absolute_location(csv_path.parent if root is None else root)
    paths = [_path_under(root, row["path"], csv_path) for row in rows]
    _check_files(csv_path, root, paths)
    labels = [row["label"] for row in rows]
    classes = tuple(sorted(set(labels)))
    check_classes(classes)
    groups = _groups(csv_path, rows, paths)
    starts = [_seconds(csv_path, row, "start") for row in rows]
    ends = [_seconds(csv_path, row, "end") for row in rows]
    if "split" in rows[0]:
        splits = [_stated_split(csv_path, row) for row in rows]
    else:
        splits = assign_splits(labels, groups, test_fraction, validation_fraction, seed)
    folders = {path: ImageFolder(root / path) for path in paths if (root / path).is_dir()}
    num_frames = [
        folders[path].num_frames if path in folders and start is end is None else None
        for path, start, end in zip(paths, starts, ends, strict=True)
    ]
    columns = (paths, labels, splits, groups, num_frames, starts, ends)
    try:
        clips = tuple(Clip(*values) for values in zip(*columns, strict=True))
    except ValueError as error:
        raise ValueError(f"{csv_path}: {error}") from None
    return Prepared(ClipList(root, classes, clips), problems_of_image_folders(folders.values()))


def _read_rows(csv_path: AnyPath) -> list[dict[str, str]]:
    if not csv_path.is_file():
        raise FileNotFoundError(f"There is no CSV file {csv_path}.")
    # utf-8-sig: spreadsheets put a mark at the start that would stick to the first column's name.
    with csv_path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            _check_columns(csv_path, columns)
            rows = []
            for row in reader:
                _check_row(csv_path, reader.line_num, row)
                rows.append({name: value.strip() for name, value in row.items()})
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{csv_path} must be a CSV file in UTF-8: {error}.") from error
    if not rows:
        raise ValueError(f"{csv_path} must name at least one clip. It holds a header only.")
    return rows


def _check_columns(csv_path: AnyPath, columns: list[str]) -> None:
    present = ", ".join(columns) or "none"
    missing = [name for name in _REQUIRED_COLUMNS if name not in columns]
    if missing:
        raise ValueError(
            f"{csv_path} must have the columns {' and '.join(_REQUIRED_COLUMNS)} in its first "
            f"line. Missing: {', '.join(missing)}. Columns there: {present}."
        )
    known = _REQUIRED_COLUMNS + _OPTIONAL_COLUMNS
    # A misspelt "group" that is passed over would let one source into two splits.
    if any(name not in known for name in columns) or len(set(columns)) < len(columns):
        raise ValueError(
            f"{csv_path} may have each of the columns {', '.join(known)} once, and no other. "
            f"Columns there: {present}. Rename or remove the rest."
        )


def _check_row(csv_path: AnyPath, line: int, row: dict) -> None:
    if None in row or None in row.values():
        raise ValueError(f"Line {line} of {csv_path} must have as many cells as the header.")
    for name in _REQUIRED_COLUMNS:
        if not row[name].strip():
            raise ValueError(f"`{name}` in line {line} of {csv_path} must not be empty.")


def _path_under(root: AnyPath, stated: str, csv_path: AnyPath) -> str:
    path = absolute_location(path_from(root, stated))
    if not is_inside(path, root):
        raise ValueError(
            f"Every path in {csv_path} must lie under {root}. Received: {stated}. "
            "Name a folder that holds all clips with --root."
        )
    return place_in(path, root)


def _groups(csv_path: AnyPath, rows: list[dict[str, str]], paths: list[str]) -> list[str]:
    """The group of each row: as stated, else the path of the file."""
    stated = [row.get("group", "") for row in rows]
    for path in {path for path, group in zip(paths, stated, strict=True) if not group}:
        of_file = {group for other, group in zip(paths, stated, strict=True) if other == path}
        # Half of a file in its own group would stand beside the other half on the other side.
        if of_file != {""}:
            raise ValueError(
                f"{csv_path} must state `group` for all parts of a file or for none. "
                f"Received for {path}: an empty cell and {', '.join(sorted(of_file - {''}))}."
            )
    return [group or path for group, path in zip(stated, paths, strict=True)]


def _seconds(csv_path: AnyPath, row: dict[str, str], name: str) -> float | None:
    text = row.get(name, "")
    try:
        return float(text) if text else None
    except ValueError:
        raise ValueError(
            f"`{name}` must be a number of seconds, such as 2.5, or empty. "
            f"Received: {text!r} for {row['path']} in {csv_path}."
        ) from None


def _check_files(csv_path: AnyPath, root: AnyPath, paths: list[str]) -> None:
    folders = [path for path in paths if (root / path).is_dir()]
    empty = [path for path in folders if not is_image_folder(root / path)]
    if empty:
        raise ValueError(
            f"A folder that is a clip must hold its frames as images. {len(empty)} folder(s) in "
            f"{csv_path} hold none: {sentence_of_names(empty)}."
        )
    missing = [path for path in paths if not (root / path).exists()]
    if missing:
        shown = ", ".join(missing[:_MISSING_FILES_SHOWN])
        more = ", …" if len(missing) > _MISSING_FILES_SHOWN else ""
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} clips in {csv_path} do not exist under {root}: "
            f"{shown}{more}. Paths are relative to the CSV's folder; --root names another."
        )


def _stated_split(csv_path: AnyPath, row: dict[str, str]) -> str:
    try:
        return split_named(row["split"])
    except ValueError as error:
        raise ValueError(f"{csv_path}, clip {row['path']}: {error}") from None
