"""Loads the stand-in with right and broken requests at once, and looks at every answer.

    python scripts/load_test_stand_in.py EXPORT_BASE OUT [--requests 2000] [--threads 8]

Starts `cham serve EXPORT_BASE` as a process of its own. Threads send requests over gRPC and REST,
of several batch sizes and lengths; every fifth is broken in some way. Each right one is held
against arrays that the model gave in this process before (1e-5), each broken one against the
status that TF Serving gives. The server's memory is read meanwhile. OUT.json gets all figures,
OUT.md a table. The exit code is 1 where an answer was wrong. Linux only: memory is read in /proc.
"""

import argparse
import http.client
import json
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from cham_keras.files import replacing_file, write_json
from cham_keras.serving import ServedModel
from cham_keras.serving.clients import GrpcClient, RestClient
from cham_keras.serving.stand_in.version_folders import version_folders
from cham_keras.serving.tensors import tensor_of_array

SIGNATURE = "serving_default"
NAME = "load"
BATCH_SIZES = (1, 2, 4, 8)
NUM_FRAMES = (3, 8, 16)
TOLERANCE = 1e-5
#: Memory counts as flat if its median in the last quarter is at most so much above the second's.
FLAT_WITHIN = 0.03
BROKEN = {
    "grpc": {
        "wrong shape": "INVALID_ARGUMENT",
        "wrong dtype": "INVALID_ARGUMENT",
        "unknown signature": "FAILED_PRECONDITION",
        "malformed tensor": "INVALID_ARGUMENT",
        "broken example": "INVALID_ARGUMENT",
        "unknown model": "NOT_FOUND",
    },
    "rest": {
        "wrong shape": 400,
        "wrong dtype": 400,
        "unknown signature": 400,
        "malformed tensor": 400,
        "broken example": 400,
        "broken JSON": 400,
        "unknown model": 404,
    },
}


class Server:
    """A `cham serve` in a process of its own, with its memory read every so often."""

    def __init__(self, base: Path) -> None:
        """Starts it and waits until it serves."""
        program = "import sys; sys.argv[0] = 'cham'; from cham_keras.cli.main import main; main()"
        command = [sys.executable, "-c", program, "serve", str(base), "--name", NAME]
        self._process = subprocess.Popen(
            [*command, "--port", "0", "--rest-port", "0"], stderr=subprocess.PIPE, text=True
        )
        lines = []
        for line in self._process.stderr or ():
            lines.append(line)
            found = re.search(r"Serving .* at (\S+) \(gRPC\) and http://([^/]+)/", line)
            if found:
                self.grpc_address, self.rest_address = found.groups()
                break
        else:
            raise RuntimeError("The stand-in did not start: " + "".join(lines))
        self.megabytes: list[tuple[float, float]] = []
        self._stopping = threading.Event()
        self._readers = [
            threading.Thread(target=self._read_memory),
            threading.Thread(target=lambda: list(self._process.stderr or ())),
        ]
        for reader in self._readers:
            reader.start()

    def stop(self) -> int:
        """Ends it and returns its exit code."""
        self._stopping.set()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(60)
        for reader in self._readers:
            reader.join()
        return code

    def _read_memory(self) -> None:
        status = Path(f"/proc/{self._process.pid}/status")
        while not self._stopping.wait(0.2):
            kilobytes = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
            if kilobytes:
                self.megabytes.append((time.perf_counter(), int(kilobytes[1]) / 1024))


