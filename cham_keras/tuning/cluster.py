"""A search on several machines: one chief with the books, workers that train.

Comes in: a role and the chief's address. Goes out: keras-tuner's environment variables for this
process, a chief that notices silent workers, workers that notice a silent chief. `tune` uses it;
each process alone on its machine calls `cham tune` with a role.

keras-tuner's own chief waits for ever for a worker that has died, and its workers an hour for a
chief. Here a worker says every few seconds that it lives, by asking after its trial.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from typing import Any, Literal

import keras_tuner

Role = Literal["alone", "chief", "worker"]

_IP, _PORT, _ID = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"
#: Seconds between two signs of life.
BEAT_S = 5.0
#: Seconds that an idle worker waits before it asks again.
_IDLE_S = 1.0
_WORKER_KEY = "worker"


@dataclass(frozen=True)
class Cluster:
    """What a process is in a search.

    Attributes:
        role: alone, or the chief, or a worker.
        address: the chief's HOST:PORT; empty where there is none.
        worker: name of this worker, different from all others'; empty where it is none.
        patience_s: after so many seconds of silence a chief gives a worker's trial to another,
            and a worker gives up the chief.
    """

    role: Role = "alone"
    address: str = ""
    worker: str = ""
    patience_s: float = 60.0

    @classmethod
    def of(cls, role: Role | None, address: str | None, patience_s: float = 60.0) -> "Cluster":
        """From options, or where they are not given from keras-tuner's environment variables.

        Raises:
            ValueError: an address is missing or none, or there is one and no role.
        """
        environment = os.environ
        if role is None and address is None and _IP in environment:
            if _ID not in environment:
                raise ValueError(
                    f"The environment variable {_IP} goes with {_ID} (chief, or a worker's name). "
                    f"Received: {_IP}={environment[_IP]} alone. Set {_ID} too, or give --role."
                )
            role = "chief" if "chief" in environment[_ID] else "worker"
        if address is None and role in ("chief", "worker") and _IP in environment:
            address = f"{environment[_IP]}:{environment.get(_PORT, '')}"
            if not environment.get(_PORT, "").isdecimal():
                raise ValueError(
                    f"The environment variable {_IP} goes with {_PORT}, a number. Received: "
                    f"{environment.get(_PORT)}. Set it, or give --address HOST:PORT."
                )
        if role in (None, "alone"):
            if address is not None:
                raise ValueError(
                    f"`address` goes with `role` chief or worker. Received: {address} without."
                )
            return cls()
        host, _, port = (address or "").rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise ValueError(
                f"A {role} needs the chief's address as HOST:PORT. Received: {address}. "
                "For instance --address 127.0.0.1:8765."
            )
        if patience_s <= BEAT_S:
            raise ValueError(
                f"`worker_patience` must be more than the {BEAT_S:.0f} seconds between two signs "
                f"of life. Received: {patience_s}."
            )
        # keras-tuner takes any name with "chief" in it for the chief's.
        name = f"{socket.gethostname()}-{os.getpid()}".replace("chief", "host")
        worker = environment.get(_ID, name) if role == "worker" else ""
        return cls(role, f"{host}:{port}", worker, patience_s)

    def require_host(self) -> None:
        """Refuses a chief's host that is not known, for which a worker would wait in vain.

        Raises:
            OSError: the host has no address.
        """
        host, _, port = self.address.rpartition(":")
        try:
            socket.getaddrinfo(host, int(port))
        except OSError as error:
            raise OSError(
                f"The chief's host must be known to this machine. Received: {host}, which cannot "
                f"be resolved ({error.strerror}). Give its IP address to --address."
            ) from error

    @contextlib.contextmanager
    def environment(self) -> Iterator[None]:
        """Within its block, keras-tuner finds its variables, and its calls have our patience."""
        before = {name: os.environ.pop(name, None) for name in (_IP, _PORT, _ID)}
        if self.role != "alone":
            from keras_tuner.src.distribute import oracle_client

            host, _, port = self.address.rpartition(":")
            name = "chief" if self.role == "chief" else self.worker
            os.environ.update({_IP: host, _PORT: port, _ID: name})
            oracle_client.TIMEOUT = self.patience_s
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


class ChiefUnreachableError(ConnectionError):
    """A worker has waited for its chief in vain."""


@contextlib.contextmanager
def chief_errors_named(cluster: Cluster) -> Iterator[None]:
    """Within its block, gRPC's errors of a worker become one sentence."""
    import grpc

    try:
        yield
    except grpc.RpcError as error:
        raise ChiefUnreachableError(
            f"The chief at {cluster.address} must answer within {cluster.patience_s:.0f} seconds. "
            f"It did not ({error.code().name}). Start it with --role chief, then this worker "
            "again; a trial that was begun goes on."
        ) from error


