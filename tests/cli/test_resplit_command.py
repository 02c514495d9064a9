"""`cham resplit` writes views, prints what is where, and says what cannot be."""

import pytest
from view_testing import listed, write_source

from cham_keras.cli.main import run_command
from cham_keras.data import read_manifest, write_clip_list


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "shards")


def test_a_clip_list_becomes_a_view(source, tmp_path, capsys):
    write_clip_list(listed(), tmp_path / "clips.json")
    out = tmp_path / "view"
    arguments = ["resplit", str(source), "--clips", str(tmp_path / "clips.json")]
    assert run_command([*arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if "all" in line)
    assert [word for word in row.split() if word.isdigit()] == ["6", "3", "3"]
    assert f"Next: cham train {out} --out runs/view" in printed
    assert run_command(["verify", str(out)]) == 0
    assert read_manifest(out).splits.keys() == {"train", "validation", "test"}


def test_folds_are_printed_by_class_and_split(source, tmp_path, capsys):
    out = tmp_path / "folds"
    arguments = ["resplit", str(source), "--folds", "3", "--validation-fraction", "0"]
    assert run_command([*arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if "all" in line)
    assert row.count("8 / 0 / 4") == 3
    assert f"Next: cham train {out}/fold-0 " in printed
    assert run_command(["verify", str(out / "fold-2")]) == 0


def test_leave_one_out_prints_a_row_a_fold(source, tmp_path, capsys):
    arguments = ["resplit", str(source), "--leave-one-out", "--validation-fraction", "0"]
    assert run_command([*arguments, "--out", str(tmp_path / "folds")]) == 0
    printed = capsys.readouterr().out
    assert sum("11" in line and " 1 " in line for line in printed.splitlines()) >= 11
    assert (tmp_path / "folds" / "fold-11" / "manifest.json").is_file()


@pytest.mark.parametrize("arguments", [[], ["--folds", "3", "--leave-one-out"]])
def test_one_way_to_split_must_be_named(source, tmp_path, capsys, arguments):
    out = ["--out", str(tmp_path / "view")]
    assert run_command(["resplit", str(source), *arguments, *out]) == 2
    assert "One of --clips, --folds and --leave-one-out" in capsys.readouterr().err
