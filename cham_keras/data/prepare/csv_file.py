"""A CSV file that names clips becomes a clip list.

The way in for any data set: whatever its layout, a table with two columns says
what there is. `cham prepare csv` calls this.
"""

import csv
from pathlib import Path

from cham_keras.data.clip_list import Clip, ClipList, absolute_path, check_classes, split_named
from cham_keras.data.splits import assign_splits

_REQUIRED_COLUMNS = ("path", "label")
_OPTIONAL_COLUMNS = ("split", "group")
_MISSING_FILES_SHOWN = 5


def prepare_csv(
    csv_path: Path | str,
    root: Path | str | None = None,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
) -> ClipList:
    """Makes a clip list of a CSV file.

    Args:
        csv_path: the file, in UTF-8, with a header. Columns: `path`, `label`;
            optional: `split` ("train", "validation" or "val", "test") and
            `group` (clips of one group stay on one side of a split; an empty
            cell means that the clip is a group of its own).
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
            few cells, a path or label is empty, splits are stated for some
            rows only, or the list breaks a rule of `ClipList`.
    """
    csv_path = Path(csv_path)
    rows = _read_rows(csv_path)
    root = absolute_path(csv_path.parent if root is None else root)
    paths = [_path_under(root, row["path"], csv_path) for row in rows]
    _check_files(csv_path, root, paths)
    labels = [row["label"] for row in rows]
    classes = tuple(sorted(set(labels)))
    check_classes(classes)
    groups = [row.get("group") or path for row, path in zip(rows, paths, strict=True)]
    if "split" in rows[0]:
        splits = [_stated_split(csv_path, row) for row in rows]
    else:
        splits = assign_splits(labels, groups, test_fraction, validation_fraction, seed)
    clips = [Clip(*values) for values in zip(paths, labels, splits, groups, strict=True)]
    return ClipList(root, classes, tuple(clips))


def _read_rows(csv_path: Path) -> list[dict[str, str]]:
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


def _check_columns(csv_path: Path, columns: list[str]) -> None:
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


def _check_row(csv_path: Path, line: int, row: dict) -> None:
    if None in row or None in row.values():
        raise ValueError(f"Line {line} of {csv_path} must have as many cells as the header.")
    for name in _REQUIRED_COLUMNS:
        if not row[name].strip():
            raise ValueError(f"`{name}` in line {line} of {csv_path} must not be empty.")


def _path_under(root: Path, stated: str, csv_path: Path) -> str:
    path = absolute_path(root / stated)
    if not path.is_relative_to(root):
        raise ValueError(
            f"Every path in {csv_path} must lie under {root}. Received: {stated}. "
            "Name a folder that holds all clips with --root."
        )
    return path.relative_to(root).as_posix()


def _check_files(csv_path: Path, root: Path, paths: list[str]) -> None:
    missing = [path for path in paths if not (root / path).is_file()]
    if missing:
        shown = ", ".join(missing[:_MISSING_FILES_SHOWN])
        more = ", …" if len(missing) > _MISSING_FILES_SHOWN else ""
        raise FileNotFoundError(
            f"{len(missing)} of {len(paths)} clips in {csv_path} do not exist under {root}: "
            f"{shown}{more}. Paths are relative to the CSV's folder; --root names another."
        )


def _stated_split(csv_path: Path, row: dict[str, str]) -> str:
    try:
        return split_named(row["split"])
    except ValueError as error:
        raise ValueError(f"{csv_path}, clip {row['path']}: {error}") from None
