"""The REST side of the stand-in without its socket: a request in, a status and JSON out.

The paths, the formats and the codes are the model server's.
"""

import re
from typing import Any
from urllib.parse import unquote

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.classify_request import answer_classify
from cham_keras.serving.predict_request import DEFAULT_SIGNATURE, predict_signature
from cham_keras.serving.served_model import ServedModel
from cham_keras.serving.stand_in.json_answers import (
    json_of_classification,
    json_of_columns,
    json_of_error,
    json_of_rows,
)
from cham_keras.serving.stand_in.json_examples import classification_request
from cham_keras.serving.stand_in.json_requests import (
    arrays_of_request,
    parse_json,
    signature_name,
)
from cham_keras.serving.stand_in.json_tensors import refused
from cham_keras.serving.stand_in.model_answers import (
    SIGNATURE_DEF,
    asked_version,
    model_metadata,
    model_status,
)
from cham_keras.serving.stand_in.served_versions import ServedVersions

UNIMPLEMENTED = 12

#: The HTTP codes of statuses; all others are 500.
HTTP_CODES = {1: 499, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400}
HTTP_CODES |= {12: 501, 14: 503, 16: 401}

_VERSION = r"(?:/versions/(?P<number>\d+)|/labels/(?P<label>[^/:]+))?"
_API_PATH = re.compile(r"/v1/.*", re.IGNORECASE)
_POST_PATH = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)",
    re.IGNORECASE | re.ASCII,
)
_GET_PATH = re.compile(
    rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?",
    re.IGNORECASE | re.ASCII,
)


class RestAnswers:
    """Answers HTTP requests as TF Serving's REST API does.

    Args:
        versions: the versions of the model.
    """

    def __init__(self, versions: ServedVersions) -> None:
        """Keeps the versions."""
        self._versions = versions

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """Answers a request.

        Args:
            method: GET or POST; all others are refused.
            target: path and query.
            body: what was sent.

        Returns:
            the HTTP code, and JSON: the answer, or an object with `error`.
        """
        path = target.partition("?")[0]
        if not _API_PATH.fullmatch(path):
            return 404, json_of_error(f"There is no such path: {path}")
        try:
            return 200, self._answered(method, path, body)
        except StatusError as error:
            return HTTP_CODES.get(error.code, 500), json_of_error(error.message)

    def _answered(self, method: str, path: str, body: bytes) -> bytes:
        pattern = {"POST": _POST_PATH, "GET": _GET_PATH}.get(method)
        found = pattern.fullmatch(path) if pattern is not None else None
        if found is None:
            raise refused(f"Malformed request: {method} {path}")
        parts = found.groupdict()
        spec = _spec_of(parts)
        if method == "GET":
            if not spec.name:
                raise refused("Missing model name in request.")
            return self._metadata(spec) if parts["metadata"] else self._status(spec)
        verb = parts["method"].lower()
        if verb == "predict":
            return self._predict(spec, parse_json(body))
        if verb == "classify":
            return self._classify(spec, parse_json(body))
        raise StatusError(UNIMPLEMENTED, "The stand-in has no Regress; TF Serving has.")

    def _predict(self, spec: model_pb2.ModelSpec, document: dict[str, Any]) -> bytes:
        name = signature_name(document) or DEFAULT_SIGNATURE
        with asked_version(self._versions, spec) as loaded:
            inputs = _inputs_of(loaded.model, name)
            arrays, in_rows = arrays_of_request(document, inputs)
            outputs = loaded.model.run(name, arrays)
        return json_of_rows(outputs) if in_rows else json_of_columns(outputs)

    def _classify(self, spec: model_pb2.ModelSpec, document: dict[str, Any]) -> bytes:
        request = classification_request(document)
        with asked_version(self._versions, spec) as loaded:
            response = answer_classify(loaded.model, request)
        return json_of_classification(response.result)

    def _status(self, spec: model_pb2.ModelSpec) -> bytes:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        response = model_status(self._versions, request)
        return _json_of(response).encode()

    def _metadata(self, spec: model_pb2.ModelSpec) -> bytes:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=[SIGNATURE_DEF]
        )
        response = model_metadata(self._versions, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[SIGNATURE_DEF].Unpack(signatures)
        spec_json, signatures_json = (
            _json_of(message, preserving_proto_field_name=True)
            for message in (response.model_spec, signatures)
        )
        return (
            f'{{\n"model_spec":{spec_json},\n'
            f'"metadata": {{"signature_def": {signatures_json}}}\n}}\n'
        ).encode()


def _json_of(message: Any, **options: bool) -> str:
    """JSON of a message, with the fields that hold nothing."""
    try:
        return json_format.MessageToJson(
            message, always_print_fields_with_no_presence=True, **options
        )
    except TypeError:  # protobuf before 26, as TensorFlow 2.16 and 2.17 need it
        return json_format.MessageToJson(message, including_default_value_fields=True, **options)


def _spec_of(parts: dict[str, str | None]) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=unquote(parts["name"] or ""))
    if parts["number"]:
        number = int(parts["number"])
        if number >= 2**63:
            raise refused(f"Failed to convert version: {parts['number']} to numeric.")
        spec.version.value = number
    if parts["label"]:
        spec.version_label = unquote(parts["label"])
    return spec


def _inputs_of(model: ServedModel, name: str) -> dict[str, Any]:
    if name not in model.signatures:
        raise refused(f'Serving signature name: "{name}" not found in signature def')
    inputs = predict_signature(model, name).inputs
    if not inputs:
        raise refused(f"Failed to get input map for signature: {name}")
    return inputs
