"""A PredictRequest answered by a served model, with the model server's checks and words.

Comes in: a request of TF Serving's Predict. Goes out: its response, or a status with the code
that the model server gives. The stand-in and the warm-up's replay call this.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.served_model import ServedModel, Signature
from cham_keras.serving.tensors import INVALID_ARGUMENT, array_of_tensor, tensor_of_array

FAILED_PRECONDITION = 9
INTERNAL = 13

#: The signature of a request that names none.
DEFAULT_SIGNATURE = "serving_default"

#: The APIs whose signatures Predict runs.
_METHODS = ("predict", "classify", "regress")


def answer_predict(
    model: ServedModel, request: predict_pb2.PredictRequest, version: int | None = None
) -> predict_pb2.PredictResponse:
    """Answers a request.

    Args:
        model: the model; which one the request names is not looked at.
        request: inputs, signature and output filter.
        version: the version that the response names.

    Raises:
        StatusError: failed precondition for an unknown signature, invalid argument for inputs
            and outputs that do not fit it.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = predict_signature(model, name)
    arrays = _arrays_of(signature, request.inputs)
    wanted = _wanted_outputs(signature, request.output_filter)
    outputs = model.run(name, arrays, wanted)
    response = predict_pb2.PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = name
    if version is not None:
        response.model_spec.version.value = version
    for output, array in outputs.items():
        response.outputs[output].CopyFrom(tensor_of_array(array))
    return response


def predict_signature(model: ServedModel, name: str) -> Signature:
    """The signature that Predict runs under a name.

    Raises:
        StatusError: there is none, or it is for another API.
    """
    signature = model.signatures.get(name)
    if signature is None:
        raise StatusError(FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    known = [f"tensorflow/serving/{method}" for method in _METHODS]
    if signature.method_name not in known:
        raise StatusError(
            INTERNAL,
            "Expected prediction signature method_name to be one of "
            f"{{{', '.join(known)}}}. Was: {signature.method_name}",
        )
    return signature


def _arrays_of(
    signature: Signature, inputs: Mapping[str, tensor_pb2.TensorProto]
) -> dict[str, np.ndarray]:
    if set(inputs) != set(signature.inputs):
        raise StatusError(INVALID_ARGUMENT, _other_inputs(set(inputs), set(signature.inputs)))
    arrays = {}
    for name, tensor in inputs.items():
        try:
            arrays[name] = array_of_tensor(tensor)
        except StatusError as error:
            raise StatusError(
                error.code, f"tensor parsing error: {name}: {error.message}"
            ) from error
    return arrays


def _other_inputs(given: set[str], wanted: set[str]) -> str:
    if len(given) == len(wanted):
        return (
            f"Inputs contains invalid name. Used request inputs: {_listed(given & wanted)}, "
            f"request input: {_listed(given)}. Missing but required: {{{_listed(wanted - given)}}}."
        )
    return (
        f"input size does not match signature: {len(given)}!={len(wanted)} "
        f"len({{{_listed(given)}}}) != len({{{_listed(wanted)}}}). "
        f"Sent extra: {{{_listed(given - wanted)}}}. "
        f"Missing but required: {{{_listed(wanted - given)}}}."
    )


def _wanted_outputs(signature: Signature, wanted: Sequence[str]) -> list[str] | None:
    for position, name in enumerate(wanted):
        if name not in signature.outputs:
            raise StatusError(
                INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {{{_listed(signature.outputs)}}}.",
            )
        if name in wanted[:position]:
            raise StatusError(INVALID_ARGUMENT, f"duplicate output tensor alias: {name}")
    return list(wanted) or None


def _listed(names: Mapping[str, object] | set[str]) -> str:
    return ",".join(sorted(names))
