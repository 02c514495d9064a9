"""Files appear whole or not at all, and paths may be URLs."""

import uuid
from pathlib import Path

import pytest

from cham_keras.files import read_json, replacing_file, replacing_folder, write_json
from cham_keras.paths import RemotePath, as_path, entries_of, file_in_folder, place_in


@pytest.fixture
def remote() -> RemotePath:
    """A folder of TensorFlow's storage in memory."""
    return RemotePath(f"ram://{uuid.uuid4().hex}")


@pytest.fixture(params=["local", "remote"])
def folder(request, tmp_path, remote):
    return tmp_path / "folder" if request.param == "local" else remote


def test_a_file_appears_when_it_is_whole(folder):
    with replacing_file(folder / "a.txt") as temporary:
        temporary.write_text("whole", encoding="utf-8")
        assert not (folder / "a.txt").exists()
    assert (folder / "a.txt").read_text() == "whole"
    assert [path.name for path in entries_of(folder)] == ["a.txt"]


def test_a_file_that_is_given_up_leaves_the_old_one(folder):
    write_json(folder / "a.json", {"number": 1})
    with pytest.raises(ZeroDivisionError), replacing_file(folder / "a.json") as temporary:
        temporary.write_text("{")
        raise ZeroDivisionError
    assert read_json(folder / "a.json") == {"number": 1}
    assert [path.name for path in entries_of(folder)] == ["a.json"]


def test_json_that_is_missing_or_broken_is_named(folder):
    with pytest.raises(FileNotFoundError, match=f"no file {folder}/a.json"):
        read_json(folder / "a.json")
    with replacing_file(folder / "a.json") as temporary:
        temporary.write_text("{")
    with pytest.raises(ValueError, match=f"{folder}/a.json must be JSON"):
        read_json(folder / "a.json")


def test_a_folder_appears_when_it_is_whole(tmp_path):
    with replacing_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    with pytest.raises(FileExistsError, match="must be new or empty"):
        replacing_folder(tmp_path / "out").__enter__()
    with replacing_folder(tmp_path / "out", overwrite=True) as temporary:
        (temporary / "b").write_text("2")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b"]


def test_a_folder_on_remote_storage_is_refused(remote):
    with pytest.raises(ValueError, match="The output folder must be a local path"):
        replacing_folder(remote).__enter__()


def test_a_remote_path_behaves_as_a_local_one(remote, tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 9000)
    for name in ("a.bin", "b.txt"):
        (remote / "sub" / name).upload(tmp_path / "file")
        (tmp_path / "sub").mkdir(exist_ok=True)
        (tmp_path / "sub" / name).write_bytes((tmp_path / "file").read_bytes())
    for here in (tmp_path, remote):
        file = here / "sub" / "a.bin"
        assert (file.name, file.stem, file.suffix, file.parent) == (
            "a.bin",
            "a",
            ".bin",
            here / "sub",
        )
        assert (file.exists(), file.is_file(), file.is_dir()) == (True, True, False)
        assert (file.parent.exists(), file.parent.is_file(), file.parent.is_dir()) == (
            True,
            False,
            True,
        )
        missing = here / "missing"
        assert (missing.exists(), missing.is_file(), missing.is_dir()) == (False, False, False)
        assert file.stat().st_size == 256 * 9000
        assert file.read_bytes() == (tmp_path / "file").read_bytes()
        assert sorted(path.name for path in (here / "sub").iterdir()) == ["a.bin", "b.txt"]
        assert [path.name for path in (here / "sub").glob("*.txt")] == ["b.txt"]
        assert place_in(file, here) == "sub/a.bin"
        assert file.with_name("c") == here / "sub" / "c"
        file.replace(here / "moved")
        assert ((here / "moved").is_file(), file.exists()) == (True, False)
        with pytest.raises(FileNotFoundError):
            file.stat()
        with pytest.raises(FileNotFoundError), file.open("rb") as opened:
            opened.read()
        with pytest.raises(FileNotFoundError):
            file.unlink()
        file.unlink(missing_ok=True)


def test_a_url_cannot_become_a_local_path_unnoticed():
    with pytest.raises(TypeError):
        Path(RemotePath("gs://bucket/shards"))
    with pytest.raises(ValueError, match="must be given as a text"):
        as_path(Path("gs://bucket/shards"))


def test_a_storage_that_tensorflow_does_not_know_is_told_with_what_to_install():
    with pytest.raises(ValueError, match=r'Received: zip://\..*pip install "cham-keras\[tfio\]"'):
        RemotePath("zip://bucket/shards").exists()


@pytest.mark.parametrize("part", ["/absolute", "gs://bucket"])
def test_an_absolute_path_in_a_remote_folder_is_refused(part):
    with pytest.raises(ValueError, match="must be relative"):
        RemotePath("gs://bucket/folder") / part


def test_a_remote_file_is_told_from_its_folder_by_its_ending():
    for url in ("gs://bucket/shards", "gs://bucket/shards/manifest.json"):
        assert str(file_in_folder(url, "manifest.json")) == "gs://bucket/shards/manifest.json"
