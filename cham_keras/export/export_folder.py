"""The folder of an export: `BASE/<version>/`, as TensorFlow Serving watches it.

A server takes the versions from the folders whose names are whole numbers, at
any moment. So a version is written under another name and then renamed.
`saved_model` writes with what is here; prediction and parity open with it.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cham_keras.export.description import Description, read_description

SAVED_MODEL_FILE = "saved_model.pb"

#: What the name of a version begins with that is being written.
_UNFINISHED = ".unfinished-"
_SECONDS_OF_A_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Export:
    """An export.

    Attributes:
        folder: folder of one version, with `saved_model.pb` in it.
        description: what it says of itself.
    """

    folder: Path
    description: Description


def open_export(path: Path) -> Export:
    """Opens an export.

    Args:
        path: folder of one version, or the folder above the versions, which
            stands for the newest one.

    Raises:
        FileNotFoundError: there is no SavedModel of `cham export`.
        ValueError: its description is broken.
    """
    folder = version_folder(path)
    return Export(folder, read_description(folder))


def version_folder(path: Path) -> Path:
    """The folder of one version: `path` itself, or the newest version in it."""
    path = Path(path)
    if (path / SAVED_MODEL_FILE).is_file():
        return path
    versions = [number for number in _versions(path) if _is_saved_model(path / str(number))]
    if not versions:
        raise FileNotFoundError(
            f"{path} is no export: neither it nor a numbered folder in it holds a "
            f"{SAVED_MODEL_FILE}. `cham export` writes one."
        )
    return path / str(max(versions))


def check_base(base: Path) -> None:
    """Refuses a folder that cannot be the one above the versions."""
    if base.exists() and not base.is_dir():
        raise ValueError(f"The export's folder must be a folder. Received: the file {base}.")
    if _is_saved_model(base):
        raise ValueError(
            "The export's folder must be the one above the versions. "
            f"Received: {base}, which holds a {SAVED_MODEL_FILE}. Name {base.parent} instead."
        )


@contextmanager
def unfinished_version(base: Path) -> Iterator[Path]:
    """Yields a new folder in `base` that no server takes for a version.

    `publish` makes a version of it. It is gone when the block ends without.
    """
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"The export's folder must be one that can be made. Received: {base} "
            f"({error.strerror}). Name another."
        ) from error
    _remove_left_behind(base)
    temporary = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=base))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_left_behind(base: Path) -> None:
    # Of exports that were killed. A younger one may still be written by another process.
    for folder in base.glob(f"{_UNFINISHED}*"):
        try:
            age_s = time.time() - max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
        except FileNotFoundError:  # the other process has just finished
            continue
        if age_s > _SECONDS_OF_A_DAY:
            shutil.rmtree(folder, ignore_errors=True)


def publish(temporary: Path, base: Path) -> Path:
    """Gives a finished folder the next version's name, also where others do the same now.

    Args:
        temporary: a folder in `base` that is not empty.
        base: the folder above the versions.

    Returns:
        the version's folder.
    """
    temporary.chmod(0o755)
    while True:
        version = base / str(max(_versions(base), default=0) + 1)
        try:
            return temporary.rename(version)
        except OSError:
            # A rename never replaces a folder with something in it: another was quicker.
            if not version.exists():
                raise


def _versions(base: Path) -> list[int]:
    names = [path.name for path in base.iterdir()] if base.is_dir() else []
    return [int(name) for name in names if name.isascii() and name.isdecimal()]


def _is_saved_model(folder: Path) -> bool:
    return (folder / SAVED_MODEL_FILE).is_file()
