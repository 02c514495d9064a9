"""The stand-in's gRPC side, asked with the requests of TF Serving's own protos."""

import grpc
import numpy as np
import pytest
from serving_testing import CLASSES, NAME, echo_inputs, texts, toy_inputs
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from cham_keras.serving.tensors import array_of_tensor, tensor_of_array


def predict_request(signature="", name=NAME, outputs=(), **inputs):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, array in inputs.items():
        request.inputs[key].CopyFrom(tensor_of_array(array, as_content=True))
    return request


def classify_request(*examples, signature="classify", **context):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = NAME
    request.model_spec.signature_name = signature
    listed = request.input.example_list
    if context:
        listed = request.input.example_list_with_context
        add_features(listed.context, context)
    for example in examples:
        add_features(listed.examples.add(), example)
    return request


def add_features(example, features):
    for name, values in features.items():
        example.features.feature[name].float_list.value.extend(values)


def refusal(method, request):
    """The status of a request that is refused: its code's name and its words."""
    with pytest.raises(grpc.RpcError) as refused:
        method(request, timeout=30)
    return refused.value.code().name, refused.value.details()


def test_predict_gives_what_the_model_gives(predictions, toy):
    inputs = toy_inputs(batch=3, time=5)
    response = predictions.Predict(predict_request(**inputs))
    expected = toy.run("serving_default", inputs)
    assert set(response.outputs) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(array_of_tensor(response.outputs[name]), array)
    # Clients look into these fields, as the model server fills them.
    assert len(response.outputs["sums"].float_val) == 15
    assert response.outputs["label"].string_val[0] in CLASSES


def test_the_answer_says_who_gave_it(predictions):
    spec = predictions.Predict(predict_request(**toy_inputs())).model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == (NAME, 1, "serving_default")


def test_every_dtype_and_strings_go_both_ways(predictions):
    inputs = echo_inputs()
    response = predictions.Predict(predict_request("echo", **inputs))
    for name, array in inputs.items():
        found = array_of_tensor(response.outputs[name.replace("in_", "out_")])
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array[::-1])
    text = texts(b"\0\xff", b"", b"x" * 1000)
    response = predictions.Predict(predict_request("strings", text=text))
    assert list(response.outputs["same"].string_val) == text.tolist()


def test_values_that_stand_for_many_are_repeated(predictions):
    request = predict_request("single")
    tensor = request.inputs["x"]
    tensor.dtype = 1
    tensor.float_val.extend([5, 6])
    for size in (2, 2):
        tensor.tensor_shape.dim.add(size=size)
    found = array_of_tensor(predictions.Predict(request).outputs["y"])
    np.testing.assert_array_equal(found, [[10, 12], [12, 12]])


def test_the_output_filter_chooses(predictions):
    response = predictions.Predict(predict_request(outputs=["plus"], **toy_inputs()))
    assert list(response.outputs) == ["plus"]


def test_a_version_can_be_named(predictions):
    request = predict_request(**toy_inputs())
    request.model_spec.version.value = 1
    assert predictions.Predict(request).model_spec.version.value == 1
    request.model_spec.version.value = 7
    assert refusal(predictions.Predict, request) == (
        "NOT_FOUND",
        f"Servable not found for request: Specific({NAME}, 7)",
    )
    request.model_spec.version_label = "stable"
    assert refusal(predictions.Predict, request) == (
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: stable",
    )


def broken_tensor():
    request = predict_request(**toy_inputs())
    request.inputs["features"].tensor_content += b"1"
    return request


@pytest.mark.parametrize(
    ("request_made", "code", "words"),
    [
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (predict_request(name="", signature="x"), "INVALID_ARGUMENT", "no name specified"),
        (predict_request(name="other"), "NOT_FOUND", "Servable not found for request: Latest(oth"),
        (
            predict_request("nothing"),
            "FAILED_PRECONDITION",
            'Serving signature key "nothing" not found.',
        ),
        (
            predict_request(features=toy_inputs()["features"]),
            "INVALID_ARGUMENT",
            "input size does not match signature: 1!=2 len({features}) != len({features,lengths}). "
            "Sent extra: {}. Missing but required: {lengths}.",
        ),
        (
            predict_request(**toy_inputs(), extra=np.zeros(1, np.int32)),
            "INVALID_ARGUMENT",
            "Sent extra: {extra}. Missing but required: {}.",
        ),
        (
            predict_request(features=toy_inputs()["features"], other=np.zeros(2, np.int32)),
            "INVALID_ARGUMENT",
            "Inputs contains invalid name. Used request inputs: features, request input: "
            "features,other.",
        ),
        (
            predict_request(**{**toy_inputs(), "features": np.zeros((2, 4, 3))}),
            "INVALID_ARGUMENT",
            "must be float32. Received: float64.",
        ),
        (
            predict_request(**{**toy_inputs(), "features": np.zeros((2, 3), np.float32)}),
            "INVALID_ARGUMENT",
            "must have the shape [any, any, 3]. Received: [2, 3].",
        ),
        (broken_tensor(), "INVALID_ARGUMENT", "tensor parsing error: features: tensor_content has"),
        (
            predict_request(outputs=["foo"], **toy_inputs()),
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: foo Outputs expected to be in the set "
            "{label,plus,sums}.",
        ),
        (
            predict_request(outputs=["plus", "plus"], **toy_inputs()),
            "INVALID_ARGUMENT",
            "duplicate output tensor alias: plus",
        ),
    ],
)
def test_a_wrong_predict_request_is_refused_with_code_and_words(
    predictions, request_made, code, words
):
    found = refusal(predictions.Predict, request_made)
    assert found[0] == code
    assert words in found[1]


