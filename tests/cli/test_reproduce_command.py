"""`cham reproduce`, `cham compare`, `cham recipes`: options arrive, and mistakes get a sentence."""

from pathlib import Path

import pytest
from dataset_layouts_official import write_video_clip

from cham_keras.cli.main import run_command
from cham_keras.settings import read_toml


def cham(*tokens: object) -> int:
    """Runs the command line in this process; returns the exit code."""
    return run_command([str(token) for token in tokens])


@pytest.fixture
def clips(tmp_path) -> Path:
    for number in range(8):
        (tmp_path / "clips" / ("hop", "run")[number % 2]).mkdir(parents=True, exist_ok=True)
        write_video_clip(tmp_path / "clips" / ("hop", "run")[number % 2] / f"{number}.mp4")
    return tmp_path / "clips"


OPTIONS = ("--methods", "softmax_regression", "--seeds", 3, "--backbone", "filter_bank")
OPTIONS += ("--image-size", 32, "--frame-stride", 2)


def test_compare_makes_the_table_of_any_clips(clips, tmp_path, capsys):
    (tmp_path / "changes.toml").write_text("iterations = 1\n[data]\nnum_frames = 2\n")
    out = tmp_path / "out"
    changes = ("--changes", tmp_path / "changes.toml")
    assert cham("compare", "--root", clips, "--out", out, *OPTIONS, *changes) == 0
    said = capsys.readouterr()
    assert "Softmax regression" in " ".join(said.out.split())
    assert "Estimate" in said.err
    stored = read_toml(out / "table.toml")
    assert (stored["seeds"], stored["frame_stride"]) == ([3], 2)
    assert stored["changes"] == {"iterations": 1, "data": {"num_frames": 2}}
    run = out / "runs" / "softmax_regression" / "split" / "seed-3"
    assert read_toml(run / "settings.toml")["seed"] == 3
    assert (out / "table.md").is_file()


@pytest.mark.parametrize("verb", ["reproduce", "compare"])
def test_both_verbs_list_the_shared_options_with_their_help(verb, capsys):
    cham(verb, "--help")
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for text in (
        "--out PATH Folder for everything this makes. [required]",
        "--seeds INT... Each method is run with each. [default: (0, 1, 2)]",
        "--frame-stride INT 1 takes every frame, 2 every other one.",
        "--dry-run Tell what it will take, and end.",
    ):
        assert text in said
    assert "--table" not in said


def test_several_methods_and_seeds_follow_one_option(clips, tmp_path):
    out = tmp_path / "out"
    changes = tmp_path / "changes.toml"
    changes.write_text("iterations = 1\n[data]\nnum_frames = 2\n[model]\nfilters = 2\n")
    options = ("--methods", "softmax_regression", "average_pooled_lstm", "--seeds", 3, 4)
    options += ("--backbone", "filter_bank", "--image-size", 32, "--changes", changes)
    assert cham("compare", "--root", clips, "--out", out, *options) == 0
    stored = read_toml(out / "table.toml")
    assert stored["methods"] == ["softmax_regression", "average_pooled_lstm"]
    assert stored["seeds"] == [3, 4]


def test_dry_run_tells_time_and_disk_and_writes_nothing(clips, tmp_path, capsys):
    out = tmp_path / "out"
    assert cham("compare", "--root", clips, "--out", out, *OPTIONS, "--dry-run") == 0
    assert "features of 8 clips, about 32 frames" in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--extract-to", "OUT/videos"), "`extract_to` must not lie in the table's folder"),
        (("--extract-to", "videos", "--dry-run"), "`--dry-run` writes nothing, and `--extract-to`"),
    ],
)
def test_archives_are_unpacked_beside_a_table_and_never_in_a_dry_run(
    options, sentence, tmp_path, capsys
):
    out = tmp_path / "out"
    options = [option.replace("OUT", str(out)) for option in options]
    assert cham("reproduce", "hmdb51", "--root", tmp_path, "--out", out, *options) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


@pytest.mark.parametrize("data_set", ["ucf-sports", "olympic-sports", "hmdb51"])
def test_reproduce_without_the_data_set_says_what_is_missing(data_set, tmp_path, capsys):
    out = tmp_path / "out"
    assert cham("reproduce", data_set, "--root", tmp_path / "nowhere", "--out", out) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / "nowhere") in said.replace("\n", "")
    assert "Traceback" not in said
    assert not out.exists()


def test_recipes_are_listed_and_shown_and_taken_by_name(capsys, tmp_path):
    assert cham("recipes") == 0
    assert "paper/cham_skip_3" in capsys.readouterr().out
    assert cham("recipes", "paper/cham") == 0
    assert "decay_iteration = 10_000" in capsys.readouterr().out
    nowhere = tmp_path / "nowhere"
    assert cham("--settings", "paper/chm", "train", nowhere, "--out", tmp_path / "run") == 2
    assert "no recipe 'paper/chm'" in capsys.readouterr().err
    assert cham("--settings", "paper/cham", "train", nowhere, "--out", tmp_path / "run") == 2
    assert str(nowhere) in capsys.readouterr().err.replace("\n", "")
