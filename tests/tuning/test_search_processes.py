"""Searches as programs of their own: a chief, workers, and what is left when one is killed."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from shard_making import make_shards

from cham_keras.tuning import Cluster

EPOCHS = 25
OPTIONS = [
    *("--epochs", EPOCHS, "--checkpoint-minutes", "1e-9", "--model.head-units", 8),
    *("--data.num-frames", 5, "--data.batch-size", 6, "--optimizer.learning-rate", "0.01"),
    *("--model.candidate-activation", "tanh"),
    *("--space.kernel-size", 1, "--space.kernel-size", 3, "--space.input-kernel-size", 1),
    *("--space.filters", 2, "--space.filters", 4),
]
TIMEOUT_S = 240


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    counts = {"train": 10, "validation": 5, "test": 1}
    return make_shards(tmp_path_factory.mktemp("data") / "shards", clips_per_class=counts)


@pytest.fixture
def start(shards, tmp_path):
    """Starts searches; what still runs in the end is killed."""
    with contextlib.ExitStack() as stack:

        def start_one(name, *options, out="search"):
            log = tmp_path / f"{name}.log"
            program = (
                "import sys; sys.argv[0] = 'cham'; from cham_keras.cli.main import main; main()"
            )
            arguments = ["tune", shards, "--out", tmp_path / out, *OPTIONS, *options]
            with log.open("w") as file:
                process = subprocess.Popen(
                    [sys.executable, "-c", program, *map(str, arguments)],
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "COLUMNS": "200", "TF_CPP_MIN_LOG_LEVEL": "3"},
                )
            stack.callback(lambda: (process.kill(), process.wait()))
            process.said = log.read_text
            return process

        yield start_one


@pytest.fixture
def address():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


def wait_for(condition, *processes):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        for process in processes:
            assert process.poll() is None, process.said()
        assert time.monotonic() < deadline, [process.said() for process in processes]
        time.sleep(0.01)


def end_of(process):
    code = process.wait(TIMEOUT_S)
    assert code == 0, process.said()
    return process.said()


def begun_trials(folder):
    """Trials that have a checkpoint now."""
    return {path.parent.name for path in folder.glob("runs/*/checkpoint.npz")}


def scores_of(folder):
    rows = (folder / "trials.md").read_text().splitlines()[2:]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    return {row[0]: (*row[1:5], row[-1]) for row in cells}


def test_a_killed_search_goes_on_and_its_trial_from_the_checkpoint(start, tmp_path):
    whole = start("whole", "--max-trials", 2, out="whole")
    end_of(whole)
    broken = start("broken", "--max-trials", 2)
    folder = tmp_path / "search"
    wait_for(lambda: "001" in begun_trials(folder), broken)
    os.kill(broken.pid, signal.SIGKILL)
    broken.wait()
    assert (folder / "runs" / "001.starts").read_text() == "1"
    said = end_of(start("again", "--max-trials", 2))
    assert "An unfinished run goes on at step" in said
    assert "trial 000 " not in said  # it had ended
    assert scores_of(folder) == scores_of(tmp_path / "whole")
    history = "runs/001/history.csv"
    assert (folder / history).read_text() == (tmp_path / "whole" / history).read_text()
    assert not list(folder.glob("runs/*.starts"))


def test_the_trial_of_a_killed_worker_goes_to_another(start, tmp_path, address):
    chief_at = ("--address", address, "--worker-patience", 8)
    chief = start("chief", "--role", "chief", *chief_at, "--max-trials", 3)
    workers = [
        start(f"worker{number}", "--role", "worker", *chief_at, "--max-trials", 3)
        for number in range(2)
    ]
    folder = tmp_path / "search"
    wait_for(lambda: len(begun_trials(folder)) == 2, chief, *workers)
    os.kill(workers[0].pid, signal.SIGKILL)
    workers[0].wait()
    (lost,) = re.findall(r"^trial (\d+)", workers[0].said(), re.MULTILINE)
    said = end_of(chief)
    assert "is silent for 8 seconds" in said
    assert f"its trial {lost} goes to the next one that asks" in said
    of_other = end_of(workers[1])
    assert f"trial {lost} " in of_other
    # The folder is shared, so it goes on from the other one's checkpoint.
    assert "An unfinished run goes on at step" in of_other
    assert sorted(scores_of(folder)) == ["000", "001", "002"]
    assert "has the results" in of_other


def test_a_killed_chief_that_comes_again_loses_no_trial(start, tmp_path, address):
    roles = ("--address", address, "--worker-patience", 60, "--max-trials", 2)
    chief = start("chief", "--role", "chief", *roles)
    worker = start("worker", "--role", "worker", *roles)
    folder = tmp_path / "search"
    wait_for(lambda: begun_trials(folder), chief, worker)
    os.kill(chief.pid, signal.SIGKILL)
    chief.wait()
    again = start("again", "--role", "chief", *roles)
    said = end_of(again)
    assert "Trials to go on with: 000." in said
    assert sorted(scores_of(folder)) == ["000", "001"]
    # The worker never stopped: each trial was begun once.
    assert re.findall(r"^trial (\d+)", end_of(worker), re.MULTILINE) == ["000", "001"]


def test_a_worker_without_a_chief_ends_with_a_sentence(start, address):
    worker = start("worker", "--role", "worker", "--address", address, "--worker-patience", 6)
    assert worker.wait(TIMEOUT_S) == 2
    said = " ".join(worker.said().split())
    assert f"waits for the chief at {address}, 6 seconds at most." in said
    assert f"The chief at {address} must answer within 6 seconds. It did not" in said
    assert "Traceback" not in said


def test_a_worker_with_other_settings_than_its_chief_is_refused(start, address):
    roles = ("--address", address, "--worker-patience", 30)
    start("chief", "--role", "chief", *roles)
    worker = start("worker", "--role", "worker", *roles, "--seed", 1, out="other")
    assert worker.wait(TIMEOUT_S) == 2
    assert f"A worker must have the settings of its chief at {address}" in worker.said()


def test_a_port_that_is_taken_is_named(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        chief = start("chief", "--role", "chief", "--address", address)
        assert chief.wait(TIMEOUT_S) == 2
        # Nothing of gRPC's own stands above it.
        assert chief.said().startswith(f"cham: The chief must be able to listen at {address}. It")


@pytest.mark.parametrize(
    ("role", "address", "patience_s", "sentence"),
    [
        ("chief", None, 60, "A chief needs the chief's address as HOST:PORT. Received: None"),
        ("worker", "here", 60, "A worker needs the chief's address as HOST:PORT. Received: here"),
        ("worker", "here:70000", 60, "as HOST:PORT. Received: here:70000"),
        (None, "here:1", 60, "`address` goes with `role` chief or worker"),
        ("worker", "here:1", 5, "`worker_patience` must be more than the 5 seconds"),
    ],
)
def test_what_no_cluster_can_be_is_refused(role, address, patience_s, sentence, monkeypatch):
    for name in ("IP", "PORT"):
        monkeypatch.delenv(f"KERASTUNER_ORACLE_{name}", raising=False)
    monkeypatch.delenv("KERASTUNER_TUNER_ID", raising=False)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Cluster.of(role, address, patience_s)


@pytest.mark.parametrize(
    ("variables", "role", "sentence"),
    [
        (
            {"IP": "127.0.0.1", "PORT": "8000"},
            None,
            "KERASTUNER_ORACLE_IP goes with KERASTUNER_TUNER_ID (chief, or a worker's name). "
            "Received: KERASTUNER_ORACLE_IP=127.0.0.1 alone",
        ),
        (
            {"IP": "127.0.0.1"},
            "chief",
            "KERASTUNER_ORACLE_IP goes with KERASTUNER_ORACLE_PORT, a number. Received: None",
        ),
    ],
)
def test_environment_variables_that_lack_others_are_named(variables, role, sentence, monkeypatch):
    monkeypatch.delenv("KERASTUNER_TUNER_ID", raising=False)
    monkeypatch.delenv("KERASTUNER_ORACLE_PORT", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(f"KERASTUNER_ORACLE_{name}", value)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Cluster.of(role, None)
    assert Cluster.of("alone", None) == Cluster()
    assert Cluster.of("worker", "127.0.0.1:80").address == "127.0.0.1:80"


def test_a_chiefs_host_that_nobody_knows_is_told_from_a_chief_that_is_not_up():
    Cluster("worker", "localhost:80", "a").require_host()
    with pytest.raises(OSError, match=r"Received: no-such-host\.invalid, which cannot be resolved"):
        Cluster("worker", "no-such-host.invalid:80", "a").require_host()


def test_a_worker_on_a_machine_called_chief_is_no_chief(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "chief-1")
    with Cluster.of("worker", "127.0.0.1:8000").environment():
        assert os.environ["KERASTUNER_TUNER_ID"] == f"host-1-{os.getpid()}"


def test_keras_tuners_environment_variables_say_the_role(monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    assert Cluster.of(None, None).role == "chief"
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner7")
    found = Cluster.of(None, None)
    assert (found.role, found.address, found.worker) == ("worker", "127.0.0.1:8000", "tuner7")
    before = dict(os.environ)
    with found.environment():
        assert os.environ["KERASTUNER_TUNER_ID"] == "tuner7"
    assert dict(os.environ) == before
    with Cluster().environment():
        assert "KERASTUNER_ORACLE_IP" not in os.environ
