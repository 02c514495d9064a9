"""Paths on any storage: local ones as `pathlib` has them, and URLs such as gs://bucket/folder.

Comes in: a path or a URL as the user wrote it. Goes out: a `pathlib.Path`, or a `RemotePath`
with those of its methods that the package needs, over `tf.io.gfile`. `files`, `data` and the
command line call `as_path` where they used to call `Path`, which makes gs:/bucket of a URL.

Libraries with paths of this kind know a few storages only; `tf.io.gfile` knows what TensorFlow
was built with (gs, hdfs, ram) and what plugins add to it, such as tensorflow-io's s3, az, http.
"""

import fnmatch
import functools
import io
import os
import posixpath
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

#: What makes tensorflow-io's storages known.
INSTALL_COMMAND = 'pip install "cham-keras[tfio]"'

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.IGNORECASE | re.DOTALL)
# What `pathlib` makes of a URL.
_COLLAPSED_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class RemoteStat:
    """What is known of a remote file.

    Attributes:
        st_size: its size in bytes.
    """

    st_size: int


class RemotePath:
    """A file or folder on a storage that `tf.io.gfile` knows.

    Behaves as a `pathlib.Path` does, as far as it goes. It is no `os.PathLike`: whatever
    works on local paths only fails at once, instead of making a folder named "gs:".

    Args:
        url: the storage's kind and the place on it, such as gs://bucket/folder. `.`, `..`
            and slashes at the end are resolved.

    Raises:
        ValueError: `url` is no URL. Methods that reach the storage: TensorFlow does not
            know its kind.
        OSError: from those methods, where the storage does not do what it is asked for.

    Example:
    >>> shards = RemotePath("gs://bucket/clips/../shards/")
    >>> shards / "manifest.json"
    RemotePath('gs://bucket/shards/manifest.json')
    >>> shards.name, str(shards.parent)
    ('shards', 'gs://bucket')
    """

    def __init__(self, url: str) -> None:
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError(f"A URL must begin as gs:// does. Received: {url!r}.")
        self.scheme = found[1].lower()
        # With the slash in front, `..` ends at the storage's root.
        self._inner = PurePosixPath(posixpath.normpath("/" + found[2].lstrip("/")))

    def __str__(self) -> str:
        """The URL."""
        return f"{self.scheme}:/{self._inner}"

    def __repr__(self) -> str:
        """As it is made."""
        return f"RemotePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        """Whether both are one URL."""
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __lt__(self, other: "RemotePath") -> bool:
        """The order of the URLs as texts."""
        return str(self) < str(other)

    def __hash__(self) -> int:
        """Equal for equal URLs."""
        return hash(str(self))

    def __truediv__(self, part: "str | os.PathLike[str]") -> "RemotePath":
        """What lies in this folder under a name or a relative path."""
        if _URL.fullmatch(os.fspath(part)) or PurePosixPath(part).is_absolute():
            raise ValueError(f"A path in {self} must be relative. Received: {part}.")
        return self._of(self._inner / part)

    def _of(self, inner: PurePosixPath) -> "RemotePath":
        return RemotePath(f"{self.scheme}:/{inner}")

    @property
    def name(self) -> str:
        """The last part."""
        return self._inner.name

    @property
    def stem(self) -> str:
        """The last part without its ending."""
        return self._inner.stem

    @property
    def suffix(self) -> str:
        """The last part's ending, with its dot."""
        return self._inner.suffix

    @property
    def parent(self) -> "RemotePath":
        """The folder that holds it."""
        return self._of(self._inner.parent)

    def with_name(self, name: str) -> "RemotePath":
        """The same with another last part."""
        return self._of(self._inner.with_name(name))

    def absolute(self) -> "RemotePath":
        """Itself."""
        return self

    def as_posix(self) -> str:
        """The URL."""
        return str(self)

    def is_relative_to(self, folder: "AnyPath") -> bool:
        """Whether it is the folder, or lies in it."""
        if not isinstance(folder, RemotePath) or folder.scheme != self.scheme:
            return False
        return self._inner.is_relative_to(folder._inner)

    def relative_to(self, folder: "AnyPath") -> PurePosixPath:
        """The way from a folder to it.

        Raises:
            ValueError: it does not lie in the folder.
        """
        if not self.is_relative_to(folder):
            raise ValueError(f"{self} must lie in {folder}.")
        return self._inner.relative_to(folder._inner)  # type: ignore[union-attr]

    def exists(self) -> bool:
        """Whether there is such a file or folder."""
        with self._storage() as gfile:
            return gfile.exists(str(self)) or gfile.isdir(str(self))

    def is_dir(self) -> bool:
        """Whether there is such a folder."""
        with self._storage() as gfile:
            return gfile.isdir(str(self))

    def is_file(self) -> bool:
        """Whether there is such a file."""
        with self._storage() as gfile:
            return gfile.exists(str(self)) and not gfile.isdir(str(self))

    def iterdir(self) -> Iterator["RemotePath"]:
        """What lies in the folder, in the order of the names."""
        with self._storage() as gfile:
            # Object stores mark folders by a slash, and list the folder itself as "".
            names = {name.rstrip("/") for name in gfile.listdir(str(self))}
        return iter([self / name for name in sorted(names - {""})])

    def glob(self, pattern: str) -> Iterator["RemotePath"]:
        """What lies in the folder and has a name as the pattern, which holds no slash."""
        return (path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern))

    def stat(self) -> RemoteStat:
        """The file's size.

        Raises:
            FileNotFoundError: there is no such file.
        """
        with self._storage() as gfile:
            return RemoteStat(gfile.stat(str(self)).length)

    def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Opens the file to be read from its beginning to its end.

        Args:
            mode: "r" or "rb"; `files.replacing_file` writes.
            buffering: bytes that are asked for at once; at least 1 MiB.
            encoding: as in `pathlib`; UTF-8 by default.
            errors: as in `pathlib`.
            newline: as in `pathlib`.
        """
        if mode not in ("r", "rb"):
            raise ValueError(f"`mode` of a remote file must be r or rb. Received: {mode!r}.")
        binary = io.BufferedReader(_RemoteFile(self), max(buffering, _BUFFER_BYTES))
        if mode == "rb":
            return binary
        return io.TextIOWrapper(binary, encoding or "utf-8", errors, newline)

    def read_bytes(self) -> bytes:
        """All of the file."""
        with self.open("rb") as file:
            return file.read()

    def read_text(self, encoding: str | None = None) -> str:
        """All of the file as text."""
        with self.open(encoding=encoding) as file:
            return file.read()

    def mkdir(self, parents: bool = True, exist_ok: bool = True) -> None:
        """Makes the folder and those above it; folders that are there already stay."""
        with self._storage() as gfile:
            gfile.makedirs(str(self))

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes the file."""
        try:
            with self._storage() as gfile:
                gfile.remove(str(self))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def replace(self, target: "RemotePath") -> "RemotePath":
        """Gives the file another name; on object stores that copies it there."""
        with self._storage() as gfile:
            gfile.rename(str(self), str(target), overwrite=True)
        return target

    def upload(self, local: Path) -> None:
        """Writes what a local file holds to this one, and checks that it has arrived.

        Raises:
            OSError: the storage cannot be written.
        """
        self.parent.mkdir()
        if self.scheme == "ram":
            self.unlink(missing_ok=True)  # there, and there only, a copy is put behind the old file
        with self._storage() as gfile:
            gfile.copy(str(local), str(self), overwrite=True)
        arrived, num_bytes = self.stat().st_size, local.stat().st_size
        if arrived != num_bytes:
            raise OSError(f"{self} must have {num_bytes} bytes. Received: {arrived}; try again.")

    def download(self, local: Path) -> None:
        """Writes what the file holds to a local one.

        Raises:
            OSError: the file is missing or cannot be read, or the local disk is full.
        """
        with self._storage() as gfile:
            gfile.copy(str(self), str(local), overwrite=True)

    @contextmanager
    def _storage(self) -> Iterator[Any]:
        """`tf.io.gfile`, whose errors become those of Python."""
        import tensorflow as tf

        _require_known(self.scheme)
        try:
            yield tf.io.gfile
        except tf.errors.NotFoundError:
            raise FileNotFoundError(f"There is no file {self}.") from None
        except tf.errors.OpError as error:
            raise OSError(f"{self} cannot be used: {error.message}") from error


