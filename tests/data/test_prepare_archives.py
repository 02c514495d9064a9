"""HMDB51 as RAR archives: extracted with the tool that is there, or a sentence."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from dataset_layouts_official import HMDB51, make_hmdb51, write_rar

from cham_keras.data.prepare import archives as archives_module
from cham_keras.data.prepare import prepare_hmdb51
from cham_keras.data.prepare.archives import RAR_TOOLS, extract_archive


@pytest.fixture
def root(tmp_path) -> Path:
    """Ten clips of two classes in `root`, and their lists beside it."""
    return make_hmdb51(tmp_path / "hmdb51_org")


def tar_as(tool: str, folder: Path, broken: bool = False) -> None:
    """A program that stands for a RAR tool: it unpacks tar, or breaks off."""
    program = folder / tool
    program.parent.mkdir(exist_ok=True)
    body = "import sys, tarfile\ntarfile.open(sys.argv[4]).extractall(sys.argv[5])\n"
    if broken:
        body = "print('checksum error')\nraise SystemExit(3)\n"
    program.write_text(f"#!{sys.executable} -ISE\n{body}")
    program.chmod(0o755)


def pack(path: Path, folder: Path, name: str) -> None:
    """A tar archive under another suffix."""
    made = shutil.make_archive(str(path.with_suffix("")), "tar", folder, name)
    Path(made).rename(path)


@pytest.fixture
def archives(tmp_path, root, monkeypatch) -> Path:
    """A folder with `hmdb51_org.rar`, which holds one archive a class; no tool for RAR."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    inner = tmp_path / "inner"
    outer = tmp_path / "as_distributed"
    inner.mkdir()
    outer.mkdir()
    for label in HMDB51:
        pack(inner / f"{label}.rar", root, label)
    pack(outer / "hmdb51_org.rar", inner, ".")
    return outer


def test_a_missing_tool_is_told_with_the_tools_that_would_do(archives, tmp_path):
    with pytest.raises(
        ValueError, match="holds archives and no .*: hmdb51_org.rar. .*--extract-to"
    ):
        prepare_hmdb51(archives)
    with pytest.raises(FileNotFoundError, match="installed: unrar, unar, bsdtar, 7zz, 7z. Install"):
        prepare_hmdb51(archives, extract_to=tmp_path / "clips")
    assert not (tmp_path / "clips").exists()


def test_outer_and_inner_archives_are_extracted_once(archives, tmp_path, root):
    tar_as("unrar", tmp_path / "bin")
    expected = prepare_hmdb51(root)
    clips = tmp_path / "my clips"
    for source in (archives, archives / "hmdb51_org.rar", tmp_path / "inner"):
        prepared = prepare_hmdb51(source, extract_to=clips)
        assert prepared.clip_list.root == clips
        assert prepared.clip_list.clips == expected.clip_list.clips
        assert prepared.problems == expected.problems
        shutil.rmtree(clips)
    prepare_hmdb51(archives, extract_to=clips)
    assert not list(clips.rglob("*.rar"))
    (tmp_path / "bin" / "unrar").unlink()  # what was extracted needs no tool any more
    assert prepare_hmdb51(archives, extract_to=clips).clip_list.clips == expected.clip_list.clips


def test_a_tool_that_fails_gives_way_to_the_next(archives, tmp_path):
    tar_as("unrar", tmp_path / "bin", broken=True)
    clips = tmp_path / "clips"
    with pytest.raises(ValueError, match="hmdb51_org.rar cannot be read .* code 3: checksum error"):
        prepare_hmdb51(archives, extract_to=clips)
    assert not clips.exists()
    tar_as("unar", tmp_path / "bin")
    program = tmp_path / "bin" / "unar"
    # unar takes the folder before the archive.
    program.write_text(program.read_text().replace("argv[4]", "argv[6]"))
    assert len(prepare_hmdb51(archives, extract_to=clips).clip_list.clips) == 9


def test_a_folder_that_holds_something_else_is_not_extracted_to(archives, tmp_path):
    tar_as("unrar", tmp_path / "bin")
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "letter.txt").touch()
    with pytest.raises(FileExistsError, match="clips must be new or empty.* --extract-to"):
        prepare_hmdb51(archives, extract_to=clips)
    assert [path.name for path in clips.iterdir()] == ["letter.txt"]


def test_a_broken_zip_is_named(tmp_path, root):
    lists = tmp_path / "lists.zip"
    lists.write_bytes(b"PK no")
    with pytest.raises(ValueError, match=r"lists.zip must be a zip archive"):
        prepare_hmdb51(root, lists=lists)
    with pytest.raises(FileNotFoundError, match=r"no archive .*none.zip"):
        extract_archive(tmp_path / "none.zip", tmp_path)


@pytest.mark.parametrize("tool", RAR_TOOLS)
def test_real_tools_read_a_rar_archive(tool, tmp_path, monkeypatch):
    program = shutil.which(tool)
    if program is None or tool.startswith("7z"):
        # 7-Zip comes with and without its part for RAR; only trying tells which.
        pytest.skip(f"needs the program {tool}, which is not installed or may not read RAR")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / tool).symlink_to(program)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(archives_module, "RAR_TOOLS", {tool: RAR_TOOLS[tool]})
    names = {f"{label}/{name}": name.encode() for label in HMDB51 for name in HMDB51[label]}
    archive = tmp_path / "a [b];(c) & d!.rar"
    write_rar(archive, names)
    folder = tmp_path / "to here"
    folder.mkdir()
    extract_archive(archive, folder)
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.avi")}
    assert {name: path.read_bytes() for name, path in found.items()} == names
