"""A client of TF Serving's REST API: arrays in, arrays out, failures as one sentence.

It talks to the model server and to the stand-in alike, and has the methods of `GrpcClient`.
JSON is some four times as long as the numbers; clips of features are faster over gRPC.
"""

import contextlib
import http.client
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from cham_keras.serving.clients import failures
from cham_keras.serving.clients.json_arrays import array_of_json, json_of_array
from cham_keras.serving.clients.version_status import VersionStatus
from cham_keras.serving.served_model import Signature, signatures_of

MAX_MESSAGE_BYTES = 2**31 - 1

_PORT = 8501


class RestClient:
    """Calls a model on a server.

    Args:
        address: host and port, such as `127.0.0.1:8501`, with `http://` in front or without.
        model: the model's name.
        timeout_seconds: how long the server may be silent.
        max_message_bytes: the largest body in either direction.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        client = RestClient("127.0.0.1:8501", "cham")
        answer = client.predict("serving_default", {"features": features, "lengths": lengths})
    """

    def __init__(
        self,
        address: str,
        model: str,
        timeout_seconds: float = 60.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        """Keeps the address; nothing is sent yet."""
        found = re.fullmatch(r"(?:http://)?([^/:]+|\[[^]]+\]):(\d+)/?", address)
        if not found or int(found[2]) >= 2**16:
            raise ValueError(
                f"`address` must be a host and a port, such as 127.0.0.1:{_PORT}. "
                f"Received: {address!r}."
            )
        failures.check_limits(timeout_seconds, max_message_bytes)
        self._host, self._port = found[1].strip("[]"), int(found[2])
        self.address = f"{found[1]}:{found[2]}"
        self.model = model
        self.timeout_seconds = timeout_seconds
        self.max_message_bytes = max_message_bytes
        self._path = f"/v1/models/{quote(model, safe='')}"
        self._signatures: dict[str, Signature] | None = None

    def predict(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Calls a signature. Several threads may do so at once.

        Args:
            signature: its name.
            inputs: an array for each input; strings as arrays of `bytes` objects. Arrays without
                numbers in them cannot be sent: JSON would lose their shape.
            outputs: names of the outputs that are wanted; all by default. The server sends all.

        Returns:
            arrays by name; strings as arrays of `bytes` objects.

        Raises:
            ValueError: the signature takes other inputs, or there is none of the name.
            ServerError: no server, another one, no such model, no answer in time, a message too
                large, or the model refuses.
        """
        known = self._signatures or self.signatures()
        try:
            failures.check_call(known, signature, inputs, outputs)
        except ValueError:
            # The server may serve another version by now.
            failures.check_call(self.signatures(), signature, inputs, outputs)
        members = ", ".join(
            f"{json.dumps(name)}: {json_of_array(name, np.asarray(array))}"
            for name, array in inputs.items()
        )
        body = f'{{"signature_name": {json.dumps(signature)}, "inputs": {{{members}}}}}'.encode()
        try:
            found = self._called("POST", f"{self._path}:predict", body)
        except failures.ServerError:
            self._signatures = None
            raise
        return self._arrays_of(found, signature, outputs)

    def signatures(self) -> dict[str, Signature]:
        """The signatures of the model, by name.

        Raises:
            ServerError: as `predict`.
        """
        found = self._called("GET", f"{self._path}/metadata")
        try:
            definitions = json_format.ParseDict(
                found["metadata"]["signature_def"],
                get_model_metadata_pb2.SignatureDefMap(),
                ignore_unknown_fields=True,
            )
        except (KeyError, TypeError, json_format.ParseError) as error:
            raise self._other_server("metadata of another form") from error
        self._signatures = signatures_of(definitions.signature_def)
        return dict(self._signatures)

    def status(self) -> list[VersionStatus]:
        """The versions of the model that the server knows, the newest first.

        Raises:
            ServerError: as `predict`.
        """
        found = self._called("GET", self._path)
        try:
            return [
                VersionStatus(
                    int(entry["version"]), entry["state"], entry["status"]["error_message"]
                )
                for entry in found["model_version_status"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise self._other_server("a status of another form") from error

    def close(self) -> None:
        """Does nothing: each call has a connection of its own."""

    def __enter__(self) -> "RestClient":
        """Gives itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Does nothing."""

    def _called(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        if body is not None and len(body) > self.max_message_bytes:
            raise self._too_large(len(body))
        connection = http.client.HTTPConnection(
            self._host, self._port, timeout=self.timeout_seconds
        )
        try:
            code, answer = self._exchanged(connection, method, path, body)
        except TimeoutError as error:
            raise failures.took_too_long(self.address, self.timeout_seconds) from error
        except http.client.HTTPException as error:
            reason = f"an answer that is no HTTP ({type(error).__name__})"
            raise self._other_server(reason) from error
        except OSError as error:
            raise failures.no_server(self.address, error.strerror or str(error)) from error
        finally:
            connection.close()
        return self._read(code, answer, len(body or b""))

    def _exchanged(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.connect()
        # A server that refuses may answer before all is sent.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        if (response.length or 0) > self.max_message_bytes:
            raise self._too_large(response.length or 0)
        answer = response.read(self.max_message_bytes + 1)
        if len(answer) > self.max_message_bytes:
            raise self._too_large(len(answer))
        return response.status, answer

    def _read(self, code: int, answer: bytes, sent: int) -> dict[str, Any]:
        try:
            found = json.loads(answer.decode("utf-8", "surrogateescape"))
        except ValueError as error:
            raise self._other_server(f"HTTP {code} without JSON") from error
        if code == 200 and isinstance(found, dict):
            return found
        message = found.get("error") if isinstance(found, dict) else None
        if not isinstance(message, str):
            raise self._other_server(f"HTTP {code} without an `error`")
        if code == 413:
            limit = re.search(r"vs\. (\d+)", message)
            raise failures.too_large(
                f"as the server at {self.address} is set",
                limit[1] if limit else "fewer",
                str(sent),
                "Raise the server's limit",
            )
        if code == 404:
            raise failures.unknown_model(self.address, self.model, message)
        raise failures.refusal(self.address, f"HTTP {code}", message)

    def _arrays_of(
        self, found: dict[str, Any], signature: str, outputs: Sequence[str] | None
    ) -> dict[str, np.ndarray]:
        known = (self._signatures or self.signatures())[signature].outputs
        try:
            values = found["outputs"]
            if len(known) == 1:
                values = {next(iter(known)): values}
            return {
                name: array_of_json(values[name], info)
                for name, info in known.items()
                if outputs is None or name in outputs
            }
        except (KeyError, TypeError, ValueError) as error:
            self._signatures = None
            raise self._other_server("outputs of another form than its metadata says") from error

    def _too_large(self, size: int) -> failures.ServerError:
        return failures.too_large(
            "as this client is set",
            str(self.max_message_bytes),
            str(size),
            "Raise `max_message_bytes`",
        )

    def _other_server(self, reason: str) -> failures.ServerError:
        return failures.other_server(self.address, "REST", _PORT, reason)
