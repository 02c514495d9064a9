"""`cham prepare` writes a clip list, shows what is in it, and says what comes next."""

import dataclasses
import json
import sys

import pytest
from ucf_sports_testing import make_ucf_sports

from cham_keras.cli.main import run_command
from cham_keras.cli.prepare.finish import finish
from cham_keras.data.clip_list import read_clip_list
from cham_keras.data.prepare import prepare_csv


def cham(*tokens: object) -> int:
    """Runs the command line in this process; returns the exit code."""
    return run_command([str(token) for token in tokens])


@pytest.fixture
def videos(tmp_path):
    for label in ("run", "hop"):
        (tmp_path / "videos" / label).mkdir(parents=True)
        for number in range(10):
            (tmp_path / "videos" / label / f"{number}.mp4").write_text(f"{label} {number}")
    rows = [
        f"{label}/{n}.mp4,{label},{label}{n // 2}" for label in ("run", "hop") for n in range(10)
    ]
    (tmp_path / "videos" / "clips.csv").write_text("\n".join(["path,label,group", *rows]))
    return tmp_path / "videos"


def words_of(table: str, first: str) -> list[str]:
    """The cells of the table's row that starts with `first`."""
    rows = [line.replace("│", " ").split() for line in table.splitlines()]
    return next(row for row in rows if row and row[0] == first)


def test_prepare_folder_writes_the_list_and_counts(videos, tmp_path, capsys):
    out = tmp_path / "my clips"
    cham("prepare", "folder", videos, "--out", out, "--test-fraction", 0.2, "--seed", 3)
    clip_list = read_clip_list(out)
    assert len(clip_list.clips_of_split("test")) == 4
    printed = capsys.readouterr().out
    counts = ["7", "(7)", "1", "(1)", "2", "(2)", "10", "(10)"]
    train = len(clip_list.clips_of_split("train"))
    assert words_of(printed, "all")[1] == str(train)
    assert words_of(printed, "run")[5:] == counts[4:]
    assert f"Next: cham extract '{out}' --out '{out}/shards'" in printed.replace("\n", " ")


def test_prepare_csv_keeps_groups_and_counts_them(videos, tmp_path, capsys):
    cham(
        *("prepare", "csv", videos / "clips.csv", "--out", tmp_path / "out"),
        *("--test-fraction", 0.2, "--validation-fraction", 0.2),
    )
    printed = capsys.readouterr().out
    assert words_of(printed, "hop")[1:] == ["6", "(3)", "2", "(1)", "2", "(1)", "10", "(5)"]
    assert words_of(printed, "all")[1:] == ["12", "(6)", "4", "(2)", "4", "(2)", "20", "(10)"]
    assert {clip.group for clip in read_clip_list(tmp_path / "out").clips_of_split("test")} < {
        f"{label}{n}" for label in ("run", "hop") for n in range(5)
    }


def test_the_seed_option_reaches_the_split(videos, tmp_path):
    lists = []
    for number, seed in enumerate((0, 0, 1)):
        cham("prepare", "folder", videos, "--out", tmp_path / f"out{number}", "--seed", seed)
        lists.append(read_clip_list(tmp_path / f"out{number}"))
    assert lists[0] == lists[1] != lists[2]


def test_a_list_that_is_there_is_kept_unless_told_otherwise(videos, tmp_path, capsys):
    out = tmp_path / "out"
    cham("prepare", "folder", videos, "--out", out)
    before = (out / "clips.json").read_text()
    assert cham("prepare", "folder", videos, "--out", out, "--seed", 1) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (out / "clips.json").read_text() == before
    cham("prepare", "folder", videos, "--out", out, "--seed", 1, "--overwrite")
    assert (out / "clips.json").read_text() != before


