"""Writing files so that a reader never sees half of one.

Everything the package writes is written under a temporary name beside its
place and then renamed. A killed program leaves the old file or none. On remote
storage a file is uploaded when it is whole; object stores show it after that.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any

from cham_keras.paths import AnyPath, RemotePath, as_path, local_path


@contextmanager
def replacing_file(path: AnyPath | str) -> Iterator[Path]:
    """Yields a temporary path that becomes `path` when the block ends well.

    Args:
        path: the file to write, a path or a URL. Its folder is made where it is missing.

    Yields:
        a local path with the same suffix; for a local file, in the same folder.

    Raises:
        OSError: remote storage cannot be written.

    Example:

    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing_file(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> sorted(path.name for path in folder.iterdir())
    ['a.txt']
    """
    path = as_path(path)
    if isinstance(path, RemotePath):
        with tempfile.TemporaryDirectory() as folder:
            yield (temporary := Path(folder, path.name))
            path.upload(temporary)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path | str, overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary folder that becomes `path` when the block ends well.

    Args:
        path: the folder to write; a local one.
        overwrite: whether a folder that is already there is replaced.

    Yields:
        an empty folder beside `path`.

    Raises:
        FileExistsError: `path` holds files and `overwrite` is false.
        ValueError: `path` is a URL.
    """
    path = local_path(path, "The output folder")
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


@contextmanager
def locked_folder(folder: Path, doing: str) -> Iterator[None]:
    """Makes a folder and keeps other programs out of it; a kill ends the lock, too.

    Args:
        folder: a local one.
        doing: what nobody else may do in it meanwhile, for the error's text.

    Raises:
        BlockingIOError: another program has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    opened = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                f"Only one program at a time may {doing} in {folder}. Another one does so now."
            ) from None
        yield
    finally:
        os.close(opened)


@contextmanager
def local_copy(path: AnyPath) -> Iterator[Path]:
    """Yields a local path that holds what `path` holds, for whatever reads local files only.

    Args:
        path: a file, or a folder of files. A local one is yielded as it is; a remote one is
            copied to a temporary folder, which is removed when the block ends.

    Raises:
        FileNotFoundError: there is no such file or folder on the remote storage.
        ValueError: as the block raises it, with the remote path instead of the copy's.
        OSError: likewise; or the remote storage cannot be read, or the disk is full.
    """
    if isinstance(path, Path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="cham-") as folder:
        copy = Path(folder, path.name)
        if path.is_dir():
            copy.mkdir()
            for file in path.iterdir():
                if not file.is_dir():
                    file.download(copy / file.name)
        else:
            path.download(copy)
        try:
            yield copy
        except (ValueError, OSError) as error:
            text = str(error).replace(str(copy), str(path))
            for kind in (FileNotFoundError, OSError):
                if isinstance(error, kind):
                    raise kind(text) from error
            raise ValueError(text) from error


def write_all(file: RawIOBase, data: bytes) -> None:
    """Writes all of `data` to an unbuffered file, which may take a part at a time only."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) or 0 :]


def write_json(path: AnyPath | str, value: Any) -> None:
    """Writes `value` as indented JSON, whole or not at all."""
    with replacing_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: AnyPath | str) -> Any:
    """Reads a JSON file; a missing or broken one is named in the error."""
    path = as_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} must be JSON. It breaks off at {error}.") from error
