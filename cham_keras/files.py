"""Writing files so that a reader never sees half of one.

Everything the package writes is written under a temporary name beside its
place and then renamed. A killed program leaves the old file or none.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path that becomes `path` when the block ends well.

    Args:
        path: the file to write. Its folder is made where it is missing.

    Yields:
        a path in the same folder, with the same suffix.

    Example:

    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing_file(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> sorted(path.name for path in folder.iterdir())
    ['a.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary folder that becomes `path` when the block ends well.

    Args:
        path: the folder to write.
        overwrite: whether a folder that is already there is replaced.

    Yields:
        an empty folder beside `path`.

    Raises:
        FileExistsError: `path` holds files and `overwrite` is false.
    """
    path = Path(path)
    if path.exists() and any(path.iterdir()) and not overwrite:
        raise FileExistsError(
            f"The output folder must be new or empty. Received: {path}. "
            "Name another folder, or pass --overwrite to replace it."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        folder_taking_its_place(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def folder_taking_its_place(finished: Path, path: Path) -> None:
    """Renames a folder; what stood at its place before is removed after that."""
    old = None
    if path.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old-", dir=path.parent))
        path.replace(old / path.name)
    finished.replace(path)
    if old is not None:
        shutil.rmtree(old)


def write_all(file: RawIOBase, data: bytes) -> None:
    """Writes all of `data` to an unbuffered file, which may take a part at a time only."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) or 0 :]


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, whole or not at all."""
    with replacing_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file; a missing or broken one is named in the error."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} must be JSON. It breaks off at {error}.") from error
