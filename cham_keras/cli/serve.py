"""`cham serve`: the stand-in for TF Serving over what `cham export` wrote."""

import signal
import threading
import time
from pathlib import Path


def serve(
    base: Path,
    /,
    *,
    port: int = 8500,
    rest_port: int = 8501,
    name: str | None = None,
    host: str = "127.0.0.1",
    poll_seconds: float = 1.0,
    max_message_bytes: int = 2**31 - 1,
    workers: int = 16,
    threads: int = 0,
    grace_seconds: float = 30.0,
) -> int:
    """Serve an export with TF Serving's gRPC and REST APIs, without Docker.

    A stand-in for development and tests: it answers as the model server does, runs the model
    with the same C++ code of TensorFlow, and needs nothing but this package. It does not batch
    requests and has no monitoring. `scripts/serve_tf_serving.sh` runs the model server itself.

    The newest version in the folder is served. A newer one takes its place when it has been
    loaded and has answered its warm-up requests; one that cannot be loaded is reported and the
    older one stays. Ctrl-C or SIGTERM end it after the requests under way.

    Example: `cham serve served/cham`

    Example: `cham serve served/cham --name cham --port 0 --rest-port 0`

    Then: `curl http://127.0.0.1:8501/v1/models/cham`

    Parameters
    ----------
    base
        Folder that `cham export` wrote, with a folder for each version.
    port
        gRPC port; 0 takes any that is free and prints it.
    rest_port
        REST port; likewise.
    name
        The model's name; the folder's if not given.
    host
        Address to listen at; 0.0.0.0 for all, which everybody on the network can then ask.
    poll_seconds
        How often the folder is looked at for new versions.
    max_message_bytes
        Requests that are larger are refused.
    workers
        Requests over gRPC that are answered at a time.
    threads
        Threads of one operation; 0 for as many as there are processors.
    grace_seconds
        How long requests under way may take in the end.
    """
    from cham_keras.serving.stand_in import StandIn

    stopped = threading.Event()
    handlers = {number: _stop_at(number, stopped) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        stand_in = StandIn(
            base,
            name=name,
            host=host,
            port=port,
            rest_port=rest_port,
            poll_seconds=poll_seconds,
            max_message_bytes=max_message_bytes,
            num_workers=workers,
            num_threads=threads,
            log=_print_event,
        )
        stand_in.start()
        stopped.wait()
        _print_event("Stopping; requests under way are ended.")
        stand_in.stop(grace_seconds)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0


def _stop_at(number: signal.Signals, stopped: threading.Event) -> signal.Handlers:
    return signal.signal(number, lambda *_: stopped.set())  # type: ignore[return-value]


def _print_event(event: str) -> None:
    from cham_keras.progress import stderr

    stderr.print(
        f"{time.strftime('%H:%M:%S')} {event}", markup=False, highlight=False, soft_wrap=True
    )
