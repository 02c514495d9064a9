"""`cham serve` as a process of its own: what it prints and how it ends."""

import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from serving_testing import slow_inputs

from cham_keras.cli.main import run_command
from cham_keras.serving.clients import GrpcClient, RestClient

# Under its own name it starts quietly.
PROGRAM = "import sys; sys.argv[0] = 'cham'; from cham_keras.cli.main import main; main()"
COMMAND = [sys.executable, "-c", PROGRAM, "serve"]


class Served:
    """A running `cham serve`, with the lines that it has printed."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)], stderr=subprocess.PIPE, text=True
        )
        self.lines = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._ready.wait(120), self.lines

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if "Serving" in line:
                self._ready.set()
        self._ready.set()

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(60)
        self._reader.join()
        self.process.stderr.close()


def test_it_prints_where_it_serves_and_ends_after_the_requests_under_way(toy_folder):
    served = Served(
        toy_folder.parent, "--port", 0, "--rest-port", 0, "--name", "toy", "--grace-seconds", 60
    )
    found = re.search(
        r"Serving toy at (127.0.0.1:\d+) \(gRPC\) and http://(127.0.0.1:\d+)/", served.lines[-1]
    )
    clients = [GrpcClient(found[1], "toy"), RestClient(found[2], "toy")]
    inputs = slow_inputs(clients[1])
    with ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(client.predict, "slow", inputs) for client in clients]
        threading.Event().wait(0.3)
        assert not any(future.done() for future in slow)
        served.end(signal.SIGTERM)
        assert [future.result()["trace"] for future in slow] == [512, 512]
    for client in clients:
        client.close()
    assert served.process.returncode == 0
    assert [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in served.lines] == [
        "Version 1 of toy is served; it has answered 0 warm-up requests.",
        f"Serving toy at {found[1]} (gRPC) and http://{found[2]}/v1/models/toy (REST). "
        "Ctrl-C ends it.",
        "Stopping; requests under way are ended.",
        "Version 1 of toy is no longer served.",
    ]


def test_a_port_in_use_and_a_wrong_folder_are_one_sentence(toy_folder, tmp_path, server, capsys):
    # Refused before a model is loaded, so that XLA stays on in this process.
    held = ["serve", str(toy_folder.parent), "--port", str(server.port)]
    assert run_command(held) == 2
    assert f"`port` must be free at 127.0.0.1. Received: {server.port}" in capsys.readouterr().err
    assert run_command(["serve", str(tmp_path / "missing")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("cham: The folder of versions must exist.")
    assert error.count("\n") == 1


@pytest.mark.parametrize("words", ["Example:", "stand-in", "--poll-seconds", "--grace-seconds"])
def test_the_help_shows_examples(capsys, words):
    run_command(["serve", "--help"])
    assert words in capsys.readouterr().out
