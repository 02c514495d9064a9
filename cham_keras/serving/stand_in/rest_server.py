"""The HTTP server of the stand-in's REST side: reads requests, asks `RestAnswers`, writes."""

import contextlib
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cham_keras.serving.stand_in.json_answers import json_of_error
from cham_keras.serving.stand_in.rest_answers import RestAnswers

_READ_AT_ONCE = 1 << 20


class RestServer(ThreadingHTTPServer):
    """Serves REST requests, each connection in a thread of its own.

    Args:
        address: host and port; port 0 for any that is free.
        answers: what answers.
        max_message_bytes: requests with a longer body are refused.
        log: is called with a sentence where answering fails.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        answers: RestAnswers,
        *,
        max_message_bytes: int,
        log: Callable[[str], None],
    ) -> None:
        """Binds the port; `start` serves."""
        super().__init__(address, _Handler)
        self.answers = answers
        self.max_message_bytes = max_message_bytes
        self.stopping = False
        self._log = log
        self._changed = threading.Condition()
        self._busy: dict[Any, bool] = {}
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="rest", daemon=True
        )

    def start(self) -> None:
        """Serves in a thread."""
        self._thread.start()

    def stop(self, grace_seconds: float) -> None:
        """Takes no more requests, ends those under way, and closes.

        Args:
            grace_seconds: how long these may take; the rest is cut off.
        """
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        with self._changed:
            self.stopping = True
            for connection, busy in self._busy.items():
                if not busy:  # it waits for a request that will not be taken
                    _shut(connection, socket.SHUT_RD)
            self._changed.wait_for(lambda: not self._busy, timeout=grace_seconds)
            for connection in self._busy:
                _shut(connection, socket.SHUT_RDWR)
        self.server_close()

    def note(self, connection: Any, busy: bool | None) -> None:
        """Notes whether a request is under way on a connection; None where it has ended."""
        with self._changed:
            if busy is None:
                self._busy.pop(connection, None)
            else:
                self._busy[connection] = busy
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tells of an error that is no end of a connection."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            self._log(f"A REST request failed: {type(error).__name__}: {error}")


class _Handler(BaseHTTPRequestHandler):
    server: RestServer
    protocol_version = "HTTP/1.1"
    server_version = "cham-stand-in"
    sys_version = ""
    # Head and body in one packet: two of them would wait for one another.
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.note(self.connection, busy=False)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.note(self.connection, busy=None)

    def parse_request(self) -> bool:
        self.server.note(self.connection, busy=True)
        return super().parse_request()

    def handle_one_request(self) -> None:
        super().handle_one_request()
        self.server.note(self.connection, busy=False)
        if self.server.stopping:
            self.close_connection = True

    def do_POST(self) -> None:
        """Answers any method; `RestAnswers` refuses those that there are not."""
        body = self._body()
        if body is None:
            return
        try:
            code, answer = self.server.answers.answer(self.command, self.path, body)
        except Exception as error:
            self._write(500, json_of_error(f"{type(error).__name__}: {error}"))
            raise
        self._write(code, answer)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_POST

    def _body(self) -> bytes | None:
        """The request's body; None where it is refused and that has been answered."""
        if self.headers.get("Transfer-Encoding", "identity").lower() != "identity":
            self.close_connection = True
            self._write(411, json_of_error("The request must have a Content-Length."))
            return None
        stated = self.headers.get("Content-Length", "0")
        if not (stated.isascii() and stated.isdecimal()):
            self.close_connection = True
            self._write(400, json_of_error(f"Content-Length must be a number. Received: {stated}"))
            return None
        length, limit = int(stated), self.server.max_message_bytes
        if length > limit:
            self.close_connection = True
            # Read to the end, so that the client comes to read the answer.
            while length and (part := self.rfile.read(min(length, _READ_AT_ONCE))):
                length -= len(part)
            self._write(
                413, json_of_error(f"Received message larger than max ({stated} vs. {limit})")
            )
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return None  # the client has gone
        return body

    def _write(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection or self.server.stopping:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        """Says nothing: a line a request would be too many."""


def _shut(connection: Any, how: int) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(how)
