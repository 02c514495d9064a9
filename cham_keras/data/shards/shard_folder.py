"""A folder of shards in the making, which can be continued after a kill.

Comes in: clips with features, one after the other. Goes out: closed shards with their
manifest. `shards.write_shards` and `extraction.extract` write through it.

What is finished stands in a journal, a line a clip, written after the clip's record. So
after a kill the journal may lag behind the files, never the other way round: what lies
behind the last line is cut off, and the same clips give the same bytes as without a kill.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cham_keras.data.backbones.backbone_spec import BackboneSpec
from cham_keras.data.clip_list import SPLITS
from cham_keras.data.shards import shard_schema as schema
from cham_keras.data.shards.clip_record import ClipFeatures, record_of_clip
from cham_keras.data.shards.journal import Journal
from cham_keras.data.shards.manifest import ShardInfo, SplitInfo, UnreadableClip
from cham_keras.data.shards.remote_shards import RemoteShards
from cham_keras.data.shards.stored_features import StorageError
from cham_keras.data.shards.tfrecord_file import FRAMING_BYTES, TFRecordFile


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
        remote: where shards go when they are finished; None leaves them in the folder.
        overwrite: whether what was begun for another job is removed.

    Attributes:
        entries: what the journal says of each finished clip, in order.

    Raises:
        ValueError: the folder was begun for another job, or is damaged.
        FileExistsError: it holds files and no journal.
        BlockingIOError: another process writes here.
        OSError: here or from within the context: the disk is full, say.
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
        remote: RemoteShards | None = None,
        overwrite: bool = False,
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
        self._journal: Journal | None = None
        self._job = json.loads(json.dumps(job or {}))  # tuples are lists there
        self._remote = remote
        self._overwrite = overwrite

    def __enter__(self) -> "ShardFolder":
        try:
            self._journal = Journal(self.folder)
            self._continue(self._journal)
        except BaseException as error:
            self.__exit__(type(error), error)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, *trace: object
    ) -> None:
        for file in self._files.values():
            file.close()
        if self._journal is not None:
            self._journal.close()
        # The operating system's own words say neither where nor what is not lost.
        if isinstance(error, OSError) and error.strerror:
            kept = (
                f" {len(self.entries)} finished clip(s) are kept there; mend that and run the same "
                "command again to go on."
            )
            raise OSError(
                f"{self.folder} cannot be written: {error.strerror}.{kept if self._job else ''}"
            ) from error

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
            self._file_of(clip.split).write(record)
        if self._journal is not None:
            self._journal.append(entry)
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
        for name in list(self._files):
            self._close_file(name)
        if self._remote is not None:
            self._remote.begin_naming()
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
        for index, shard in enumerate(split.shards):
            file = schema.shard_file_name(name, index, len(split.shards))
            unfinished = self._unfinished(name, index)
            if self._remote is None:
                unfinished.rename(self.folder / file)
            else:
                self._remote.give_name(unfinished.name, file)
            yield ShardInfo(file, shard.clips, shard.num_bytes, shard.sha256)

    def _continue(self, journal: Journal) -> None:
        """Takes up what the journal says is finished; begins a new one where there is none."""
        lines = journal.read()
        if self._overwrite and lines[:1] != [{"job": self._job}]:
            journal.clear()
            lines = []
        if not lines:
            if self._remote is not None:
                self._remote.forget()
            journal.append({"job": self._job})
            return
        self._check_job(lines[0].get("job"), journal)
        for number, entry in enumerate(lines[1:], start=2):
            try:
                if "clip" not in entry:
                    UnreadableClip(entry["unreadable"], entry["reason"])
                self._count(entry, reopening=True)
            except (IndexError, KeyError, TypeError):
                raise journal.damaged(number) from None
        for name, split in self._splits.items():
            for index, shard in enumerate(split.shards):
                self._reopen(name, index, shard, is_open=shard is split.shards[-1])
        self._remove_leftovers()

    def _check_job(self, begun: Any, journal: Journal) -> None:
        if not isinstance(begun, dict):
            raise journal.damaged(1)
        names = [n for n in {**begun, **self._job} if begun.get(n, ...) != self._job.get(n, ...)]
        if names:
            raise ValueError(
                f"{self.folder} holds what another command began: {', '.join(names)} differ(s). "
                "Run that command again to finish it, remove the folder, or pass --overwrite."
            )

    def _remove_leftovers(self) -> None:
        """Removes what a kill left and the journal does not count: it would stay for ever."""
        counted = {
            self._unfinished(name, index)
            for name, split in self._splits.items()
            for index in range(len(split.shards))
        }
        # A manifest without its last name has the killed process's number in its own.
        for pattern in ("*.tfrecord", "manifest.json", ".manifest.*.json"):
            for path in set(self.folder.glob(pattern)) - counted:
                path.unlink()

    def _reopen(self, name: str, index: int, shard: "_ShardInMaking", is_open: bool) -> None:
        path = self._unfinished(name, index)
        if self._remote is not None and (uploaded := self._remote.sha256_of(path.name)):
            shard.sha256 = uploaded
            path.unlink(missing_ok=True)
            return
        # A kill while the shards got their last names.
        for named in self.folder.glob(f"{name}-{index:05d}-of-*.tfrecord"):
            named.rename(path)
        try:
            file = TFRecordFile(path, shard.num_bytes)
        except ValueError as error:
            raise ValueError(f"{error} Remove {self.folder} and run the command again.") from None
        shard.sha256 = file.sha256
        if is_open and not self._is_full(shard):
            self._files[name] = file
        else:
            file.close()
            self._upload(path, file.sha256)

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
        file = self._files[name]
        file.sync()
        file.close()
        del self._files[name]
        self._splits[name].shards[-1].sha256 = file.sha256
        self._upload(file.path, file.sha256)

    def _upload(self, path: Path, sha256: str) -> None:
        if self._remote is None:
            return
        try:
            self._remote.put(path, sha256)
        except OSError as error:
            raise OSError(
                f"{path.name} cannot be uploaded: {error} {len(self.entries)} finished clip(s) are "
                f"kept; mend that and run the same command again to go on."
            ) from error

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