@contextlib.contextmanager
def signs_of_life(client: Any, trial_id: str, worker: str) -> Iterator[None]:
    """Within its block, the chief hears every few seconds that a trial is being worked on.

    Args:
        client: a worker's oracle; where the oracle is here, nothing is done.
        trial_id: the trial.
        worker: name of this worker.
    """
    if not hasattr(client, "stub"):
        yield
        return
    import grpc
    from keras_tuner.src import protos

    ended = threading.Event()

    def beat() -> None:
        request = protos.get_service().GetTrialRequest(trial_id=trial_id)
        while not ended.is_set():
            # A chief that is away may come again; the end of the trial waits for it.
            with contextlib.suppress(grpc.RpcError):
                client.stub.GetTrial(
                    request, timeout=BEAT_S, metadata=((_WORKER_KEY, worker),), wait_for_ready=True
                )
            ended.wait(BEAT_S)

    thread = threading.Thread(target=beat, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def listening(cluster: Cluster) -> Iterator[Any]:
    """A gRPC server at the chief's address, which it has before anything is written.

    Args:
        cluster: says where.

    Raises:
        OSError: the address cannot be listened on.
    """
    import grpc

    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)]
    )
    try:
        port = server.add_insecure_port(cluster.address)
    except RuntimeError:
        port = 0
    if not port:
        raise OSError(
            f"The chief must be able to listen at {cluster.address}. It cannot: the port may be "
            "taken, or the host be another machine's. Choose another --address."
        )
    try:
        yield server
    finally:
        server.stop(grace=2).wait()


def run_chief(
    server: Any,
    oracle: keras_tuner.Oracle,
    cluster: Cluster,
    *,
    tell: Callable[[str], None],
    watch: Callable[[], None],
) -> None:
    """Serves an oracle until nothing is left to try.

    Args:
        server: as `listening` gives it.
        oracle: with the books.
        cluster: says for how long a worker may be silent.
        tell: gets a sentence about workers that come and go.
        watch: is called every second.

    Raises:
        OSError: what is found cannot be written.
    """
    from keras_tuner.src import protos

    chief = _Chief(oracle, cluster.patience_s, tell)
    servicer = _servicer(chief)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    server.start()
    while not chief.is_done():
        watch()
        time.sleep(1)
    if chief.fault is not None:
        raise chief.fault


class _Chief:
    """Which worker was heard of when."""

    def __init__(self, oracle: Any, patience_s: float, tell: Callable[[str], None]):
        self.oracle, self.patience_s, self.tell = oracle, patience_s, tell
        #: What went wrong here when a trial was entered in the books.
        self.fault: Exception | None = None
        self._heard: dict[str, float] = {}
        self._lock = threading.Lock()
        if waiting := oracle.waiting_trials():
            tell(f"Trials to go on with: {', '.join(waiting)}.")

    def next_trial(self, worker: str) -> Any:
        self._hear(worker)
        trial = self.oracle.create_trial(worker)
        if trial.status == "STOPPED":
            with self._lock:
                self._heard.pop(worker, None)
        return trial

    def still_at(self, worker: str, trial_id: str) -> None:
        """A sign of life; a trial that was thought lost is this worker's again."""
        self._hear(worker)
        self.oracle.take_again(worker, trial_id)

    def end_trial(self, trial: Any) -> None:
        """A fault of this machine, such as a full disk, ends the chief and no worker."""
        try:
            self.oracle.end_trial(trial)
        except Exception as error:
            self.fault = error

    def is_done(self) -> bool:
        """Whether all is tried and all workers know it; what silent ones have is given back."""
        for worker in self._silent():
            trial_id = self.oracle.give_back(worker)
            if trial_id is None:
                self.tell(f"Worker {worker} is gone.")
            else:
                self.tell(
                    f"Worker {worker} is silent for {self.patience_s:.0f} seconds: its trial "
                    f"{trial_id} goes to the next one that asks."
                )
        return self.fault is not None or self.oracle.has_ended()

    def _hear(self, worker: str) -> None:
        with self._lock:
            if worker not in self._heard:
                self.tell(f"Worker {worker} is here.")
            self._heard[worker] = time.monotonic()

    def _silent(self) -> list[str]:
        now = time.monotonic()
        with self._lock:
            silent = [
                worker for worker, then in self._heard.items() if now - then > self.patience_s
            ]
            for worker in silent:
                del self._heard[worker]
        return silent


def _servicer(chief: _Chief) -> Any:
    from keras_tuner.src import protos
    from keras_tuner.src.distribute.oracle_chief import OracleServicer

    class Servicer(OracleServicer):
        """keras-tuner's, which notes who calls."""

        def CreateTrial(self, request: Any, context: Any) -> Any:
            trial = chief.next_trial(request.tuner_id)
            if trial.status == "IDLE":
                time.sleep(_IDLE_S)  # workers ask again at once
            return protos.get_service().CreateTrialResponse(trial=trial.to_proto())

        def EndTrial(self, request: Any, context: Any) -> Any:
            chief.end_trial(keras_tuner.engine.trial.Trial.from_proto(request.trial))
            return protos.get_service().EndTrialResponse()

        def GetTrial(self, request: Any, context: Any) -> Any:
            worker = dict(context.invocation_metadata()).get(_WORKER_KEY)
            if worker is not None:
                chief.still_at(worker, request.trial_id)
            return super().GetTrial(request, context)

    return Servicer(chief.oracle)
