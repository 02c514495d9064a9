"""The load test of the stand-in, in small."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "load_test_stand_in.py"


def test_every_request_is_answered_rightly_and_the_figures_are_written(toy_folder, tmp_path):
    arguments = [toy_folder.parent, tmp_path / "load", "--requests", "200", "--threads", "4"]
    run = subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    figures = json.loads((tmp_path / "load.json").read_text())
    assert figures["wrong"] == []
    assert figures["exit_code_of_server"] == 0
    kinds = figures["kinds"]
    assert sum(row["requests"] for row in kinds.values()) == 200
    assert all(row["requests"] == row["answered_rightly"] for row in kinds.values())
    assert kinds["grpc, broken"]["requests"] + kinds["rest, broken"]["requests"] == 40
    assert (tmp_path / "load.md").read_text().startswith("| requests | count |")
