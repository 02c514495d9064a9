"""Arrays as JSON for TF Serving's REST API, and back."""

import base64
import json
from typing import Any

import numpy as np

from cham_keras.serving.c_library import STRING_DTYPE
from cham_keras.serving.served_model import TensorInfo

#: Nine digits give a float32 back as it was, and are written faster than a double's. Whole
#: numbers have no point then, and the server takes such only as far as float32 has them all.
_SHORT = "%.9g"
_SHORT_BELOW = 2**24


def json_of_array(name: str, array: np.ndarray) -> str:
    """JSON of an array: nested lists, strings as `{"b64": …}`.

    Args:
        name: what the array is called in the error.
        array: numbers, truth values, or `bytes` objects.

    Raises:
        ValueError: the array is empty, or holds other objects than `bytes`.
    """
    if not array.size:
        raise ValueError(
            f"The input {name!r} must hold something, since JSON loses the shape of what is "
            f"empty. Received: {list(array.shape)}. Use GrpcClient for it."
        )
    if array.dtype == object:
        encoded = np.empty(array.size, dtype=object)
        encoded[:] = [_base64(text) for text in array.ravel()]
        return json.dumps(encoded.reshape(array.shape).tolist())
    short = array.dtype in (np.float16, np.float32) and array.ndim > 0
    if short and (np.abs(array) < _SHORT_BELOW).all():  # so none is NaN
        return _short(array)
    return json.dumps(array.tolist())


def array_of_json(value: Any, info: TensorInfo) -> np.ndarray:
    """The array that a server's JSON stands for.

    Args:
        value: nested lists.
        info: the output as the signature states it.

    Raises:
        ValueError: the value has another rank, or no numbers of the dtype.
    """
    if info.dtype == STRING_DTYPE:
        array = np.empty(_shape_of(value), dtype=object)
        array.ravel()[:] = [_bytes_of(text) for text in _flat(value)]
    else:
        array = np.array(value, dtype=info.dtype_name)
    if array.size and not info.fits(array):
        raise ValueError(f"The output must have the shape {info.shape}. Received: {array.shape}.")
    return array


def _short(array: np.ndarray) -> str:
    if array.ndim == 1:
        form = ",".join([_SHORT] * len(array))  # a row in one step: there may be millions
        return f"[{form % tuple(array.tolist())}]"
    return f"[{','.join(map(_short, array))}]"


def _base64(text: Any) -> dict[str, str]:
    if not isinstance(text, bytes):
        raise ValueError(
            f"An array of objects must hold `bytes` only. Received: {type(text).__name__}."
        )
    return {"b64": base64.b64encode(text).decode()}


def _shape_of(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        return ()
    return (len(value), *(_shape_of(value[0]) if value else ()))


def _flat(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return [item for part in value for item in _flat(part)]


def _bytes_of(text: Any) -> bytes:
    if isinstance(text, dict):
        return base64.b64decode(text["b64"], validate=True)
    if not isinstance(text, str):
        raise ValueError(f"A string must be text or Base64. Received: {text!r}.")
    return text.encode("utf-8", "surrogateescape")
