"""A ClassificationRequest answered by a served model, as the model server does it.

Comes in: a request of TF Serving's Classify, with its `tf.Example`s. Goes out: classes and
scores of each, or a status with the code that the model server gives. The stand-in and the
warm-up's replay call this.
"""

import numpy as np
from tensorflow_serving.apis import classification_pb2, input_pb2

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.predict_request import DEFAULT_SIGNATURE, FAILED_PRECONDITION
from cham_keras.serving.served_model import ServedModel, Signature
from cham_keras.serving.tensors import INVALID_ARGUMENT

CLASSIFY_METHOD = "tensorflow/serving/classify"
INPUTS = "inputs"
CLASSES = "classes"
SCORES = "scores"


def answer_classify(
    model: ServedModel,
    request: classification_pb2.ClassificationRequest,
    version: int | None = None,
) -> classification_pb2.ClassificationResponse:
    """Answers a request.

    Args:
        model: the model; which one the request names is not looked at.
        request: examples and signature.
        version: the version that the response names.

    Raises:
        StatusError: no such signature, or one for another API; no examples; or the graph
            refuses what is in them.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = _classify_signature(model, name)
    examples = serialized_examples(request.input)
    outputs = [output for output in (CLASSES, SCORES) if output in signature.outputs]
    found = model.run(name, {INPUTS: examples}, outputs)
    response = classification_pb2.ClassificationResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = name
    if version is not None:
        response.model_spec.version.value = version
    _fill(response.result, found, len(examples))
    return response


def serialized_examples(examples: input_pb2.Input) -> np.ndarray:
    """The examples of a request, each serialized with the request's context in it.

    Returns:
        (batch,) `bytes` objects.

    Raises:
        StatusError: there are none.
    """
    context = b""
    if examples.HasField("example_list_with_context"):
        listed = examples.example_list_with_context.examples
        context = examples.example_list_with_context.context.SerializeToString()
    else:
        listed = examples.example_list.examples
    if not listed:
        raise StatusError(INVALID_ARGUMENT, "Input is empty.")
    # Serialized messages one behind the other are the message that both are merged into.
    serialized = np.empty(len(listed), dtype=object)
    serialized[:] = [context + example.SerializeToString() for example in listed]
    return serialized


def _classify_signature(model: ServedModel, name: str) -> Signature:
    signature = model.signatures.get(name)
    if signature is None:
        raise StatusError(INVALID_ARGUMENT, f"No signature was found with the name: {name}")
    if signature.method_name != CLASSIFY_METHOD:
        raise StatusError(
            INVALID_ARGUMENT,
            f"Expected classification signature method_name to be {CLASSIFY_METHOD}. "
            f"Was: {signature.method_name}",
        )
    if len(signature.inputs) != 1:
        raise StatusError(INVALID_ARGUMENT, "Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise StatusError(
            INVALID_ARGUMENT,
            f"Expected one or two output Tensors, found {len(signature.outputs)}",
        )
    if INPUTS not in signature.inputs:
        raise StatusError(
            FAILED_PRECONDITION,
            f"No classification inputs found in SignatureDef: it has {list(signature.inputs)}",
        )
    if not {CLASSES, SCORES} & set(signature.outputs):
        raise StatusError(
            FAILED_PRECONDITION,
            "Expected classification signature outputs to contain at least one of "
            f'"{CLASSES}" or "{SCORES}". Signature has: {list(signature.outputs)}',
        )
    return signature


def _fill(
    result: classification_pb2.ClassificationResult,
    found: dict[str, np.ndarray],
    num_examples: int,
) -> None:
    for name, wanted, dtype in ((CLASSES, "DT_STRING", object), (SCORES, "DT_FLOAT", np.float32)):
        array = found.get(name)
        if array is None:
            continue
        if array.ndim != 2:
            raise StatusError(
                INVALID_ARGUMENT,
                "Expected Tensor shape: [batch_size num_classes] but got "
                f"[{','.join(map(str, array.shape))}]",
            )
        if array.dtype != dtype:
            raise StatusError(
                INVALID_ARGUMENT, f"Expected {name} Tensor of {wanted}. Got: {array.dtype}"
            )
        if len(array) != num_examples:
            raise StatusError(
                INVALID_ARGUMENT,
                f"Expected {name} output batch size of {num_examples}. Got: {len(array)}",
            )
    counts = {array.shape[1] for array in found.values()}
    if len(counts) > 1:
        raise StatusError(
            INVALID_ARGUMENT,
            "Tensors class and score should match in dim_size(1). Got "
            f"{found[CLASSES].shape[1]} vs. {found[SCORES].shape[1]}",
        )
    (num_classes,) = counts
    for example in range(num_examples):
        classes = result.classifications.add().classes
        for column in range(num_classes):
            entry = classes.add()
            if CLASSES in found:
                entry.label = _text_of(found[CLASSES][example, column])
            if SCORES in found:
                entry.score = float(found[SCORES][example, column])


def _text_of(label: bytes) -> str:
    try:
        return label.decode()
    except UnicodeDecodeError as error:
        raise StatusError(
            INVALID_ARGUMENT, f"A class must be UTF-8 to be a label. Received: {label!r}."
        ) from error
