"""The folder in which the workers of an extraction meet.

Comes in: records of clips, from any worker. Goes out: shards. `pipeline` works in it, and
`extraction` makes it, reads the result and removes it.

    clips.json, job.json      what is to be done
    clips/00012/00012345-<attempt>.tfrecord   the record of clip 12345
    clips/00012/00012345.json                 says that it is finished, and in which file
    attempts/                 files that are being written
    shards/                   what becomes the output folder
    result.json               what came of each clip, and the shards' checksums

A runner may give the same work to two workers, or again after a fault. So each attempt
writes files of its own, and what one has finished is put in place by renaming. As TFRecord
files can be joined, a shard is its clips' files one behind the other, and no record goes
through the runner.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cham_keras.data.clip_list import CLIP_LIST_FILE
from cham_keras.data.extraction.beam.shard_plan import Entry, PlannedShard
from cham_keras.data.shards.tfrecord_file import TFRecordFile
from cham_keras.files import read_json

_CLIPS_PER_FOLDER = 1000
_BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class WorkFolder:
    """The folder.

    Attributes:
        path: where it lies; absolute, and the same for all workers.

    Example:
    >>> import tempfile
    >>> folder = WorkFolder(Path(tempfile.mkdtemp()))
    >>> entry = folder.write_clip({"position": 0, "clip": "a.mp4"}, b"record")
    >>> entry == folder.finished_clip(0)
    True
    >>> folder.finished_clip(1) is None
    True
    """

    path: Path

    @property
    def clip_list(self) -> Path:
        """The clip list."""
        return self.path / CLIP_LIST_FILE

    @property
    def job(self) -> Path:
        """What decides the records."""
        return self.path / "job.json"

    @property
    def shards(self) -> Path:
        """What becomes the output folder."""
        return self.path / "shards"

    def write_clip(self, entry: Entry, record: bytes) -> Entry:
        """Keeps the record of a finished clip.

        Args:
            entry: what is known of the clip.
            record: its `tf.train.Example`.

        Returns:
            the entry with `bytes` and `file`.

        Raises:
            OSError: the disk is full, say.
        """
        position = entry["position"]
        path = self._of_clip(position, f"-{uuid.uuid4().hex}.tfrecord")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = TFRecordFile(path)
            try:
                file.write(record)
                file.sync()
            finally:
                file.close()
            name = path.relative_to(self.path).as_posix()
            entry = {**entry, "bytes": file.num_bytes, "file": name}
            self._write_json(self._of_clip(position, ".json"), entry)
        except BaseException:
            path.unlink(missing_ok=True)  # what is no use to anyone must not fill the disk
            raise
        return entry

    def finished_clip(self, position: int) -> Entry | None:
        """The entry of a clip that some attempt has finished."""
        path = self._of_clip(position, ".json")
        if not path.is_file():
            return None
        entry = read_json(path)
        record = self.path / entry["file"]
        # A machine that went down may have kept one file and lost the other.
        return entry if record.is_file() and record.stat().st_size == entry["bytes"] else None

    def write_shard(self, shard: PlannedShard) -> str:
        """Joins the files of a shard's clips.

        Returns:
            the shard's SHA-256, in hexadecimal digits.

        Raises:
            OSError: a clip's file cannot be read, the shard cannot be written, or its size
                is not as planned.
        """
        checksum = hashlib.sha256()
        with self._put_in_place(self.shards / shard.file) as temporary:
            with temporary.open("wb") as file:
                for name in shard.clip_files:
                    with (self.path / name).open("rb") as clip:
                        while block := clip.read(_BLOCK_BYTES):
                            file.write(block)
                            checksum.update(block)
            num_bytes = temporary.stat().st_size
            if num_bytes != shard.num_bytes:
                raise OSError(
                    f"{shard.file} must have {shard.num_bytes} bytes. Received: {num_bytes}; "
                    f"files in {self.path} were changed"
                )
        return checksum.hexdigest()

    def stop(self) -> None:
        """Asks all workers to begin nothing more."""
        self._write_json(self.path / "stop.json", {})

    def must_stop(self) -> bool:
        """Whether some worker asked for that."""
        return (self.path / "stop.json").is_file()

    def write_result(self, entries: list[Entry], sha256_of_file: dict[str, str]) -> None:
        """Keeps what came of it all, for the program that started the pipeline."""
        result = {"entries": entries, "sha256_of_file": sha256_of_file}
        self._write_json(self.path / "result.json", result)

    def read_result(self) -> tuple[list[Entry], dict[str, str]]:
        """What `write_result` kept.

        Raises:
            FileNotFoundError: the pipeline did not come to its end.
        """
        result = read_json(self.path / "result.json")
        return result["entries"], result["sha256_of_file"]

    @contextmanager
    def errors_told(self) -> Iterator[None]:
        """Keeps an error's sentence, which runners bury in tracebacks of their own."""
        try:
            yield
        except (OSError, ValueError) as error:
            told = {"is_value_error": isinstance(error, ValueError), "sentence": str(error)}
            with suppress(OSError):  # the disk may be full; the first error matters
                self._write_json(self.path / "trouble.json", told)
            raise

    def trouble(self) -> tuple[type[ValueError] | type[OSError], str] | None:
        """The error that `errors_told` kept last: its type and sentence."""
        path = self.path / "trouble.json"
        if not path.is_file():
            return None
        told = read_json(path)
        return (ValueError if told["is_value_error"] else OSError), told["sentence"]

    def forget_clips(self) -> None:
        """Removes all finished clips."""
        if (self.path / "clips").is_dir():
            shutil.rmtree(self.path / "clips")

    def forget_outcome(self) -> None:
        """Removes what an earlier run left that is no finished clip."""
        for name in ("stop", "result", "trouble"):
            (self.path / f"{name}.json").unlink(missing_ok=True)
        for folder in (self.path / "attempts", self.shards):
            if folder.is_dir():
                for file in folder.iterdir():
                    file.unlink()

    def _of_clip(self, position: int, ending: str) -> Path:
        folder = self.path / "clips" / f"{position // _CLIPS_PER_FOLDER:05d}"
        return folder / f"{position:08d}{ending}"

    def _write_json(self, path: Path, value: Any) -> None:
        with self._put_in_place(path) as temporary:
            temporary.write_text(json.dumps(value))

    @contextmanager
    def _put_in_place(self, path: Path) -> Iterator[Path]:
        # Not files.replacing_file, whose names tell the processes of one machine apart only.
        path.parent.mkdir(parents=True, exist_ok=True)
        attempts = self.path / "attempts"
        attempts.mkdir(exist_ok=True)
        temporary = attempts / uuid.uuid4().hex
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
