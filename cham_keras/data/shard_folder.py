"""A folder of shards in the making, which can be continued after a kill.

Comes in: clips with features, one after the other. Goes out: closed shards with their
manifest. `shards.write_shards` and `extraction.extract` write through it.

What is finished stands in a journal, a line a clip, written after the clip's record. So
after a kill the journal may lag behind the files, never the other way round: what lies
behind the last line is cut off, and the same clips give the same bytes as without a kill.
"""

import fcntl
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cham_keras.data import shard_schema as schema
from cham_keras.data.backbone_spec import BackboneSpec
from cham_keras.data.clip_list import SPLITS
from cham_keras.data.clip_record import ClipFeatures, record_of_clip
from cham_keras.data.manifest import ShardInfo, SplitInfo, UnreadableClip
from cham_keras.data.stored_features import StorageError
from cham_keras.data.tfrecord_file import FRAMING_BYTES, TFRecordFile
from cham_keras.files import write_all

JOURNAL_FILE = "journal.jsonl"


class ShardFolder:
    """Writes shards into a folder; use it as a context manager.

    A shard is closed as soon as it holds `shard_bytes` or `clips_per_shard` clips.

    Args:
        folder: where to write. What a killed program left there is continued.
        classes: names of the classes.
        backbone: what the features were computed with.
        feature_dtype: a dtype of `shard_schema.BYTES_OF_DTYPE`.
        shard_bytes: size at which a shard is closed.
        clips_per_shard: number of clips at which a shard is closed; None for any.
        job: whatever else decides what is written, as JSON. A folder that was begun for
            another job is not continued.

    Attributes:
        entries: what the journal says of each finished clip, in order.

    Raises:
        ValueError: the folder was begun for another job.
        BlockingIOError: another process writes here.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        backbone: BackboneSpec,
        feature_dtype: str,
        shard_bytes: int,
        clips_per_shard: int | None = None,
        job: dict[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.classes = tuple(classes)
        self.feature_shape = backbone.feature_shape
        self.feature_dtype = feature_dtype
        self.shard_bytes = shard_bytes
        self.clips_per_shard = clips_per_shard
        self.entries: list[dict[str, Any]] = []
        self._splits = {split: _SplitInMaking() for split in SPLITS}
        self._files: dict[str, TFRecordFile] = {}  # the open shard of each split
        self._journal: Any = None
        self._job = job or {}

    def __enter__(self) -> "ShardFolder":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._journal = (self.folder / JOURNAL_FILE).open("a+b", buffering=0)
        try:
            self._lock()
            self._continue()
        except BaseException:
            self._journal.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()
        self._journal.close()

    def write(self, clip: ClipFeatures | UnreadableClip, **facts: Any) -> None:
        """Writes a clip's record and then its line in the journal.

        Args:
            clip: the clip.
            **facts: more to keep in its line.

        Raises:
            ValueError: the clip breaks a rule of `record_of_clip`.
            OSError: the disk is full, say.
        """
        if isinstance(clip, UnreadableClip):
            entry: dict[str, Any] = {"unreadable": clip.path, "reason": clip.reason, **facts}
        else:
            record, stored = record_of_clip(
                clip, self.classes, self.feature_shape, self.feature_dtype
            )
            entry = {
                "clip": clip.id,
                "split": clip.split,
                "label": clip.label,
                "frames": len(stored.frames),
                "bytes": len(record) + FRAMING_BYTES,
                "largest_error": stored.largest_error,
                "squared_error": stored.squared_error,
                "squared_norm": stored.squared_norm,
                **facts,
            }
            with self._told_what_is_kept():
                self._file_of(clip.split).write(record)
        with self._told_what_is_kept():
            write_all(self._journal, json.dumps(entry).encode() + b"\n")
        self._count(entry)

    def unreadable(self) -> tuple[UnreadableClip, ...]:
        """The clips that could not be read."""
        return tuple(
            UnreadableClip(entry["unreadable"], entry["reason"])
            for entry in self.entries
            if "unreadable" in entry
        )

    def storage_error(self) -> StorageError:
        """How far all that was stored is from what was computed."""
        written = [entry for entry in self.entries if "clip" in entry]
        error = math.fsum(entry["squared_error"] for entry in written)
        norm = math.fsum(entry["squared_norm"] for entry in written)
        return StorageError(
            largest=max((entry["largest_error"] for entry in written), default=0.0),
            relative_rms=math.sqrt(error / norm) if norm else 0.0,
        )

    def close_shards(self) -> dict[str, SplitInfo]:
        """Gives the shards their names, which tell how many there are.

        Returns:
            the splits that have clips.
        """
        return {
            name: SplitInfo(
                clips=split.clips,
                frames=split.frames,
                clips_per_class={c: split.clips_per_class.get(c, 0) for c in self.classes},
                shards=tuple(self._named_shards(name, split)),
            )
            for name, split in self._splits.items()
            if split.clips
        }

    def _named_shards(self, name: str, split: "_SplitInMaking") -> Iterator[ShardInfo]:
        if name in self._files:
            self._close_file(name)
        for index, shard in enumerate(split.shards):
            file = schema.shard_file_name(name, index, len(split.shards))
            self._unfinished(name, index).rename(self.folder / file)
            yield ShardInfo(file, shard.clips, shard.num_bytes, shard.sha256)

    @staticmethod
    def is_of_job(folder: Path, job: dict[str, Any]) -> bool:
        """Whether a folder was begun for a job, so that it can be continued."""
        path = folder / JOURNAL_FILE
        if not path.is_file():
            return False
        with path.open("rb") as file:
            line = file.readline()
        return line.endswith(b"\n") and json.loads(line)["job"] == json.loads(json.dumps(job))

    @contextmanager
    def _told_what_is_kept(self) -> Iterator[None]:
        """Adds to an error of the disk where it happened and what is not lost."""
        try:
            yield
        except OSError as error:
            raise OSError(
                f"{self.folder} cannot be written: {error.strerror}. {len(self.entries)} finished "
                "clip(s) are kept there; mend that and run the same command again to go on."
            ) from error

    def _lock(self) -> None:
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                f"Only one program at a time may write {self.folder}. Another one does so now."
            ) from None

    def _continue(self) -> None:
        """Takes up what the journal says is finished; begins a new one where there is none."""
        self._journal.seek(0)
        # What a kill left of the last line has no end of line.
        lines = self._journal.read().split(b"\n")[:-1]
        if not lines:
            self._journal.truncate(0)
            write_all(self._journal, json.dumps({"job": self._job}).encode() + b"\n")
            return
        begun = json.loads(lines[0])["job"]
        job = json.loads(json.dumps(self._job))  # tuples are lists there
        if begun != job:
            names = [name for name in job if begun.get(name) != job[name]]
            raise ValueError(
                f"{self.folder} holds what another command began: {', '.join(names)} differ(s). "
                "Run that command again to finish it, remove the folder, or pass --overwrite."
            )
        self._journal.truncate(sum(len(line) + 1 for line in lines))
        for line in lines[1:]:
            self._count(json.loads(line), reopening=True)
        for name, split in self._splits.items():
            for index, shard in enumerate(split.shards):
                self._reopen(name, index, shard, is_open=shard is split.shards[-1])

    def _reopen(self, name: str, index: int, shard: "_ShardInMaking", is_open: bool) -> None:
        path = self._unfinished(name, index)
        # A kill while the shards got their last names.
        for named in self.folder.glob(f"{name}-{index:05d}-of-*.tfrecord"):
            named.rename(path)
        file = TFRecordFile(path, shard.num_bytes)
        shard.sha256 = file.sha256
        if is_open and not self._is_full(shard):
            self._files[name] = file
        else:
            file.close()

    def _count(self, entry: dict[str, Any], reopening: bool = False) -> None:
        self.entries.append(entry)
        if "clip" not in entry:
            return
        name = entry["split"]
        split = self._splits[name]
        if not split.shards or self._is_full(split.shards[-1]):
            split.shards.append(_ShardInMaking())
        shard = split.shards[-1]
        shard.clips += 1
        shard.num_bytes += entry["bytes"]
        split.clips += 1
        split.frames += entry["frames"]
        label = self.classes[entry["label"]]
        split.clips_per_class[label] = split.clips_per_class.get(label, 0) + 1
        if self._is_full(shard) and not reopening:
            self._close_file(name)

    def _is_full(self, shard: "_ShardInMaking") -> bool:
        return shard.num_bytes >= self.shard_bytes or shard.clips == self.clips_per_shard

    def _file_of(self, name: str) -> TFRecordFile:
        if name not in self._files:
            path = self._unfinished(name, len(self._splits[name].shards))
            self._files[name] = TFRecordFile(path)
        return self._files[name]

    def _close_file(self, name: str) -> None:
        file = self._files.pop(name)
        file.sync()
        file.close()
        self._splits[name].shards[-1].sha256 = file.sha256

    def _unfinished(self, name: str, index: int) -> Path:
        return self.folder / f"{name}-{index:05d}.tfrecord"


class _ShardInMaking:
    """What is known of a shard."""

    def __init__(self) -> None:
        self.clips = 0
        self.num_bytes = 0
        self.sha256 = ""


class _SplitInMaking:
    """What is known of a split."""

    def __init__(self) -> None:
        self.clips = 0
        self.frames = 0
        self.clips_per_class: dict[str, int] = {}
        self.shards: list[_ShardInMaking] = []
