"""`cham benchmark` at the command line."""

import pytest
from benchmark_testing import TINY

from cham_keras.benchmark import BenchmarkSettings
from cham_keras.cli.main import run_command
from cham_keras.settings import read_settings, write_settings

OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]


def test_several_values_stand_behind_one_option(tmp_path, monkeypatch):
    asked = []

    def note_settings(settings, out, overwrite):
        asked.append((settings, out, overwrite))
        raise ValueError("only asked")

    monkeypatch.setattr("cham_keras.benchmark.run_benchmark", note_settings)
    several = ["--systems", "step", "plain_rnn", "--sweep-batches", "1", "2", "--memory"]
    assert run_command(["benchmark", "--out", str(tmp_path), *OPTIONS, *several]) == 2
    expected = BenchmarkSettings(
        **TINY, systems=("step", "plain_rnn"), sweep_batches=(1, 2), memory=True
    )
    assert asked == [(expected, tmp_path, False)]


def test_settings_may_come_from_a_file(tmp_path, capsys):
    file = tmp_path / "settings.toml"
    values = {**TINY, "systems": ("step",), "streaming": False}
    write_settings(file, BenchmarkSettings(**values))
    assert read_settings(BenchmarkSettings, file) == BenchmarkSettings(**values)
    command = ["--settings", str(file), "benchmark", "--out", str(tmp_path / "times")]
    assert run_command([*command, "--steps", "2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "2 steps, batch 2" in said
    assert "Written to" in said
    assert (tmp_path / "times" / "benchmark.json").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--systems", "hoistd"], "hoistd"),
        (["--systems", "step", "step"], "`systems` must hold each value once"),
        (["--kernel-size", "4"], "`kernel_size` must be an odd positive integer"),
        (["--batch", "0"], "`batch` must be greater than 0"),
    ],
)
def test_a_bad_value_is_one_sentence(options, message, tmp_path, capsys):
    out = tmp_path / "times"
    assert run_command(["benchmark", "--out", str(out), *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
