"""A client of TF Serving's gRPC API: arrays in, arrays out, failures as one sentence.

It talks to the model server and to the stand-in alike. `RestClient` has the same methods.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.clients import failures
from cham_keras.serving.clients.version_status import VersionStatus
from cham_keras.serving.served_model import Signature, signatures_of
from cham_keras.serving.tensors import array_of_tensor, tensor_of_array

#: gRPC's own default, 4 MB, is less than one clip of 30 frames of 7 x 7 x 2048 features.
MAX_MESSAGE_BYTES = 2**31 - 1

_PORT = 8500
_Code = grpc.StatusCode


class GrpcClient:
    """Calls a model on a server.

    Args:
        address: host and port, such as `127.0.0.1:8500`.
        model: the model's name.
        timeout_seconds: how long a call may take.
        max_message_bytes: the largest message in either direction.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        client = GrpcClient("127.0.0.1:8500", "cham")
        answer = client.predict("serving_default", {"features": features, "lengths": lengths})
    """

    def __init__(
        self,
        address: str,
        model: str,
        timeout_seconds: float = 60.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        """Opens a channel; nothing is sent yet."""
        found = re.fullmatch(r".+:(\d+)", address)
        if not found or "//" in address or int(found[1]) >= 2**16:
            raise ValueError(
                f"`address` must be a host and a port, such as 127.0.0.1:{_PORT}. "
                f"Received: {address!r}."
            )
        failures.check_limits(timeout_seconds, max_message_bytes)
        self.address = address
        self.model = model
        self.timeout_seconds = timeout_seconds
        self.max_message_bytes = max_message_bytes
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_send_message_length", max_message_bytes),
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.enable_http_proxy", 0),
            ],
        )
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Calls a signature. Several threads may do so at once.

        Args:
            signature: its name.
            inputs: an array for each input; strings as arrays of `bytes` objects.
            outputs: names of the outputs that are wanted; all by default.

        Returns:
            arrays by name; strings as arrays of `bytes` objects.

        Raises:
            ValueError: the signature takes other inputs, or there is none of the name.
            ServerError: no server, another one, no such model, no answer in time, a message too
                large, or the model refuses.
        """
        request = predict_pb2.PredictRequest(output_filter=outputs or ())
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tensor_of_array(np.asarray(array), as_content=True))
        try:
            response = self._predictions.Predict(request, timeout=self.timeout_seconds)
        except grpc.RpcError as error:
            if error.code() in (_Code.INVALID_ARGUMENT, _Code.FAILED_PRECONDITION, _Code.INTERNAL):
                failures.check_call(self.signatures(), signature, inputs, outputs)
            raise self._failure(error) from error
        try:
            return {name: array_of_tensor(tensor) for name, tensor in response.outputs.items()}
        except StatusError as error:
            raise failures.other_server(self.address, "gRPC", _PORT, error.message) from error

    def signatures(self) -> dict[str, Signature]:
        """The signatures of the model, by name.

        Raises:
            ServerError: as `predict`.
        """
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = self.model
        response = self._called(self._predictions.GetModelMetadata, request)
        found = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(found)
        return signatures_of(found.signature_def)

    def status(self) -> list[VersionStatus]:
        """The versions of the model that the server knows, the newest first.

        Raises:
            ServerError: as `predict`.
        """
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self.model
        response = self._called(self._models.GetModelStatus, request)
        return [
            VersionStatus(
                entry.version,
                get_model_status_pb2.ModelVersionStatus.State.Name(entry.state),
                entry.status.error_message,
            )
            for entry in response.model_version_status
        ]

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def __enter__(self) -> "GrpcClient":
        """Gives itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the channel."""
        self.close()

    def _called(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self.timeout_seconds)
        except grpc.RpcError as error:
            raise self._failure(error) from error

    def _failure(self, error: grpc.RpcError) -> failures.ServerError:
        code, message = error.code(), error.details() or ""
        if code == _Code.UNAVAILABLE:
            if "http1" in message.lower() or "HTTP/2" in message:
                reason = "a server that speaks something else, maybe HTTP/1"
                return failures.other_server(self.address, "gRPC", _PORT, reason)
            return failures.no_server(self.address, _last_reason(message))
        if code == _Code.DEADLINE_EXCEEDED:
            return failures.took_too_long(self.address, self.timeout_seconds)
        if code == _Code.UNIMPLEMENTED:
            return failures.other_server(self.address, "gRPC", _PORT, message)
        if code == _Code.NOT_FOUND:
            return failures.unknown_model(self.address, self.model, message)
        if code == _Code.RESOURCE_EXHAUSTED and "larger than max" in message:
            return self._too_large(message)
        return failures.refusal(self.address, code.name, message)

    def _too_large(self, message: str) -> failures.ServerError:
        sizes = re.search(r"\((\d+) vs\. (\d+)\)", message)
        size, limit = sizes.groups() if sizes else ("more", "?")
        if int(limit) == self.max_message_bytes and "SERVER" not in message:
            change = "Raise `max_message_bytes`"
            return failures.too_large("as this client is set", limit, size, change)
        return failures.too_large(
            f"as the server at {self.address} is set", limit, size, "Raise the server's limit"
        )


def _last_reason(message: str) -> str:
    """The end of gRPC's chain of reasons, such as `Connection refused`."""
    return message.rsplit(": ", 1)[-1].strip(" )}\"'") or "unavailable"
