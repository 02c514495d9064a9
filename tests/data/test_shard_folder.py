"""A folder of shards in the making: its lock, its leftovers, and what it says of a full disk."""

import errno
import json
from pathlib import Path

import pytest
from shard_testing import CLASSES, SPEC, clip_features, write_small_shards

from cham_keras.data.shards.journal import JOURNAL_FILE, is_of_job
from cham_keras.data.shards.manifest import UnreadableClip
from cham_keras.data.shards.shard_folder import ShardFolder

JOB = {"frame_stride": 1, "shape": (2, 3)}


def shard_folder(folder: Path, **arguments) -> ShardFolder:
    return ShardFolder(folder, CLASSES, SPEC, "float16", 10**6, 2, **({"job": JOB} | arguments))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_was_written_is_taken_up_again(tmp_path):
    with shard_folder(tmp_path) as shards:
        shards.write(clip_features(0, 3), position=3)
        shards.write(UnreadableClip("bad.mp4", "damaged"), position=5)
        shards.write(clip_features(1, 2, "test"), position=7)
        written = shards.entries
    with shard_folder(tmp_path) as shards:
        assert shards.entries == written
        assert shards.unreadable() == (UnreadableClip("bad.mp4", "damaged"),)
        assert shards.entries[-1]["position"] == 7
    assert is_of_job(tmp_path, JOB)
    assert not is_of_job(tmp_path, JOB | {"frame_stride": 2})
    assert not is_of_job(tmp_path / "nowhere", JOB)


def test_the_lock_ends_with_the_context_also_after_an_error(tmp_path):
    with shard_folder(tmp_path), pytest.raises(BlockingIOError, match="Only one program"):
        shard_folder(tmp_path).__enter__()
    with pytest.raises(KeyError), shard_folder(tmp_path):
        raise KeyError
    with pytest.raises(ValueError, match="frame_stride differ"):
        shard_folder(tmp_path, job=JOB | {"frame_stride": 2}).__enter__()
    with shard_folder(tmp_path):
        pass


def test_what_the_journal_does_not_count_is_removed(tmp_path):
    with shard_folder(tmp_path) as shards:
        shards.write(clip_features(0, 3))
    before = files_of(tmp_path)
    with (tmp_path / "train-00000.tfrecord").open("ab") as file:
        file.write(b"half a record")
    for name in ("train-00001.tfrecord", "test-00000-of-00001.tfrecord", "manifest.json"):
        (tmp_path / name).write_text("left by a kill")
    (tmp_path / ".manifest.4711.partial.json").write_text("left by a kill")
    (tmp_path / "uploads.json").write_text("[]")  # what shards on remote storage are noted in
    with shard_folder(tmp_path):
        pass
    assert files_of(tmp_path) == before | {"uploads.json": b"[]"}


def test_with_overwrite_another_jobs_files_are_removed_and_the_same_jobs_kept(tmp_path):
    with shard_folder(tmp_path) as shards:
        shards.write(clip_features(0, 3))
    before = files_of(tmp_path)
    with shard_folder(tmp_path, overwrite=True) as shards:
        assert len(shards.entries) == 1
    assert files_of(tmp_path) == before
    with shard_folder(tmp_path, overwrite=True, job={"other": 1}) as shards:
        assert shards.entries == []
    line = json.dumps({"job": {"other": 1}}).encode() + b"\n"
    assert files_of(tmp_path) == {JOURNAL_FILE: line}


def test_without_a_job_a_full_disk_promises_nothing(tmp_path, monkeypatch):
    """Whoever writes shards from memory cannot go on: nothing is kept."""

    def write_all(file, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cham_keras.data.shards.tfrecord_file.write_all", write_all)
    with pytest.raises(OSError, match=r"cannot be written: No space left on device\.$"):
        write_small_shards(tmp_path / "shards", [3, 2])
    assert list(tmp_path.iterdir()) == []
