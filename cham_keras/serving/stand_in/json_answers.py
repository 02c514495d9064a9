"""The body of a REST answer, written as the model server writes it.

Comes in: the arrays that a signature gave. Goes out: bytes of JSON, in rows or columns as the
request was. NaN and the infinities are written as `NaN`, `Infinity` and `-Infinity`.
"""

import base64
import json
import math
from collections.abc import Mapping

import numpy as np
from tensorflow_serving.apis import classification_pb2

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.stand_in.json_tensors import refused

#: Outputs with strings and this end of the name are written as Base64.
BYTES_SUFFIX = "_bytes"


def json_of_rows(arrays: Mapping[str, np.ndarray]) -> bytes:
    """`{"predictions": […]}`: a row an example, with names where there are several outputs.

    Raises:
        StatusError: an output has no batch axis, or another batch size than the others.
    """
    sizes = {}
    for name, array in arrays.items():
        if not array.ndim:
            raise refused(f"Tensor name: {name} has no shape information ")
        sizes[name] = len(array)
    batch_size = next(iter(sizes.values()))
    for name, size in sizes.items():
        if size != batch_size:
            raise refused(
                f"Tensor name: {name} has inconsistent batch size: {size} expecting: {batch_size}"
            )
    columns = {name: _nested(name, array, 1) for name, array in arrays.items()}
    if len(columns) == 1:
        rows = next(iter(columns.values()))
    else:
        rows = [
            _object({name: column[row] for name, column in columns.items()})
            for row in range(batch_size)
        ]
    return _encoded(_object({"predictions": f"[{', '.join(rows)}]"}))


def json_of_columns(arrays: Mapping[str, np.ndarray]) -> bytes:
    """`{"outputs": …}`: an array, or an object of arrays where there are several outputs.

    Raises:
        StatusError: an output has a dtype that JSON cannot hold.
    """
    columns = {name: _nested(name, array, 0)[0] for name, array in arrays.items()}
    only = next(iter(columns.values()))
    return _encoded(_object({"outputs": only if len(columns) == 1 else _object(columns)}))


def json_of_classification(result: classification_pb2.ClassificationResult) -> bytes:
    """`{"results": [[["label", score], …], …]}`: a list of classes an example."""
    examples = []
    for classifications in result.classifications:
        entries = classifications.classes
        scores = _decimals(np.array([entry.score for entry in entries], np.float32))
        classes = [
            f"[{json.dumps(entry.label, ensure_ascii=False)}, {score}]"
            for entry, score in zip(entries, scores, strict=True)
        ]
        examples.append(f"[{', '.join(classes)}]")
    return _encoded(_object({"results": f"[{', '.join(examples)}]"}))


def json_of_error(message: str) -> bytes:
    """`{"error": "…"}`."""
    return _encoded(_object({"error": json.dumps(message, ensure_ascii=False)}))


def _nested(name: str, array: np.ndarray, from_axis: int) -> list[str]:
    """JSON of each part of an array, from an axis on; its parts in front stand in a list."""
    texts = _texts(name, array)
    for axis in reversed(range(from_axis, array.ndim)):
        size, count = array.shape[axis], math.prod(array.shape[:axis])
        texts = [f"[{', '.join(texts[part * size : (part + 1) * size])}]" for part in range(count)]
    return texts


def _texts(name: str, array: np.ndarray) -> list[str]:
    if array.dtype == object:
        as_base64 = name.endswith(BYTES_SUFFIX)
        return [_quoted(text, as_base64) for text in array.ravel()]
    if array.dtype.kind == "f":
        return _decimals(array if array.dtype == np.float64 else array.astype(np.float32))
    if array.dtype == np.bool_:
        return ["true" if value else "false" for value in array.ravel().tolist()]
    if array.dtype == np.uint16:
        raise _no_json(array.dtype)
    return [str(value) for value in array.ravel().tolist()]


def _decimals(array: np.ndarray) -> list[str]:
    """Numbers with six digits where these are enough, else with as many as are needed."""
    values = array.ravel().tolist()
    texts = [f"{value:.6g}" for value in values]
    digits = 9 if array.dtype == np.float32 else 17
    read = np.array([float(text) for text in texts], np.float64).astype(array.dtype)
    for place in np.flatnonzero(read != array.ravel()).tolist():
        texts[place] = f"{values[place]:.{digits}g}"  # NaN is unlike itself, and stays
    return [_with_point(text) for text in texts]


def _with_point(text: str) -> str:
    if text in ("nan", "inf", "-inf"):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[text]
    return text if "." in text or "e" in text else f"{text}.0"


def _quoted(text: bytes, as_base64: bool) -> str:
    if as_base64:
        return _object({"b64": f'"{base64.b64encode(text).decode()}"'})
    # A model server writes bytes that are no UTF-8 as they are, and so does this.
    return json.dumps(text.decode("utf-8", "surrogateescape"), ensure_ascii=False)


def _object(members: Mapping[str, str]) -> str:
    pairs = (f"{json.dumps(key, ensure_ascii=False)}: {text}" for key, text in members.items())
    return f"{{{', '.join(pairs)}}}"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _no_json(dtype: np.dtype) -> StatusError:
    return refused(f"Failed to write JSON value for tensor type: {dtype}")
