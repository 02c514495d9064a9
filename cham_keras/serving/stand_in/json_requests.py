"""The body of a REST request, read as the model server reads it.

Comes in: bytes of JSON and what the signature takes. Goes out: an array for each input, or a
status with the words of the model server. `rest_answers` calls this.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.served_model import TensorInfo
from cham_keras.serving.stand_in.json_tensors import array_of_value, is_base64, refused, shown
from cham_keras.serving.tensors import INVALID_ARGUMENT


def parse_json(body: bytes) -> dict[str, Any]:
    """The object that a request's body is.

    Raises:
        StatusError: it is no JSON, or no object.
    """
    if not body:
        raise refused("JSON Parse error: The document is empty")
    try:
        document = json.loads(body.decode("utf-8", "surrogateescape"))
    except json.JSONDecodeError as error:
        raise refused(f"JSON Parse error: {error.msg} at offset: {error.pos}") from error
    except RecursionError as error:
        raise refused("JSON Parse error: it is nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise refused(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise refused(f"JSON Value: {shown(document)} Is not object")
    return document


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a request names; an empty string where it names none.

    Raises:
        StatusError: it is no string.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise refused(
            f"JSON Value: {shown(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def arrays_of_request(
    document: Mapping[str, Any], inputs: Mapping[str, TensorInfo]
) -> tuple[dict[str, np.ndarray], bool]:
    """The arrays that a predict request holds, in rows (`instances`) or columns (`inputs`).

    Args:
        document: the request.
        inputs: what the signature takes.

    Returns:
        an array for each input; and whether the request is in rows, so the answer must be.

    Raises:
        StatusError: it has neither or both, or its values do not fit the signature.
    """
    if "instances" in document and "inputs" in document:
        raise refused(
            f"JSON Value: {shown(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if "instances" in document:
        return _arrays_of_rows(document, inputs), True
    if "inputs" in document:
        return _arrays_of_columns(document["inputs"], inputs), False
    raise refused("Missing 'inputs' or 'instances' key")


def _arrays_of_rows(
    document: Mapping[str, Any], inputs: Mapping[str, TensorInfo]
) -> dict[str, np.ndarray]:
    rows = document["instances"]
    if not isinstance(rows, list):
        raise refused(f"JSON Value: {shown(document)} Excepting 'instances' to be an list/array")
    if not rows:
        raise refused(f"JSON Value: {shown(document)} No values in 'instances' array")
    if not isinstance(rows[0], dict) and len(inputs) > 1:
        raise refused(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    named = _is_named(rows[0])
    columns: dict[str, list[np.ndarray]] = {name: [] for name in inputs}
    for number, row in enumerate(rows):
        if _is_named(row) != named:
            raise refused(
                f"Expecting object but got list at item {number} of input list"
                if named
                else f"Expecting value/list but got object at item {number} of input list"
            )
        values = row if named else {next(iter(inputs)): row}
        for name, value in values.items():
            key = f" key: {name}" if named else ""
            try:
                _add_row(columns, name, value, inputs)
            except StatusError as error:
                raise StatusError(
                    INVALID_ARGUMENT,
                    f"Failed to process element: {number}{key} of 'instances' list. "
                    f"Error: {error.message}",
                ) from error
        if set(values) != set(inputs):
            raise refused(
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                f"{shown(row)} keys must be equal to: {','.join(sorted(inputs))}"
            )
    return {name: np.stack(arrays) for name, arrays in columns.items()}


def _is_named(row: Any) -> bool:
    return isinstance(row, dict) and not is_base64(row)


def _add_row(
    columns: dict[str, list[np.ndarray]], name: str, value: Any, inputs: Mapping[str, TensorInfo]
) -> None:
    if name not in inputs:
        raise refused(f"JSON object: does not have named input: {name}")
    array = array_of_value(value, inputs[name])
    column = columns[name]
    if column and column[0].size != array.size:
        raise refused(f"Expecting tensor size: {column[0].size} but got: {array.size}")
    if column and column[0].shape != array.shape:
        raise refused(f"Expecting shape {_listed(column[0].shape)} but got: {_listed(array.shape)}")
    column.append(array)


def _arrays_of_columns(values: Any, inputs: Mapping[str, TensorInfo]) -> dict[str, np.ndarray]:
    if not _is_named(values):
        if len(inputs) > 1:
            raise refused(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        return {name: array_of_value(values, info) for name, info in inputs.items()}
    for name in inputs:
        if name not in values:
            raise refused(f"Missing named input: {name} in 'inputs' object.")
    return {name: array_of_value(values[name], info) for name, info in inputs.items()}


def _listed(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
