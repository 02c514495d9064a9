"""What holds for all tests: a quiet TensorFlow on the CPU, pictures without a screen."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# TensorFlow and matplotlib read these when they are imported, so they stand before any test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ["MPLBACKEND"] = "Agg"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Several workers with a thread for each core would only wait for one another.
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips and weights beside the checkout; skips where it is not."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real clips in ../shared/data, which are not part of the project")
    return folder


@pytest.fixture
def cham(capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, str]]:
    """Runs the command in this process: exit code and what was said, without line breaks."""
    from cham_keras.cli.main import run_command

    def run(*arguments: object) -> tuple[int, str]:
        code = run_command([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, " ".join((captured.err + captured.out).replace("│", " ").split())

    return run


@pytest.hookimpl(tryfirst=True)
def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Fails where a test module cannot be imported.

    `--doctest-ignore-import-errors`, meant for modules that need an optional package, would
    pass over all its tests.
    """
    if (
        report.skipped
        and report.nodeid.startswith("tests/")
        and "unable to import" in str(report.longrepr)
    ):
        report.outcome = "failed"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeats the checks that failed before the tests, where the reader looks for them."""
    failed = os.environ.get("CHAM_FAILED_CHECKS", "")
    if failed:
        terminalreporter.section("checks that failed before the tests")
        terminalreporter.write(failed)