def test_a_message_that_is_too_large_is_refused(predictions):
    code, words = refusal(predictions.Predict, predict_request(**toy_inputs(batch=10, time=2000)))
    assert code == "RESOURCE_EXHAUSTED"
    assert "larger than max" in words


def test_classify_gives_classes_and_scores_of_each_example(predictions):
    request = classify_request({"x": [1, 2]}, {"x": [0.5, -1], "bias": [10]})
    response = predictions.Classify(request)
    found = [
        [(entry.label, entry.score) for entry in example.classes]
        for example in response.result.classifications
    ]
    assert found == [[("hop", 2), ("run", 4)], [("hop", 11), ("run", 8)]]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == (NAME, 1, "classify")


def test_the_context_of_classify_is_merged_into_each_example(predictions):
    request = classify_request({"x": [1, 2]}, {"x": [3, 4]}, bias=[100])
    response = predictions.Classify(request)
    scores = [[entry.score for entry in e.classes] for e in response.result.classifications]
    assert scores == [[102, 104], [106, 108]]


@pytest.mark.parametrize(
    ("request_made", "code", "words"),
    [
        (classification_pb2.ClassificationRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (classify_request(), "INVALID_ARGUMENT", "Input is empty."),
        (classify_request(bias=[1]), "INVALID_ARGUMENT", "Input is empty."),
        (classify_request({"y": [1]}), "INVALID_ARGUMENT", "is required but could not be found"),
        (
            classify_request({"x": [1, 2]}, signature="nothing"),
            "INVALID_ARGUMENT",
            "No signature was found with the name: nothing",
        ),
        (
            classify_request({"x": [1, 2]}, signature=""),
            "INVALID_ARGUMENT",
            "Expected classification signature method_name to be tensorflow/serving/classify. "
            "Was: tensorflow/serving/predict",
        ),
    ],
)
def test_a_wrong_classify_request_is_refused_with_code_and_words(
    predictions, request_made, code, words
):
    found = refusal(predictions.Classify, request_made)
    assert found[0] == code
    assert words in found[1]


def test_metadata_are_the_signatures_of_the_model(predictions, toy):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = NAME
    response = predictions.GetModelMetadata(request)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found)
    assert dict(found.signature_def) == dict(toy.meta_graph.signature_def)
    assert (response.model_spec.name, response.model_spec.version.value) == (NAME, 1)


@pytest.mark.parametrize(
    ("fields", "name", "code", "words"),
    [
        ([], NAME, "INVALID_ARGUMENT", "must specify at least one metadata_field"),
        (["graph"], NAME, "INVALID_ARGUMENT", "Metadata field graph is not supported"),
        (["signature_def"], "other", "NOT_FOUND", "Servable not found for request"),
        (["signature_def"], None, "INVALID_ARGUMENT", "Missing ModelSpec"),
    ],
)
def test_a_wrong_metadata_request_is_refused(predictions, fields, name, code, words):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    if name is not None:
        request.model_spec.name = name
    found = refusal(predictions.GetModelMetadata, request)
    assert found[0] == code
    assert words in found[1]


def test_the_status_says_which_versions_there_are(models):
    request = get_model_status_pb2.GetModelStatusRequest()
    assert refusal(models.GetModelStatus, request) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    request.model_spec.name = NAME
    (entry,) = models.GetModelStatus(request).model_version_status
    assert (entry.version, entry.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    assert (entry.status.error_code, entry.status.error_message) == (0, "")
    request.model_spec.version.value = 2
    assert refusal(models.GetModelStatus, request) == (
        "NOT_FOUND",
        f"Could not find version 2 of model {NAME}",
    )
    request.model_spec.Clear()
    request.model_spec.name = "other"
    assert refusal(models.GetModelStatus, request) == (
        "NOT_FOUND",
        "Could not find any versions of model other",
    )


def test_what_the_stand_in_has_not_is_refused(predictions, models):
    for method, request in (
        (predictions.Regress, regression_pb2.RegressionRequest()),
        (predictions.MultiInference, inference_pb2.MultiInferenceRequest()),
        (models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest()),
    ):
        code, words = refusal(method, request)
        assert code == "UNIMPLEMENTED"
        assert "The stand-in has no" in words
