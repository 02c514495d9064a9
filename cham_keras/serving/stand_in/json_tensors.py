"""A JSON value as the model server makes a tensor of it.

Comes in: what `json` read. Goes out: an array of the dtype that the signature states, or a
status with the words of the model server. `json_requests` and `json_examples` call this.
"""

import base64
import binascii
import json
from typing import Any

import numpy as np

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.served_model import TensorInfo
from cham_keras.serving.tensors import INVALID_ARGUMENT

UNIMPLEMENTED = 12

#: The names that the model server gives to dtypes, where NumPy's are others.
_SERVER_NAMES = {"float32": "float", "float64": "double", "float16": "half"}
_JSON_NAMES = {dict: "Object", list: "Array", str: "String", type(None): "Null"}
#: For each dtype the range that its numbers in JSON must lie in.
_INTEGER_RANGES = {
    **dict.fromkeys(("int32", "int16", "int8", "uint8"), (-(2**31), 2**31 - 1)),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
#: Integers up to here are themselves as floating point numbers.
_EXACT_INTEGERS = {"float32": 2**24 - 1, "float64": 2**53 - 1}


def array_of_value(value: Any, info: TensorInfo) -> np.ndarray:
    """The array that nested lists stand for.

    Args:
        value: nested lists, or one number or string for a scalar.
        info: the input as the signature states it; only its dtype is looked at.

    Raises:
        StatusError: the lists are ragged, or a value is of another type.
    """
    shape = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        if not first:
            break
        first = first[0]
    flat: list[Any] = []
    _flatten(value, 0, shape, flat)
    return _converted(flat, info.dtype_name).reshape(shape)


def decoded_string(value: Any) -> bytes:
    """The bytes of a JSON string, or of an object `{"b64": …}`.

    Raises:
        StatusError: it is neither, or no Base64.
    """
    if isinstance(value, str):
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise refused("JSON Parse error: a string has half of a surrogate pair") from error
    if not is_base64(value):
        raise refused(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    text = "".join(value["b64"].split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise refused("Unable to base64 decode") from error


def is_base64(value: Any) -> bool:
    """Whether a value is an object that holds Base64 and nothing else."""
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def json_name(value: Any) -> str:
    """What the model server calls the type of a JSON value."""
    if isinstance(value, bool):
        return str(value)
    return _JSON_NAMES.get(type(value), "Number")


def refused(reason: str) -> StatusError:
    """The status of a request that is wrong."""
    return StatusError(INVALID_ARGUMENT, reason)


def shown(value: Any) -> str:
    """A JSON value for a message, cut off where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _flatten(value: Any, level: int, shape: list[int], flat: list[Any]) -> None:
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise refused(
                f"JSON Value: {shown(value)} found at incorrect level: {level + 1} "
                f"in the JSON DOM. Expected at level: {rank}"
            )
        flat.append(value)
        return
    if level >= rank:
        raise refused(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise refused(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    if level == rank - 1 and list not in set(map(type, value)):
        flat.extend(value)  # millions of numbers in one step
        return
    for part in value:
        _flatten(part, level + 1, shape, flat)


def _converted(flat: list[Any], dtype: str) -> np.ndarray:
    if dtype == "string":
        strings = np.empty(len(flat), dtype=object)
        _check_types(flat, {str, dict}, dtype)
        strings[:] = [decoded_string(value) for value in flat]
        return strings
    if dtype in _EXACT_INTEGERS:
        _check_types(flat, {int, float}, dtype)
        return _floats(flat, dtype)
    if dtype in _INTEGER_RANGES:
        _check_types(flat, {int}, dtype)
        least, most = _INTEGER_RANGES[dtype]
        for value in flat:
            if not least <= value <= most:
                raise _wrong_type(value, dtype)
        wide = np.uint64 if dtype == "uint64" else np.int64
        return np.array(flat, wide).astype(dtype)
    if dtype == "bool":
        _check_types(flat, {bool}, dtype)
        return np.array(flat, bool)
    raise StatusError(
        UNIMPLEMENTED,
        f"Conversion of JSON Value: {shown(flat[0] if flat else [])} to type: "
        f"{_SERVER_NAMES.get(dtype, dtype)}",
    )


def _floats(flat: list[Any], dtype: str) -> np.ndarray:
    for value in flat:
        if type(value) is int and abs(value) > _EXACT_INTEGERS[dtype]:
            raise _lossy(value, dtype)
    wide = np.array(flat, np.float64)
    too_large = np.isfinite(wide) & (np.abs(wide) > np.finfo(dtype).max)
    if too_large.any():
        raise _lossy(flat[int(too_large.argmax())], dtype)
    return wide.astype(dtype)


def _check_types(flat: list[Any], allowed: set[type], dtype: str) -> None:
    if not set(map(type, flat)) <= allowed:
        raise _wrong_type(next(value for value in flat if type(value) not in allowed), dtype)


def _wrong_type(value: Any, dtype: str) -> StatusError:
    return refused(
        f"JSON Value: {shown(value)} Type: {json_name(value)} is not of expected type: "
        f"{_SERVER_NAMES.get(dtype, dtype)}"
    )


def _lossy(value: Any, dtype: str) -> StatusError:
    return refused(
        f"Cannot convert JSON value: {shown(value)} to {_SERVER_NAMES[dtype]} "
        "without loss of precision."
    )