#: What `as_path` gives.
AnyPath = Path | RemotePath


class _RemoteFile(io.RawIOBase):
    """A remote file for Python's buffered readers."""

    def __init__(self, path: RemotePath) -> None:
        import tensorflow as tf

        self._path = path
        with path._storage():
            self._file = tf.io.gfile.GFile(str(path), "rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._path._storage():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def as_path(path: "str | os.PathLike[str] | RemotePath") -> AnyPath:
    """What the user named, as a local path or a remote one.

    Raises:
        ValueError: a URL went through `pathlib.Path` before, which damages it.

    Example:
    >>> as_path("gs://bucket/shards"), as_path("runs/shards"), as_path("file:///tmp/shards")
    (RemotePath('gs://bucket/shards'), PosixPath('runs/shards'), PosixPath('/tmp/shards'))
    """
    if isinstance(path, RemotePath):
        return path
    text = os.fspath(path)
    if found := _URL.fullmatch(text):
        return Path(found[2]) if found[1].lower() == "file" else RemotePath(text)
    if isinstance(path, Path) and _COLLAPSED_URL.match(text) and not Path(path.parts[0]).exists():
        raise ValueError(
            "A URL must be given as a text, for pathlib takes one of its slashes away. "
            f"Received: {path!r}."
        )
    return Path(path)


def local_path(path: "str | os.PathLike[str] | RemotePath", name: str) -> Path:
    """What the user named, where only a local path will do.

    Args:
        path: what was named.
        name: what it is called in the error, at its beginning.

    Raises:
        ValueError: it is a URL.
    """
    found = as_path(path)
    if isinstance(found, RemotePath):
        raise ValueError(f"{name} must be a local path. Received: {found}.")
    return found


def path_from(folder: AnyPath, stated: str) -> AnyPath:
    """The place that a file in `folder` states: a URL, an absolute path, or one from there on.

    Example:
    >>> path_from(Path("/data"), "gs://bucket/videos"), path_from(Path("/data"), "videos")
    (RemotePath('gs://bucket/videos'), PosixPath('/data/videos'))
    """
    if _URL.fullmatch(stated) or Path(stated).is_absolute():
        return as_path(stated)
    return folder / stated


def is_inside(path: AnyPath, folder: AnyPath) -> bool:
    """Whether a path is a folder or lies in it; a remote one never lies in a local one.

    Example:
    >>> is_inside(Path("/data/1.mp4"), Path("/data")), is_inside(Path("/data"), as_path("gs://data"))
    (True, False)
    """
    if isinstance(path, RemotePath):
        return path.is_relative_to(folder)
    return isinstance(folder, Path) and path.is_relative_to(folder)


def place_in(path: AnyPath, folder: AnyPath) -> str:
    """The way from a folder to a path in it, with forward slashes.

    Raises:
        ValueError: the path does not lie in the folder.

    Example:
    >>> place_in(as_path("gs://bucket/videos/run/1.mp4"), as_path("gs://bucket/videos"))
    'run/1.mp4'
    """
    if not is_inside(path, folder):
        raise ValueError(f"{path} must lie in {folder}.")
    return path.relative_to(folder).as_posix()  # type: ignore[arg-type]  # of the same kind


def entries_of(folder: AnyPath) -> list[AnyPath]:
    """What lies in a folder, in the order of the names.

    Raises:
        OSError: there is no such folder, or it cannot be read.
    """
    entries: Iterable[AnyPath] = folder.iterdir()
    return sorted(entries, key=str)


def file_in_folder(path: "AnyPath | str", name: str) -> AnyPath:
    """The file that is meant by its own path, or by that of the folder in which it lies.

    Args:
        path: of the file or of the folder. A remote one is told by its ending, since some
            storages, such as http, know no folders.
        name: of the file in the folder.

    Example:
    >>> file_in_folder("gs://bucket/shards", "manifest.json")
    RemotePath('gs://bucket/shards/manifest.json')
    """
    path = as_path(path)
    if isinstance(path, RemotePath):
        is_folder = path.suffix != Path(name).suffix
    else:
        is_folder = path.is_dir()
    return path / name if is_folder else path


@functools.cache
def _require_known(scheme: str) -> None:
    """Refuses a kind of storage that TensorFlow does not know, also with its plugins."""
    if scheme in _known_schemes():
        return
    try:
        with warnings.catch_warnings():
            # On another TensorFlow than its own it warns, and the storages stay unknown.
            warnings.simplefilter("ignore")
            import tensorflow_io  # noqa: F401  makes its storages known to TensorFlow
    except (ImportError, NotImplementedError):
        pass
    if scheme not in (known := _known_schemes()):
        raise ValueError(
            f"The storage must be one that TensorFlow knows here: {', '.join(known)}. "
            f"Received: {scheme}://. Those of tensorflow-io (s3, az, http and others) are known "
            f"where it loads: `{INSTALL_COMMAND}`."
        )


def _known_schemes() -> list[str]:
    import tensorflow as tf

    schemes = (
        str(scheme, "utf-8") if isinstance(scheme, bytes) else scheme
        for scheme in tf.io.gfile.get_registered_schemes()
    )
    return sorted({scheme for scheme in schemes if scheme})
