"""A full disk ends an extraction with one sentence, and costs nothing that was finished."""

import contextlib
import errno
import os
import random
import resource
import subprocess
from pathlib import Path

import pytest
from extraction_testing import bytes_of, make_clips, small_backbone

from cham_keras.cli.main import run_command
from cham_keras.data.backbones.backbones import Backbone
from cham_keras.data.clip_list import ClipList, write_clip_list
from cham_keras.data.extraction.extraction import extract, partial_folder

SETTINGS = {"clips_per_shard": 2, "command": "cham extract"}
FULL = "No space left on device"


@pytest.fixture(scope="module")
def clip_list(tmp_path_factory) -> ClipList:
    return make_clips(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return small_backbone()


@pytest.fixture(scope="module")
def unbroken(clip_list, backbone, tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("unbroken") / "shards"
    extract(clip_list, out, backbone, **SETTINGS)
    return bytes_of(out)


@contextlib.contextmanager
def disk_with(num_bytes: int):
    """A disk that takes so many bytes more; the last write before it is full is cut."""

    def write_all(file, data: bytes) -> None:
        nonlocal num_bytes
        file.write(data[:num_bytes])
        if len(data) > num_bytes:
            num_bytes = 0
            raise OSError(errno.ENOSPC, FULL)
        num_bytes -= len(data)

    def write_text(path: Path, text: str) -> None:
        with path.open("wb", buffering=0) as file:
            write_all(file, text.encode())

    with pytest.MonkeyPatch.context() as patch:
        for module in ("journal", "tfrecord_file"):
            patch.setattr(f"cham_keras.data.shards.{module}.write_all", write_all)
        patch.setattr(Path, "write_text", write_text)
        yield


def check_sentence(error: OSError, out: Path) -> None:
    said = str(error)
    assert f"{partial_folder(out)} cannot be written" in said
    assert FULL in said
    assert "run the same command again" in said
    assert "\n" not in said


@pytest.mark.parametrize("number", range(8))
def test_wherever_the_disk_is_full_the_same_command_goes_on_after_space_is_made(
    clip_list, backbone, unbroken, tmp_path, number
):
    # The shards and the manifest are not all: the journal is about as large.
    needed = sum(map(len, unbroken.values())) + 2500
    space = (number * needed + random.Random(number).randrange(needed)) // 8
    out = tmp_path / "shards"
    with disk_with(space), pytest.raises(OSError) as error:
        extract(clip_list, out, backbone, **SETTINGS)
    check_sentence(error.value, out)
    assert [path.name for path in tmp_path.iterdir()] == ["shards.partial"]
    # Some space more, and full again.
    with disk_with(700), contextlib.suppress(OSError):
        extract(clip_list, out, backbone, **SETTINGS)
    if not out.exists():
        extract(clip_list, out, backbone, **SETTINGS)
    assert bytes_of(tmp_path) == {f"shards/{name}": data for name, data in unbroken.items()}


@pytest.mark.parametrize("kept", [0, 100])
def test_a_disk_that_is_full_from_the_start_is_told_in_the_same_words(
    clip_list, backbone, tmp_path, kept
):
    with disk_with(kept), pytest.raises(OSError) as error:
        extract(clip_list, tmp_path / "shards", backbone, **SETTINGS)
    check_sentence(error.value, tmp_path / "shards")


def test_a_disk_that_is_full_when_the_manifest_is_written_leaves_no_half_of_it(
    clip_list, backbone, unbroken, tmp_path, monkeypatch
):
    out = tmp_path / "shards"

    def write_text(path: Path, text: str) -> None:
        path.write_bytes(text.encode()[:50])
        raise OSError(errno.ENOSPC, FULL, str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write_text)
        with pytest.raises(OSError) as error:
            extract(clip_list, out, backbone, **SETTINGS)
    check_sentence(error.value, out)
    assert not out.exists()
    assert not list(partial_folder(out).glob("*manifest*"))
    extract(clip_list, out, backbone, **SETTINGS)
    assert bytes_of(out) == unbroken


def test_a_disk_that_turns_out_full_when_a_shard_is_synced_is_told_in_the_same_words(
    clip_list, backbone, unbroken, tmp_path, monkeypatch
):
    def fsync(file) -> None:
        raise OSError(errno.ENOSPC, FULL)

    out = tmp_path / "shards"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError) as error:
            extract(clip_list, out, backbone, **SETTINGS)
    check_sentence(error.value, out)
    extract(clip_list, out, backbone, **SETTINGS)
    assert bytes_of(out) == unbroken


def test_the_operating_systems_own_limit_on_a_files_size(clip_list, backbone, unbroken, tmp_path):
    out = tmp_path / "shards"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=r"shards.partial cannot be written: File too large\. "):
            extract(clip_list, out, backbone, **SETTINGS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not out.exists()
    assert max(path.stat().st_size for path in partial_folder(out).iterdir()) == 1000
    extract(clip_list, out, backbone, **SETTINGS)
    assert bytes_of(out) == unbroken


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "cham-test", str(folder)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs the program mount")
    if result.returncode:
        pytest.skip(f"needs the right to mount a file system: {result.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_truly_full_ends_the_command_with_2_and_one_sentence(
    clip_list, small_disk, tmp_path, capsys
):
    write_clip_list(clip_list, tmp_path / "clips.json")
    command = ["extract", str(tmp_path / "clips.json"), "--backbone", "filter_bank"]
    command += ["--image-size", "64", "--dtype", "float32"]  # 80 KiB of features
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(32 * 1024))
    out = small_disk / "shards"
    assert run_command([*command, "--out", str(out)]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"cham: {partial_folder(out)} cannot be written: {FULL}. ")
    assert not out.exists()
    ballast.unlink()
    assert run_command([*command, "--out", str(out)]) == 2  # still too little
    assert "finished clip(s) are kept there" in capsys.readouterr().err
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    assert run_command([*command, "--out", str(out)]) == 0
    assert run_command([*command, "--out", str(tmp_path / "unbroken")]) == 0
    found, expected = bytes_of(out), bytes_of(tmp_path / "unbroken")
    assert {name for name in found if found[name] != expected[name]} <= {"manifest.json"}
    assert found.keys() == expected.keys()
