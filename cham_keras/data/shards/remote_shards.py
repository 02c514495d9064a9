"""Shards that go to remote storage, one by one as they are finished.

Comes in: finished shards in the local working folder of an extraction. Goes out: the same on
remote storage, under their last names when all are there, and the manifest after them; so a
folder without a manifest is no data set. `shard_folder` and `extraction` call it.

Shards grow in a local folder, since object stores cannot append. What was uploaded is noted
there, so that a killed extraction uploads no shard twice and needs the disk for open shards only.
"""

from pathlib import Path
from typing import Any

from cham_keras.data.shards.shard_schema import MANIFEST_FILE
from cham_keras.files import read_json, write_json
from cham_keras.paths import RemotePath

_NOTES_FILE = "uploads.json"
# How the shards' names end until all are there: their last names tell how many there are.
_PARTIAL = ".tfrecord.partial"


class RemoteShards:
    """The shards of one extraction on remote storage.

    Args:
        out: the folder there.
        working: the local working folder.

    Raises:
        ValueError: TensorFlow does not know the kind of storage.
        OSError: the storage cannot be used.
    """

    def __init__(self, out: RemotePath, working: Path) -> None:
        self.out = out
        self._notes = working / _NOTES_FILE

    def check_out(self, overwrite: bool) -> None:
        """Refuses a folder that holds something else than this extraction's shards.

        Raises:
            FileExistsError: it does, and `overwrite` is false.
        """
        if overwrite or not self.out.is_dir():
            return
        ours = (_PARTIAL, ".tfrecord") if self._is_naming() else (_PARTIAL,)
        others = [path.name for path in self.out.iterdir() if not path.name.endswith(ours)]
        if others:
            raise FileExistsError(
                f"The output folder must be new or empty. Received: {self.out}, which holds "
                f"{others[0]}. Name another folder, or pass --overwrite to replace it."
            )

    def forget(self) -> None:
        """Begins anew: what an earlier job uploaded counts no more."""
        self._notes.unlink(missing_ok=True)

    def put(self, shard: Path, sha256: str) -> None:
        """Uploads a finished shard and removes the local file.

        Raises:
            OSError: the storage cannot be written. The local file stays then.
        """
        self._unfinished(shard.name).upload(shard)
        self._note({"shard": shard.name, "bytes": shard.stat().st_size, "sha256": sha256})
        shard.unlink()

    def sha256_of(self, name: str) -> str | None:
        """Checksum of a shard that an earlier run uploaded, or None where none did.

        Raises:
            ValueError: it did, and what it uploaded is gone or has another size.
        """
        notes = [note for note in self._read_notes() if note.get("shard") == name]
        if not notes:
            return None
        unfinished = self._unfinished(name)
        if self._is_naming() and not unfinished.is_file():
            # The earlier run ended while the shards got their last names; older ones are gone then.
            for named in self.out.glob(f"{name.removesuffix('.tfrecord')}-of-*.tfrecord"):
                named.replace(unfinished)
        if not unfinished.is_file() or unfinished.stat().st_size != notes[-1]["bytes"]:
            raise ValueError(
                f"{unfinished} must be as an earlier run uploaded it, and is gone or has another "
                f"size. Remove {self._notes.parent} and run the same command again."
            )
        return notes[-1]["sha256"]

    def begin_naming(self) -> None:
        """Removes the data set that is replaced, before the shards get their last names."""
        self._note({"naming": True})
        (self.out / MANIFEST_FILE).unlink(missing_ok=True)
        for old in self.out.glob("*.tfrecord"):
            old.unlink()

    def give_name(self, name: str, file: str) -> None:
        """Gives a shard its last name."""
        self._unfinished(name).replace(self.out / file)

    def finish(self, manifest: Path) -> None:
        """Removes what an abandoned extraction left there, and uploads the manifest."""
        for left in self.out.glob(f"*{_PARTIAL}"):
            left.unlink()
        (self.out / MANIFEST_FILE).upload(manifest)

    def _unfinished(self, name: str) -> RemotePath:
        return self.out / f"{name.removesuffix('.tfrecord')}{_PARTIAL}"

    def _is_naming(self) -> bool:
        return any("naming" in note for note in self._read_notes())

    def _read_notes(self) -> list[dict[str, Any]]:
        return read_json(self._notes) if self._notes.is_file() else []

    def _note(self, note: dict[str, Any]) -> None:
        write_json(self._notes, [*self._read_notes(), note])
