"""The journal of shards in the making: what was begun, and a line for each finished clip.

Comes in: one entry after the other. Goes out: the entries of an earlier run that was
killed. `shard_folder` writes and reads it. Who has it open has its folder locked.
"""

import fcntl
import json
from pathlib import Path
from typing import Any

from cham_keras.files import write_all

JOURNAL_FILE = "journal.jsonl"


def is_of_job(folder: Path, job: dict[str, Any]) -> bool:
    """Whether the journal in a folder, if there is one, was begun for a job."""
    path = folder / JOURNAL_FILE
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline() == _line({"job": job})


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"


class Journal:
    """A file of JSON, an entry a line.

    Args:
        folder: where it lies; it is made where it is missing.

    Raises:
        FileExistsError: the folder holds files and no journal, so it is somebody else's.
        BlockingIOError: another process has it open.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / JOURNAL_FILE
        folder.mkdir(parents=True, exist_ok=True)
        found = next(folder.iterdir(), None)
        if found is not None and not self.path.is_file():
            raise FileExistsError(
                f"{folder} must be new, empty, or an unfinished extraction. It holds "
                f"{found.name}. Move that elsewhere, or choose another output folder."
            )
        # Unbuffered: what was written is with the operating system, whatever kills the process.
        self._file: Any = self.path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as error:
            self._file.close()
            if isinstance(error, BlockingIOError):
                raise BlockingIOError(
                    f"Only one program at a time may write {folder}. Another one does so now."
                ) from None
            raise

    def read(self) -> list[dict[str, Any]]:
        """The entries; what a kill left of a last one is cut off.

        Raises:
            ValueError: a line is no entry.
        """
        self._file.seek(0)
        # What a kill left of the last line has no end of line.
        lines = self._file.read().split(b"\n")[:-1]
        self._file.truncate(sum(len(line) + 1 for line in lines))
        return [self._entry(number, line) for number, line in enumerate(lines, start=1)]

    def _entry(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict):
            raise self.damaged(number)
        return entry

    def damaged(self, number: int) -> ValueError:
        """What to raise where an entry, counted from 1, is none."""
        return ValueError(
            f"{self.path} is damaged in line {number} (counted from 1). "
            f"Remove {self.folder} and run the command again."
        )

    def append(self, entry: dict[str, Any]) -> None:
        """Adds an entry; None of it counts until all of it is written."""
        write_all(self._file, _line(entry))

    def clear(self) -> None:
        """Removes all entries and all other files of the folder."""
        self._file.truncate(0)
        for path in self.folder.iterdir():
            if path != self.path:
                path.unlink()

    def close(self) -> None:
        """Closes the file, and with it the lock."""
        self._file.close()
