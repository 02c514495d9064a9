"""`cham prepare` of data sets with official lists: the options arrive, the report is written."""

import json
from pathlib import Path

import pytest
from dataset_layouts_official import (
    make_hmdb51,
    make_olympic_sports,
    make_ucf101,
    write_sequence,
    write_video_clip,
)

from cham_keras.cli.main import run_command
from cham_keras.data.clip_list import SPLITS, ClipList, read_clip_list
from cham_keras.data.prepare import prepare_hmdb51, prepare_olympic_sports, prepare_ucf101
from cham_keras.data.shards.manifest import read_manifest

MAKE = {"hmdb51": make_hmdb51, "ucf101": make_ucf101, "olympic-sports": make_olympic_sports}
PREPARE = {
    "hmdb51": prepare_hmdb51,
    "ucf101": prepare_ucf101,
    "olympic-sports": prepare_olympic_sports,
}
WRITE = {"hmdb51": write_video_clip, "ucf101": write_video_clip, "olympic-sports": write_sequence}


def cham(*tokens: object) -> int:
    """Runs the command line in this process; returns the exit code."""
    return run_command([str(token) for token in tokens])


def prepared_list(kind: str, root: Path, out: Path, *options: object) -> ClipList:
    assert not cham("prepare", kind, root, "--out", out, *options)
    return read_clip_list(out)


@pytest.mark.parametrize("kind", MAKE)
def test_a_data_set_becomes_a_list_and_a_report(kind, tmp_path, capsys):
    root = MAKE[kind](tmp_path / "data set")
    clip_list = prepared_list(
        *(kind, root, tmp_path / "out", "--validation-fraction", 0.4, "--seed", 3)
    )
    expected = PREPARE[kind](root, validation_fraction=0.4, seed=3)
    assert clip_list == expected.clip_list
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["problems"] == list(expected.problems)
    assert {split: report["splits"][split]["clips"] for split in SPLITS} == {
        split: len(clip_list.clips_of_split(split)) for split in SPLITS
    }
    printed = " ".join(capsys.readouterr().out.split())
    assert "Problem: There should be" in printed
    assert "Next: cham extract" in printed
    none = prepared_list(kind, root, tmp_path / "none", "--validation-fraction", 0)
    assert none.clips_of_split("validation") == ()


@pytest.mark.parametrize("kind", MAKE)
def test_a_data_set_goes_all_the_way_to_a_trained_model(kind, tmp_path):
    root = MAKE[kind](tmp_path / "root", write=WRITE[kind])
    out = tmp_path / "out"
    clip_list = prepared_list(kind, root, out, "--validation-fraction", 0.4)
    shards = out / "shards"
    options = ("--backbone", "filter_bank", "--image-size", 32)
    assert not cham("extract", out, "--out", shards, "--strict", *options)
    assert not cham("verify", shards)
    manifest = read_manifest(shards)
    assert manifest.classes == clip_list.classes
    assert {split: (found.clips, found.frames) for split, found in manifest.splits.items()} == {
        split: (number, 8 * number)
        for split in SPLITS
        if (number := len(clip_list.clips_of_split(split)))
    }
    run = tmp_path / "run"
    model = ("--model.name", "conv_attention", "--model.filters", 4)
    assert not cham("train", shards, "--out", run, "--epochs", 1, *model)
    assert (run / "model.keras").is_file()


@pytest.mark.parametrize("kind", ["hmdb51", "ucf101"])
def test_the_split_and_the_lists_are_those_that_are_named(kind, tmp_path, capsys):
    root = MAKE[kind](tmp_path / "root", split=2)
    assert cham("prepare", kind, root, "--out", tmp_path / "out") == 2
    assert "There is no list" in " ".join(capsys.readouterr().err.split())
    name = "testTrainMulti_7030_splits" if kind == "hmdb51" else "root/ucfTrainTestlist"
    (tmp_path / name).rename(tmp_path / "lists")
    assert cham("prepare", kind, root, "--split", 2, "--out", tmp_path / "out") == 2
    assert "--lists" in " ".join(capsys.readouterr().err.split())
    prepared_list(kind, root, tmp_path / "out", "--split", 2, "--lists", tmp_path / "lists")


def test_archives_need_a_tool_or_a_sentence_tells_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    root = make_hmdb51(tmp_path / "clips")
    archives = tmp_path / "archives"
    archives.mkdir()
    (archives / "kiss.rar").touch()
    assert cham("prepare", "hmdb51", archives, "--out", tmp_path / "out") == 2
    assert "Name a folder to extract them to with --extract-to" in capsys.readouterr().err
    options = ("--extract-to", tmp_path / "to", "--out", tmp_path / "out")
    assert cham("prepare", "hmdb51", archives, *options) == 2
    assert "none of the tools that read it is installed: unrar" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert not cham("prepare", "hmdb51", root, *options)


def test_identical_files_on_both_sides_are_told_and_the_official_split_kept(tmp_path):
    def write_the_same(path: Path) -> None:
        path.write_text("the same")

    root = make_olympic_sports(tmp_path / "root", write=write_the_same)
    expected = prepare_olympic_sports(root).clip_list
    assert prepared_list("olympic-sports", root, tmp_path / "out") == expected
    problems = json.loads((tmp_path / "out" / "report.json").read_text())["problems"]
    assert any("stand in more than one split" in problem for problem in problems)
    prepared_list("olympic-sports", root, tmp_path / "unchecked", "--no-check-duplicates")
    problems = json.loads((tmp_path / "unchecked" / "report.json").read_text())["problems"]
    assert not any("stand in more than one split" in problem for problem in problems)


@pytest.mark.parametrize("kind", MAKE)
def test_a_list_that_is_there_is_kept_unless_told_otherwise(kind, tmp_path, capsys):
    root = MAKE[kind](tmp_path / "root")
    out = tmp_path / "out"
    prepared_list(kind, root, out)
    before = (out / "clips.json").read_text()
    assert cham("prepare", kind, root, "--out", out, "--validation-fraction", 0) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (out / "clips.json").read_text() == before
    prepared_list(kind, root, out, "--validation-fraction", 0, "--overwrite")
    assert (out / "clips.json").read_text() != before


@pytest.mark.parametrize("kind", MAKE)
def test_the_help_shows_an_example(kind, capsys):
    cham("prepare", kind, "--help")
    printed = " ".join(capsys.readouterr().out.split())
    assert f"Example: cham prepare {kind}" in printed
