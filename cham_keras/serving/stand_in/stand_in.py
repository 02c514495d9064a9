"""The stand-in: a small server with the APIs of TF Serving, for development and tests.

Comes in: the folder of a model's versions. Goes out: answers over gRPC and REST, as a model
server gives them. It has neither batching nor monitoring, and Python between the network and
the model: for production there is the model server itself.
"""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from cham_keras.paths import local_path
from cham_keras.serving.stand_in.grpc_services import ModelService, PredictionService
from cham_keras.serving.stand_in.rest_answers import RestAnswers
from cham_keras.serving.stand_in.rest_server import RestServer
from cham_keras.serving.stand_in.served_versions import AVAILABLE, ServedVersions

#: The model server takes messages up to here.
MAX_MESSAGE_BYTES = 2**31 - 1


class StandIn:
    """A server for one model, started with `start` or `with`, ended with `stop`.

    Args:
        base: folder with a folder for each version, whose name is a number.
        name: the model's name; the folder's by default.
        host: the address to listen at.
        port: gRPC port; 0 for any that is free.
        rest_port: REST port; likewise.
        poll_seconds: how often the folder is looked at for new versions.
        max_message_bytes: requests that are larger are refused.
        num_workers: requests over gRPC that are answered at a time.
        num_threads: threads of one operation, 0 for as many as there are processors.
        xla: whether XLA may compile; a model server is built without.
        log: is called with a sentence for each event.

    Attributes:
        port: the gRPC port.
        rest_port: the REST port.

    Raises:
        ValueError: there is no such folder, or both ports are the same.
    """

    def __init__(
        self,
        base: Path | str,
        *,
        name: str | None = None,
        host: str = "127.0.0.1",
        port: int = 8500,
        rest_port: int = 8501,
        poll_seconds: float = 1.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        num_workers: int = 16,
        num_threads: int = 0,
        xla: bool = False,
        log: Callable[[str], None] = lambda event: None,
    ) -> None:
        """Checks the arguments; nothing is loaded yet."""
        folder = local_path(base, "The folder of versions")
        if not folder.is_dir():
            raise ValueError(
                f"The folder of versions must exist. Received: {folder}. "
                "`cham export RUN --out FOLDER` writes one."
            )
        if port == rest_port and port:
            raise ValueError(f"`port` and `rest_port` must differ. Received: {port} for both.")
        if poll_seconds <= 0 or max_message_bytes <= 0 or num_workers <= 0:
            raise ValueError(
                "`poll_seconds`, `max_message_bytes` and `num_workers` must be above 0. Received: "
                f"{poll_seconds}, {max_message_bytes}, {num_workers}."
            )
        self.host, self.port, self.rest_port = host, port, rest_port
        self._log = log
        self._max_message_bytes = max_message_bytes
        # Each worker answers one request over gRPC; what waits beyond them waits in gRPC.
        self._workers = ThreadPoolExecutor(num_workers, thread_name_prefix="grpc")
        self.versions = ServedVersions(
            name or folder.resolve().name,
            folder,
            log=log,
            poll_seconds=poll_seconds,
            xla=xla,
            num_threads=num_threads,
        )
        self._grpc: grpc.Server | None = None
        self._rest: RestServer | None = None

    def start(self) -> None:
        """Loads the newest version and serves it.

        Raises:
            ValueError: there is no version, or the newest cannot be loaded; or a port is held
                by another program, or is none of this machine's.
        """
        try:
            self._start()
        except BaseException:
            self.stop(grace_seconds=0)
            raise

    def stop(self, grace_seconds: float = 30.0) -> None:
        """Takes no more requests, ends those under way and frees the model.

        Args:
            grace_seconds: how long requests under way may take; after that their clients get
                an error. The model is freed when the last of them has ended.
        """
        ended = self._grpc.stop(grace_seconds) if self._grpc is not None else None
        if self._rest is not None:
            self._rest.stop(grace_seconds)
        if ended is not None:
            ended.wait()
        self._grpc = self._rest = None
        self.versions.stop()
        self._workers.shutdown()

    def __enter__(self) -> "StandIn":
        """Starts it."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Ends it."""
        self.stop()

    def _start(self) -> None:
        for option, port in (("port", self.port), ("rest_port", self.rest_port)):
            _check_port(self.host, port, option)  # before the model is loaded
        self.versions.look()
        try:
            states = self.versions.states(self.versions.name)
        except Exception as error:
            raise ValueError(
                f"The folder of versions must hold a folder whose name is a number. "
                f"Received: {self.versions.base}, which holds none. "
                "`cham export RUN --out FOLDER` writes one."
            ) from error
        newest, state = next(iter(states.items()))
        if state.state != AVAILABLE:
            raise ValueError(
                f"The newest version must be one that can be loaded. "
                f"Received: {self.versions.base / str(newest)}. {state.message}"
            )
        self._bind()
        self.versions.start()
        name = self.versions.name
        self._log(
            f"Serving {name} at {self.host}:{self.port} (gRPC) and "
            f"http://{self.host}:{self.rest_port}/v1/models/{name} (REST). Ctrl-C ends it."
        )

    def _bind(self) -> None:
        self._grpc = grpc.server(
            self._workers,
            options=[
                ("grpc.max_receive_message_length", self._max_message_bytes),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),  # a second server on the port must fail
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self.versions), self._grpc
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(self.versions), self._grpc
        )
        try:
            self.port = self._grpc.add_insecure_port(f"{self.host}:{self.port}")
        except RuntimeError as error:
            raise _port_refused("port", self.host, self.port, str(error)) from error
        try:
            self._rest = RestServer(
                (self.host, self.rest_port),
                RestAnswers(self.versions),
                max_message_bytes=self._max_message_bytes,
                log=self._log,
            )
        except OSError as error:
            raise _port_refused("rest_port", self.host, self.rest_port, str(error)) from error
        self.rest_port = self._rest.server_address[1]
        self._grpc.start()
        self._rest.start()


def _check_port(host: str, port: int, option: str) -> None:
    """Tries a port with a socket of ours: gRPC would print lines of its own."""
    if not 0 <= port < 2**16:
        raise ValueError(f"`{option}` must lie between 0 and 65535. Received: {port}.")
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            raise _port_refused(option, host, port, error.strerror or str(error)) from error


def _port_refused(option: str, host: str, port: int, reason: str) -> ValueError:
    return ValueError(
        f"`{option}` must be free at {host}. Received: {port} ({reason}). "
        "Stop the program that holds it, or name another; 0 takes any that is free."
    )
