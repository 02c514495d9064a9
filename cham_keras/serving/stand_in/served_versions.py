"""The versions of one model: found on disk, loaded, served, dropped.

Comes in: the model's base folder, looked at again and again. Goes out: for each request the
version that answers it, and for each version the state that a model server reports. The gRPC
and the REST side of the stand-in ask this.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.stand_in.loaded_version import LoadedVersion
from cham_keras.serving.stand_in.version_folders import fingerprint, version_folders

INVALID_ARGUMENT = 3
NOT_FOUND = 5

# The numbers of tensorflow.serving.ModelVersionStatus.State.
LOADING, AVAILABLE, UNLOADING, END = 20, 30, 40, 50


@dataclass(frozen=True)
class VersionState:
    """What is reported of a version: its state and, where it could not be loaded, why."""

    state: int
    code: int = 0
    message: str = ""


class ServedVersions:
    """The newest version of a model is served; a newer one takes its place when it is loaded.

    A version that cannot be loaded is reported and left alone until a file in its folder
    changes; the older one stays.

    Args:
        name: the model's name.
        base: folder with a folder for each version, whose name is a number.
        log: is called with a sentence for each event.
        poll_seconds: how often the folder is looked at.
        loading: further arguments of `LoadedVersion`.
    """

    def __init__(
        self,
        name: str,
        base: Path,
        *,
        log: Callable[[str], None],
        poll_seconds: float = 1.0,
        **loading: Any,
    ) -> None:
        """Loads nothing yet; `look` and `start` do."""
        self.name = name
        self.base = Path(base)
        self._log = log
        self._poll_seconds = poll_seconds
        self._loading = loading
        self._lock = threading.Lock()
        self._loaded: dict[int, LoadedVersion] = {}
        self._states: dict[int, VersionState] = {}
        self._refused: dict[int, frozenset] = {}
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="versions", daemon=True)

    def start(self) -> None:
        """Looks at the folder every so often, in a thread, until `stop`."""
        self._watcher.start()

    def stop(self) -> None:
        """Ends the thread and frees the versions when their requests have ended."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        for number in sorted(self._loaded):
            self._drop(number)

    def look(self) -> None:
        """Looks at the folder once: loads what is newest, and drops what it replaces."""
        folders = version_folders(self.base)
        for number in set(self._refused) - set(folders):
            del self._refused[number]
        newest = max(folders, default=None)
        if newest is not None and newest not in self._loaded:
            self._load(newest, folders[newest])
        if newest is None or newest in self._loaded:
            for number in sorted(set(self._loaded) - {newest}):
                self._drop(number)

    @contextmanager
    def version(
        self, name: str, number: int | None = None, label: str = ""
    ) -> Iterator[LoadedVersion]:
        """Yields the version that a request asks for, and keeps it loaded meanwhile.

        Args:
            name: the model's name in the request.
            number: the version's number; the newest by default.
            label: the version's label; the stand-in has none.

        Yields:
            a `LoadedVersion`.

        Raises:
            StatusError: there is no such model, version or label.
        """
        if not name:
            raise StatusError(INVALID_ARGUMENT, "ModelSpec has no name specified.")
        if label:
            raise StatusError(INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
        with self._lock:
            wanted = max(self._loaded, default=None) if number is None else number
            loaded = self._loaded.get(wanted) if wanted is not None else None
            if name != self.name or loaded is None:
                asked = f"Latest({name})" if number is None else f"Specific({name}, {number})"
                raise StatusError(NOT_FOUND, f"Servable not found for request: {asked}")
            loaded.acquire()
        try:
            yield loaded
        finally:
            loaded.release()

    def states(self, name: str, number: int | None = None) -> dict[int, VersionState]:
        """The states of a model's versions, the newest first.

        Raises:
            StatusError: there is no such model or version.
        """
        with self._lock:
            states = dict(self._states) if name == self.name else {}
        if number is not None:
            if number not in states:
                raise StatusError(NOT_FOUND, f"Could not find version {number} of model {name}")
            return {number: states[number]}
        if not states:
            raise StatusError(NOT_FOUND, f"Could not find any versions of model {name}")
        return dict(sorted(states.items(), reverse=True))

    def _watch(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            try:
                self.look()
            except Exception as error:  # the watch must outlive whatever one look meets
                self._log(f"Looking at {self.base} failed: {type(error).__name__}: {error}")

    def _load(self, number: int, folder: Path) -> None:
        found = fingerprint(folder)
        if self._refused.get(number) == found:
            return
        self._refused.pop(number, None)
        self._set_state(number, VersionState(LOADING))
        try:
            loaded = LoadedVersion(number, folder, **self._loading)
        except Exception as error:  # whatever is wrong with a version, the older one stays
            code = error.code if isinstance(error, StatusError) else INVALID_ARGUMENT
            self._refused[number] = found
            self._set_state(number, VersionState(END, code, str(error)))
            self._log(f"Version {number} of {self.name} cannot be served: {error}")
            return
        with self._lock:
            self._loaded[number] = loaded
            self._states[number] = VersionState(AVAILABLE)
        self._log(
            f"Version {number} of {self.name} is served; it has answered "
            f"{loaded.warmup_records} warm-up requests."
        )

    def _drop(self, number: int) -> None:
        with self._lock:
            loaded = self._loaded.pop(number)
            self._states[number] = VersionState(UNLOADING)
        loaded.close()  # after the last request on it
        self._set_state(number, VersionState(END))
        self._log(f"Version {number} of {self.name} is no longer served.")

    def _set_state(self, number: int, state: VersionState) -> None:
        with self._lock:
            self._states[number] = state
