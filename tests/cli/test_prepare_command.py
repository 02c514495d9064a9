"""`cham prepare` writes a clip list, shows what is in it, and says what comes next."""

import pytest

from cham_keras.cli.main import run_command
from cham_keras.data.clip_list import read_clip_list


def cham(*tokens: object) -> int:
    """Runs the command line in this process; returns the exit code."""
    return run_command([str(token) for token in tokens])


@pytest.fixture
def videos(tmp_path):
    for label in ("run", "hop"):
        (tmp_path / "videos" / label).mkdir(parents=True)
        for number in range(10):
            (tmp_path / "videos" / label / f"{number}.mp4").touch()
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


@pytest.mark.parametrize("command", ["csv", "folder"])
def test_the_help_shows_an_example(command, capsys):
    cham("prepare", command, "--help")
    printed = " ".join(capsys.readouterr().out.split())
    assert f"Example: cham prepare {command}" in printed