class Sender:
    """What one thread sends with.

    Args:
        server: the server.
        inputs: right inputs, and the outputs that belong to them.
    """

    def __init__(self, server: Server, inputs: list[tuple[dict, dict]]) -> None:
        """Opens the connections."""
        self._inputs = inputs
        self._clients = {
            "grpc": GrpcClient(server.grpc_address, NAME),
            "rest": RestClient(server.rest_address, NAME),
        }
        self._clients["rest"].signatures()
        self._channel = grpc.insecure_channel(server.grpc_address)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._http = http.client.HTTPConnection(server.rest_address)

    def right(self, api: str, number: int) -> str:
        """Sends a right request; returns what is wrong with its answer, or nothing."""
        inputs, expected = self._inputs[number % len(self._inputs)]
        found = self._clients[api].predict(SIGNATURE, inputs)
        for name, array in expected.items():
            if found[name].shape != array.shape or found[name].dtype != array.dtype:
                return f"{name} has the shape {found[name].shape} of {found[name].dtype}"
            if array.dtype == object:
                if found[name].tolist() != array.tolist():
                    return f"{name} has other strings"
            elif not np.allclose(found[name], array, rtol=0, atol=TOLERANCE):
                return f"{name} is off by {np.abs(found[name] - array).max()}"
        return "" if set(found) == set(expected) else f"the outputs are {sorted(found)}"

    def broken(self, api: str, fault: str) -> str:
        """Sends a broken request; returns what is wrong with its status, or nothing."""
        send: Callable[[str], Any] = self._grpc_status if api == "grpc" else self._rest_status
        status, wanted = send(fault), BROKEN[api][fault]
        return "" if status == wanted else f"{fault}: {status} in place of {wanted}"

    def close(self) -> None:
        """Closes the connections."""
        for client in self._clients.values():
            client.close()
        self._channel.close()
        self._http.close()

    def _grpc_status(self, fault: str) -> str:
        inputs = self._faulty(fault)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "nobody" if fault == "unknown model" else NAME
        request.model_spec.signature_name = "nothing" if fault == "unknown signature" else SIGNATURE
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tensor_of_array(array, as_content=True))
        if fault == "malformed tensor":
            next(iter(request.inputs.values())).tensor_content += b"1"
        method = self._stub.Predict
        if fault == "broken example":
            request = classification_pb2.ClassificationRequest()
            request.model_spec.name = NAME
            request.model_spec.signature_name = "classify"
            request.input.example_list.examples.add()  # without a single feature
            method = self._stub.Classify
        try:
            method(request, timeout=60)
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"

    def _rest_status(self, fault: str) -> int:
        inputs = {name: array.tolist() for name, array in self._faulty(fault).items()}
        name = next(iter(inputs))
        if fault == "wrong dtype":
            inputs[name] = "a text"
        if fault == "malformed tensor":
            inputs[name] = [inputs[name], 1]
        signature = "nothing" if fault == "unknown signature" else SIGNATURE
        document: dict[str, Any] = {"signature_name": signature, "inputs": inputs}
        method = "predict"
        if fault == "broken example":
            method, document = "classify", {"signature_name": "classify", "examples": [{"a": [1]}]}
        body = json.dumps(document)
        model = "nobody" if fault == "unknown model" else NAME
        self._http.request(
            "POST",
            f"/v1/models/{model}:{method}",
            body[: len(body) // 2] if fault == "broken JSON" else body,
        )
        response = self._http.getresponse()
        response.read()
        return response.status

    def _faulty(self, fault: str) -> dict[str, np.ndarray]:
        inputs = dict(self._inputs[0][0])
        name = next(iter(inputs))
        if fault == "wrong shape":
            inputs[name] = inputs[name][..., :-1]
        if fault == "wrong dtype":
            inputs[name] = inputs[name].astype(np.float64)
        return inputs


def main() -> int:
    """Parses, starts, loads, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("export", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=8)
    arguments = parser.parse_args()
    inputs = inputs_and_outputs(arguments.export)
    plan = planned_requests(arguments.requests)
    server = Server(arguments.export)
    began = time.perf_counter()
    try:
        times, wrong = load(server, inputs, plan, arguments.threads)
        ended = time.perf_counter()
    finally:
        exit_code = server.stop()
    figures = {
        "requests": len(plan),
        "threads": arguments.threads,
        "seconds": ended - began,
        "requests_per_second": len(plan) / (ended - began),
        "kinds": summary(plan, times, wrong),
        "memory": memory(server.megabytes, began, ended),
        "exit_code_of_server": exit_code,
        "wrong": wrong[:100],
    }
    write_json(arguments.out.with_suffix(".json"), figures)
    with replacing_file(arguments.out.with_suffix(".md")) as temporary:
        temporary.write_text(table(figures))
    print(table(figures))
    return 1 if wrong or exit_code else 0


def inputs_and_outputs(export: Path) -> list[tuple[dict, dict]]:
    """Drawn inputs of several sizes, and what the newest version makes of them."""
    versions = version_folders(export)
    if not versions:
        raise ValueError(f"The export must hold a version. Received: {export}, which holds none.")
    model = ServedModel(versions[max(versions)])
    rng = np.random.default_rng(0)
    pairs = []
    for batch in BATCH_SIZES:
        for num_frames in NUM_FRAMES:
            inputs = {}
            for name, info in sorted(model.signatures[SIGNATURE].inputs.items()):
                sizes = [batch, *(size or num_frames for size in info.shape[1:])]
                if info.dtype_name.startswith("float"):
                    inputs[name] = rng.normal(size=sizes).astype(info.dtype_name)
                else:  # lengths
                    inputs[name] = rng.integers(1, num_frames + 1, sizes).astype(info.dtype_name)
            pairs.append((inputs, model.run(SIGNATURE, inputs)))
    model.close()
    return pairs


def planned_requests(count: int) -> list[tuple[str, str]]:
    """APIs and faults of the requests in the order of sending; every fifth is broken."""
    rng = np.random.default_rng(1)
    plan = []
    for number in range(count):
        api = ("grpc", "rest")[int(rng.integers(2))]
        faults = list(BROKEN[api])
        plan.append((api, "" if number % 5 else faults[int(rng.integers(len(faults)))]))
    return plan


def load(
    server: Server, inputs: list[tuple[dict, dict]], plan: list[tuple[str, str]], num_threads: int
) -> tuple[list[float], list[str]]:
    """Sends the requests; returns the seconds of each and what was wrong with some."""
    seconds, wrong = [0.0] * len(plan), []
    numbers = iter(range(len(plan)))
    lock = threading.Lock()

    def work() -> None:
        sender = Sender(server, inputs)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                break
            api, fault = plan[number]
            began = time.perf_counter()
            try:
                found = sender.broken(api, fault) if fault else sender.right(api, number)
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
            seconds[number] = time.perf_counter() - began
            if found:
                wrong.append(f"request {number}, {kind_of(api, fault)}: {found}")
        sender.close()

    threads = [threading.Thread(target=work) for _ in range(num_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds, wrong


def kind_of(api: str, fault: str) -> str:
    """What a row of the table counts together."""
    return f"{api}, {'broken' if fault else 'right'}"


def summary(
    plan: list[tuple[str, str]], seconds: list[float], wrong: list[str]
) -> dict[str, dict[str, float]]:
    """Counts and latencies of each kind of request."""
    by_kind: dict[str, list[float]] = defaultdict(list)
    for (api, fault), taken in zip(plan, seconds, strict=True):
        by_kind[kind_of(api, fault)].append(1000 * taken)
    return {
        kind: {
            "requests": len(taken),
            "answered_rightly": len(taken) - sum(f", {kind}:" in text for text in wrong),
            "median_milliseconds": statistics.median(taken),
            "percentile_95_milliseconds": float(np.percentile(taken, 95)),
        }
        for kind, taken in sorted(by_kind.items())
    }


def memory(megabytes: list[tuple[float, float]], began: float, ended: float) -> dict[str, Any]:
    """The server's memory at the quarter points, and whether it is flat after the first."""
    quarters: list[list[float]] = [[], [], [], []]
    for moment, value in megabytes:
        if began <= moment < ended:
            quarters[int(4 * (moment - began) / (ended - began))].append(value)
    medians = [statistics.median(values) if values else float("nan") for values in quarters]
    ends = [values[-1] if values else float("nan") for values in quarters]
    growth = medians[3] / medians[1] - 1
    return {
        "megabytes_at_quarter_points": ends,
        "growth_from_second_to_last_quarter": growth,
        "flat": bool(growth <= FLAT_WITHIN),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        "| requests | count | answered rightly | median | 95th percentile |",
        "|---|---|---|---|---|",
    ]
    for kind, row in figures["kinds"].items():
        lines.append(
            f"| {kind} | {row['requests']} | {row['answered_rightly']} | "
            f"{row['median_milliseconds']:.1f} ms | {row['percentile_95_milliseconds']:.1f} ms |"
        )
    read = figures["memory"]
    points = ", ".join(f"{value:.0f}" for value in read["megabytes_at_quarter_points"])
    growth = read["growth_from_second_to_last_quarter"]
    lines += [
        "",
        f"{figures['requests_per_second']:.0f} requests a second from {figures['threads']} threads."
        " "
        f"Memory of the server at the quarter points: {points} MB; from the second quarter to the "
        f"last {growth:+.1%}, so it is {'flat' if read['flat'] else 'not flat'}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
