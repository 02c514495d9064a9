"""`cham train` in a process of its own that is killed at any moment, and called again."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from shard_making import make_shards
from training_testing import assert_same_end, end_of

ROOT = Path(__file__).resolve().parents[2]
NUM_KILLS = 3
# Recurrent dropout draws in the recurrence, the other one in the head.
SETTINGS = (
    *("--model.name", "conv_attention", "--model.filters", "2", "--model.head-units", "4"),
    *("--model.recurrent-dropout", "0.3", "--data.num-frames", "3", "--data.batch-size", "6"),
    *("--optimizer.learning-rate", "0.01", "--optimizer.accumulation-steps", "2"),
    *("--epochs", "30", "--checkpoint-minutes", "1e-9"),
)


def start(shards, out):
    command = "import sys; from cham_keras.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", command, "train", str(shards), "--out", str(out), *SETTINGS],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def checkpoint_of(out):
    with contextlib.suppress(FileNotFoundError):
        return (out / "checkpoint.npz").stat().st_mtime_ns
    return None


def wait_for_a_new_checkpoint(process, out, before):
    while process.poll() is None and checkpoint_of(out) == before:
        time.sleep(0.01)


def test_killed_processes_leave_a_run_that_ends_like_an_unbroken_one(tmp_path):
    shards = make_shards(tmp_path / "shards")
    unbroken = start(shards, tmp_path / "unbroken")
    rng = random.Random(0)
    out = tmp_path / "run"
    for kill in range(NUM_KILLS):
        before = checkpoint_of(out)
        process = start(shards, out)
        wait_for_a_new_checkpoint(process, out, before)
        time.sleep(rng.uniform(0, 0.3))
        number = signal.SIGTERM if kill == NUM_KILLS - 1 else signal.SIGKILL
        process.send_signal(number)
        said = process.communicate(timeout=600)[1]
        assert process.returncode in (-signal.SIGKILL, 128 + signal.SIGTERM), said
        assert (out / "checkpoint.npz").exists()
    assert "The same command goes on from there." in said
    for last in (start(shards, out), unbroken):
        said, errors = last.communicate(timeout=600)
        assert last.returncode == 0, errors
        assert "kept epoch" in said
    assert_same_end(out, end_of(tmp_path / "unbroken"))
