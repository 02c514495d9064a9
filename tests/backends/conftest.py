"""Runs `parity_program.py` once for each backend, whatever the number of test workers."""

import functools
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from backends.parity_cases import build_model

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("parity_program.py")
#: What to install for a backend.
PACKAGES = {"jax": "jax", "torch": "torch"}
#: As in pyproject.toml: Keras's variables are behind NumPy's newest conversion protocol.
WARNINGS = ["-Werror", "-Wignore:__array__ implementation doesn't:DeprecationWarning"]
LONGEST_RUN_SECONDS = 600


@pytest.fixture(params=PACKAGES)
def backend(request):
    """Name of a backend other than TensorFlow; skips where it is not installed."""
    if importlib.util.find_spec(request.param) is None:
        package = PACKAGES[request.param]
        pytest.skip(f"needs Keras's {request.param} backend: run `pip install {package}`")
    return request.param


@pytest.fixture
def folder(backend, tmp_path_factory):
    """The folder that the program has filled on this backend."""
    base = tmp_path_factory.getbasetemp()
    # The workers of pytest-xdist have folders of their own inside one that they share.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return run_once(backend, shared / f"parity-{backend}")


@pytest.fixture
def results(folder):
    """`part -> array` of a case on the backend; fails where the case failed there."""

    def of_case(case):
        arrays = load_results(folder / "results.npz")
        parts = {
            name.partition("/")[2]: array
            for name, array in arrays.items()
            if name.partition("/")[0] == case
        }
        if "error" in parts:
            pytest.fail(f"{case} raised:\n{parts['error']}", pytrace=False)
        return parts

    return of_case


@functools.cache
def load_results(path):
    with np.load(path) as archive:
        return dict(archive)


def run_once(backend, folder):
    """Runs the program in `folder`, or waits for the worker that does."""
    done = folder / "exit_code"
    try:
        folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + LONGEST_RUN_SECONDS
        while not done.exists():
            if time.monotonic() > end:
                pytest.fail(f"{folder} was begun by another worker and not finished.")
            time.sleep(0.2)
    else:
        code = run_program(backend, folder)
        unfinished = folder / "exit_code.part"
        unfinished.write_text(str(code))
        unfinished.rename(done)
    if done.read_text() != "0":
        pytest.fail((folder / "log.txt").read_text(), pytrace=False)
    return folder


def run_program(backend, folder):
    """Starts the program and waits; its output goes to `log.txt`."""
    build_model("cham").save(folder / "from_tensorflow.keras")
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        # JAX compiles a hundred small programs, and runs each once.
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    with (folder / "log.txt").open("w") as log:
        return subprocess.run(
            [sys.executable, *WARNINGS, str(PROGRAM), str(folder)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=LONGEST_RUN_SECONDS,
            check=False,
        ).returncode
