"""Exports as programs of their own: two at a time to one folder, and one that is killed."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from cham_keras.export.export_folder import unfinished_version
from cham_keras.export.loading import LoadedSavedModel


def start(run, base):
    program = "from cham_keras.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, "export", str(run.folder), "--out", str(base)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def versions(base):
    return sorted(path.name for path in base.iterdir() if path.name.isdecimal())


def test_two_exports_at_a_time_both_land_and_both_are_whole(run, batch, tmp_path):
    base = tmp_path / "cham"
    programs = [start(run, base) for _ in range(2)]
    for program in programs:
        _, error = program.communicate(timeout=300)
        assert program.returncode == 0, error
    assert versions(base) == ["1", "2"]
    scores = [LoadedSavedModel(base / version)(**batch)["probabilities"] for version in "12"]
    np.testing.assert_array_equal(*scores)
    # Nothing unfinished is left of either.
    files = {"batching_params.pbtxt", "models.config", "monitoring.config"}
    assert {path.name for path in base.iterdir()} == {"1", "2", *files}


@pytest.mark.parametrize("part", ["saved_model.pb", "assets.extra/cham.json"])
def test_a_killed_export_leaves_no_version(run, tmp_path, part):
    base = tmp_path / "cham"
    program = start(run, base)
    deadline = time.monotonic() + 300
    while not list(base.glob(f".unfinished-*/{part}")):
        assert program.poll() is None, program.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(program.pid, signal.SIGKILL)
    program.communicate()
    # A server takes numbers for versions, and nothing else.
    assert versions(base) == []
    next_one = start(run, base)
    _, error = next_one.communicate(timeout=300)
    assert next_one.returncode == 0, error
    assert versions(base) == ["1"]


def test_what_a_killed_export_left_goes_with_an_export_on_a_later_day(tmp_path):
    ages_h = {".unfinished-old": 25, ".unfinished-young": 23, "1": 99, "mine": 99}
    for name, age_h in ages_h.items():
        (tmp_path / name / "variables").mkdir(parents=True)
        (tmp_path / name / "saved_model.pb").write_text("")
        then = time.time() - age_h * 3600
        for path in (*(tmp_path / name).rglob("*"), tmp_path / name):
            os.utime(path, (then, then))
    # Still being written: its folder is old, a file in it is new.
    os.utime(tmp_path / ".unfinished-young", (0, 0))
    with unfinished_version(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {".unfinished-young", "1", "mine"}
