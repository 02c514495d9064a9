"""The body of a REST classify request, made into `tf.Example`s as the model server does it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import classification_pb2

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.stand_in.json_requests import signature_name
from cham_keras.serving.stand_in.json_tensors import (
    decoded_string,
    is_base64,
    json_name,
    refused,
)

_LARGEST_FLOAT = float(np.finfo(np.float32).max)


def classification_request(document: Mapping[str, Any]) -> classification_pb2.ClassificationRequest:
    """The request that a JSON object stands for.

    Args:
        document: with `examples`, and maybe `context` and `signature_name`. A feature is a
            number, a truth value, a string, `{"b64": …}`, or a list of one kind of these.

    Raises:
        StatusError: `examples` is missing, or a value is of another kind.
    """
    request = classification_pb2.ClassificationRequest()
    request.model_spec.signature_name = signature_name(document)
    listed = request.input.example_list
    if "context" in document:
        listed = request.input.example_list_with_context
        listed.context.CopyFrom(_example_of(document["context"]))
    if "examples" not in document:
        raise refused("When method is classify, key 'examples' is expected and was not found")
    examples = document["examples"]
    if not isinstance(examples, list):
        raise refused("Expecting 'examples' value to be an list/array")
    if not examples:
        raise refused("'examples' value is an empty array")
    for example in examples:
        listed.examples.add().CopyFrom(_example_of(example))
    return request


def _example_of(values: Any) -> example_pb2.Example:
    if not isinstance(values, dict):
        raise refused(f"Example must be JSON object but got JSON {json_name(values)}")
    example = example_pb2.Example()
    for name, content in values.items():
        feature = example.features.feature[name]
        for value in content if isinstance(content, list) else [content]:
            _add(feature, name, value)
    return example


def _add(feature: feature_pb2.Feature, name: str, value: Any) -> None:
    if value is None or isinstance(value, list) or _is_other_object(value):
        raise refused(f"Feature: {name} has element with unexpected JSON type: {json_name(value)}")
    if isinstance(value, str | dict):
        _list_of(feature, "bytes_list", name).value.append(decoded_string(value))
    elif isinstance(value, float):
        if math.isfinite(value) and abs(value) > _LARGEST_FLOAT:
            raise refused(f"Cannot convert JSON value: {value} to float without loss of precision.")
        _list_of(feature, "float_list", name).value.append(value)
    else:  # an integer or a truth value
        if not -(2**63) <= value < 2**63:
            raise refused(f"Feature: {name} has uint64 element. Only int64 is supported.")
        _list_of(feature, "int64_list", name).value.append(int(value))


def _is_other_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _list_of(feature: feature_pb2.Feature, kind: str, name: str) -> Any:
    known = feature.WhichOneof("kind")
    if known not in (None, kind):
        raise _other_kind(name, known)
    return getattr(feature, kind)


def _other_kind(name: str, known: str) -> StatusError:
    return refused(
        f"Unexpected element type in feature: {name} expecting type: {known.removesuffix('_list')}"
    )
