"""Starts trainings in processes of their own, and compares the runs that they leave."""

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

PROGRAM = Path(__file__).parent / "training" / "device_program.py"
ROOT = Path(__file__).resolve().parents[1]
#: As in pyproject.toml: Keras's variables are behind NumPy's newest conversion protocol.
WARNINGS = ["-Werror", "-Wignore:__array__ implementation doesn't:DeprecationWarning"]
#: Nothing is measured with it: a process that hangs is to fail.
LONGEST_SECONDS = 600

#: 15 training clips, so that batches of 4 cross epochs, and 9 for validation, an odd number.
CLIPS = {"train": 5, "validation": 3, "test": 1}
#: A step of a model that compiles quickly; every batch draws dropout.
SETTINGS = {
    "epochs": 2,
    "model": {"name": "average_pooled_lstm", "filters": 4, "head_units": 8},
    "data": {"num_frames": 5, "batch_size": 4},
    "optimizer": {"learning_rate": 0.01},
}


def start(shards, out, backend="tensorflow", **options):
    """Starts `device_program.py`; options as it says, with `SETTINGS` where none are given."""
    options = {"settings": SETTINGS, **options}
    return subprocess.Popen(
        [sys.executable, *WARNINGS, str(PROGRAM), str(shards), str(out), json.dumps(options)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(*processes):
    """Waits for processes; returns the exit code of each and what it has said."""
    try:
        said = ["".join(process.communicate(timeout=LONGEST_SECONDS)) for process in processes]
        return [(process.returncode, each) for process, each in zip(processes, said, strict=True)]
    finally:
        for process in processes:  # none outlives its test
            process.kill()
            process.communicate()


def finish(*processes):
    """Waits for processes that are to end well."""
    for code, said in end(*processes):
        assert code == 0, said


def free_addresses(number):
    """Addresses of this host with ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def history_of(run):
    """The figures of each epoch: (epochs, figures)."""
    with (run / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([[float(value) for value in row.values()] for row in rows])


def weights_of(run):
    """The arrays of a run's last model."""
    return keras.saving.load_model(run / "last.keras", compile=False).get_weights()


def assert_same_run(ours, theirs, tolerance=0.0, tolerance_of_figures=None):
    """Holds figures and end weights of two runs against each other."""
    if tolerance_of_figures is None:
        tolerance_of_figures = tolerance
    np.testing.assert_allclose(
        history_of(ours), history_of(theirs), rtol=tolerance_of_figures, atol=0
    )
    pairs = list(zip(weights_of(ours), weights_of(theirs), strict=True))
    assert pairs
    for our, their in pairs:
        np.testing.assert_allclose(our, their, rtol=0, atol=tolerance)