def test_bad_input_gives_a_sentence_and_leaves_nothing(tmp_path, capsys):
    (tmp_path / "videos").mkdir()
    out = tmp_path / "out"
    assert cham("prepare", "folder", tmp_path / "videos", "--out", out) == 2
    assert "must hold one folder a class" in " ".join(capsys.readouterr().err.split())
    assert cham("prepare", "csv", tmp_path / "nowhere.csv", "--out", out) == 2
    assert "There is no CSV file" in capsys.readouterr().err
    assert not out.exists()


def test_copies_on_both_sides_end_the_command_unless_told_otherwise(tmp_path, capsys):
    rows = ["path,label,split"]
    for number, (label, split) in enumerate((("run", "train"), ("hop", "train"), ("hop", "test"))):
        (tmp_path / f"{number}.mp4").write_text("a film" if number else "run")
        rows.append(f"{number}.mp4,{label},{split}")
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    out = tmp_path / "out"
    command = ("prepare", "csv", tmp_path / "clips.csv", "--out", out)
    assert cham(*command) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "1.mp4 (train), 2.mp4 (test)" in error and "--allow-duplicates" in error
    assert not out.exists()
    assert cham(*command, "--allow-duplicates") == 0
    printed = capsys.readouterr().out
    assert "Problem: 1 file(s) stand in more than one split: 1.mp4 (train), 2.mp4" in printed
    assert len(json.loads((out / "report.json").read_text())["problems"]) == 1
    assert cham(*command, "--no-check-duplicates", "--overwrite") == 0
    assert "Problem" not in capsys.readouterr().out
    assert json.loads((out / "report.json").read_text())["problems"] == []


def test_only_the_first_problems_are_printed_and_all_are_in_the_report(videos, tmp_path, capsys):
    problems = tuple(f"Number {number} is [bold]missing[/bold]." for number in range(36))
    prepared = prepare_csv(videos / "clips.csv", validation_fraction=0)
    out = tmp_path / "out"
    finish(dataclasses.replace(prepared, problems=problems), out)
    printed = capsys.readouterr().out
    assert printed.count("Problem:") == 10
    assert f"Problem: {problems[9]}" in printed
    assert f"26 more problem(s) in {out / 'report.json'}" in printed.replace("\n", "")
    assert json.loads((out / "report.json").read_text())["problems"] == list(problems)


def test_prepare_ucf_sports_writes_clips_boxes_and_problems(tmp_path, capsys):
    make_ucf_sports(tmp_path / "data")
    out = tmp_path / "out"
    command = ("prepare", "ucf-sports", tmp_path / "data", "--out", out, "--overwrite")
    assert cham(*command, "--protocol", "103-47", "--validation-fraction", 0) == 0
    printed = capsys.readouterr().out
    assert words_of(printed, "all")[1:] == [
        "103",
        "(103)",
        "0",
        "(0)",
        "47",
        "(47)",
        "150",
        "(150)",
    ]
    assert "Problem: 7 video(s) have no AVI; the images are taken" in printed
    # Three boxes a video; one of Lifting has one less and one more, one of Walk has none.
    assert len((out / "boxes.csv").read_text().splitlines()) == 1 + 3 * 149
    assert cham(*command, "--protocol", "leave-one-out", "--fold", 149) == 0
    assert [c.group for c in read_clip_list(out).clips_of_split("test")] == ["Walk-Front/022"]
    assert cham(*command, "--protocol", "leave-one-out") == 2
    assert "`fold` of leave-one-out must be" in capsys.readouterr().err


def test_prepare_tfds_says_what_to_install(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert cham("prepare", "tfds", "ucf101", "--out", tmp_path / "out") == 2
    assert "pip install tensorflow-datasets" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["csv", "folder", "ucf-sports", "tfds"])
def test_the_help_shows_an_example(command, capsys):
    cham("prepare", command, "--help")
    printed = " ".join(capsys.readouterr().out.split())
    assert f"Example: cham prepare {command}" in printed
    assert "--allow-duplicates" in printed and "--no-check-duplicates" in printed
