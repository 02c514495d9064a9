"""The stand-in's REST side: paths, formats, codes and words of TF Serving's API."""

import base64
import http.client

import numpy as np
import pytest
from serving_testing import MOST_BYTES, NAME, toy_inputs

MODEL = f"/v1/models/{NAME}"
PREDICT = f"{MODEL}:predict"
CLASSIFY = f"{MODEL}:classify"


def b64(text):
    return {"b64": base64.b64encode(text).decode()}


def test_rows_are_answered_in_rows(rest, toy):
    inputs = toy_inputs(batch=3)
    rows = [
        {"features": features.tolist(), "lengths": int(length)}
        for features, length in zip(inputs["features"], inputs["lengths"], strict=True)
    ]
    code, answer = rest("POST", PREDICT, {"instances": rows})
    assert (code, list(answer)) == (200, ["predictions"])
    for name, array in toy.run("serving_default", inputs).items():
        found = [row[name] for row in answer["predictions"]]
        if array.dtype == object:
            assert [text.encode() for text in found] == array.tolist()
        else:
            np.testing.assert_array_equal(np.float32(found), array)


def test_columns_are_answered_in_columns(rest, toy):
    inputs = toy_inputs(batch=3)
    columns = {name: array.tolist() for name, array in inputs.items()}
    body = {"signature_name": "serving_default", "inputs": columns}
    code, answer = rest("POST", PREDICT, body)
    assert (code, list(answer)) == (200, ["outputs"])
    expected = toy.run("serving_default", inputs)
    np.testing.assert_array_equal(np.float32(answer["outputs"]["sums"]), expected["sums"])
    assert set(answer["outputs"]) == set(expected)


def test_a_single_input_and_output_need_no_name(rest):
    single = {"signature_name": "single"}
    assert rest("POST", PREDICT, {**single, "instances": [[1, 2.5], [0, -1]]}) == (
        200,
        {"predictions": [[2, 5], [0, -2]]},
    )
    assert rest("POST", PREDICT, {**single, "instances": [{"x": [1, 2]}]}) == (
        200,
        {"predictions": [[2, 4]]},
    )
    assert rest("POST", PREDICT, {**single, "inputs": [[1, 2]]}) == (200, {"outputs": [[2, 4]]})
    assert rest("POST", PREDICT, {**single, "inputs": {"x": [[1, 2]]}}) == (
        200,
        {"outputs": [[2, 4]]},
    )


def test_scalars_go_in_and_out_in_columns_and_are_refused_in_rows(rest):
    slow = {"signature_name": "slow"}
    assert rest("POST", PREDICT, {**slow, "inputs": 2}) == (
        200,
        {"outputs": {"steps": 2, "trace": 512}},
    )
    code, answer = rest("POST", PREDICT, {**slow, "instances": [2]})
    assert code == 400
    assert "must have the shape []" in answer["error"]


def test_strings_are_text_or_base64_by_the_name(rest):
    texts = [b64(b"\0\xff"), "ä\0", b64(b"")]
    code, answer = rest("POST", PREDICT, {"signature_name": "strings", "instances": texts})
    assert code == 200
    raw = [b"\0\xff", "ä\0".encode(), b""]
    rows = answer["predictions"]
    assert [row["same"].encode("utf-8", "surrogateescape") for row in rows] == raw
    assert [row["same_bytes"] for row in rows] == [b64(text) for text in raw]
    assert [row["length"] for row in rows] == [len(text) for text in raw]


def test_numbers_that_are_not_finite_go_both_ways(rest):
    body = b'{"signature_name": "single", "inputs": [[NaN, -Infinity], [Infinity, 0]]}'
    code, answer = rest("POST", PREDICT, body)
    assert code == 200
    np.testing.assert_array_equal(answer["outputs"], [[np.nan, -np.inf], [np.inf, 0]])


def test_floats_are_written_as_short_as_they_can_be(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
    body = '{"signature_name": "single", "inputs": [[0.1, 0.30000001192], [500000, 1e-9]]}'
    connection.request("POST", PREDICT, body)
    answer = connection.getresponse().read()
    connection.close()
    assert answer == b'{"outputs": [[0.2, 0.6], [1e+06, 2e-09]]}' or (
        answer == b'{"outputs": [[0.2, 0.600000024], [1e+06, 2e-09]]}'
    )


def test_a_version_can_be_named_in_the_path(rest):
    body = {"signature_name": "single", "inputs": [[1, 2]]}
    assert rest("POST", f"{MODEL}/versions/1:predict", body)[0] == 200
    assert rest("POST", f"{MODEL}/versions/3:predict", body) == (
        404,
        {"error": f"Servable not found for request: Specific({NAME}, 3)"},
    )
    assert rest("POST", f"{MODEL}/labels/stable:predict", body) == (
        400,
        {"error": "Unrecognized servable version label: stable"},
    )
    assert rest("POST", "/v1/models/other:predict", body)[0] == 404
    assert rest("POST", PREDICT.upper().replace(NAME.upper(), NAME), body)[0] == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"{", "JSON Parse error: "),
        (b"[1]", "JSON Value: [1] Is not object"),
        (b'{"inputs": "\\ud800", "signature_name": "strings"}', "surrogate"),
        (b"[" * 100_000, "JSON Parse error: "),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"inputs": 1, "instances": 1}, "expecting only one of 'inputs' or 'instances'"),
        ({"signature_name": 3}, "'signature_name' key must be a string value."),
        (
            {"signature_name": "nothing", "inputs": 1},
            'Serving signature name: "nothing" not found in signature def',
        ),
        ({"instances": 5}, "to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": [[1]]}, "instances is a plain list, but expecting list of objects"),
        ({"inputs": [[1]]}, "inputs is a plain value/list, but expecting an object"),
        ({"inputs": {"features": [[[1, 2, 3]]]}}, "Missing named input: lengths in 'inputs'"),
        (
            {"instances": [{"features": [[1, 2, 3]]}]},
            "Failed to process element: 0 of 'instances' list. JSON object: "
            '{"features": [[1, 2, 3]]} keys must be equal to: features,lengths',
        ),
        (
            {"instances": [{"features": [[1, 2, 3]], "lengths": 1, "more": 1}]},
            "does not have named input: more",
        ),
        (
            {"instances": [{"features": [[1, 2, 3]], "lengths": 1}, 5]},
            "Expecting object but got list at item 1 of input list",
        ),
        (
            {
                "instances": [
                    {"features": [[1, 2, 3]], "lengths": 1},
                    {"features": [[1, 2, 3]] * 2, "lengths": 1},
                ]
            },
            "Failed to process element: 1 key: features of 'instances' list. "
            "Error: Expecting tensor size: 3 but got: 6",
        ),
        (
            {"signature_name": "single", "instances": [[1, 2], {"x": [1, 2]}]},
            "Expecting value/list but got object at item 1 of input list",
        ),
        (
            {"signature_name": "single", "inputs": [["a", 1]]},
            'JSON Value: "a" Type: String is not of expected type: float',
        ),
        ({"signature_name": "single", "inputs": [[True, 1]]}, "Type: True is not of expected type"),
        ({"signature_name": "single", "inputs": [[None, 1]]}, "Type: Null is not of expected"),
        ({"signature_name": "single", "inputs": [[1, 2], [3]]}, "unexpected size: 1 at level: 1"),
        ({"signature_name": "single", "inputs": [[1, [2]]]}, "list at unexpected level: 2"),
        ({"signature_name": "single", "inputs": [[1, 2], 3]}, "found at incorrect level: 2"),
        ({"signature_name": "single", "inputs": [[1, 2**24]]}, "without loss of precision"),
        ({"signature_name": "single", "inputs": [[1, 1e39]]}, "without loss of precision"),
        ({"signature_name": "single", "inputs": [[1, 2, 3]]}, "must have the shape [any, 2]"),
        ({"signature_name": "slow", "inputs": 1.0}, "is not of expected type: int32"),
        ({"signature_name": "slow", "inputs": 2**31}, "is not of expected type: int32"),
        ({"signature_name": "strings", "inputs": [{"b64": "*"}]}, "Unable to base64 decode"),
        ({"signature_name": "strings", "inputs": [{"b65": ""}]}, "not formatted correctly for b"),
        ({"signature_name": "strings", "inputs": [1]}, "is not of expected type: string"),
    ],
)
def test_a_wrong_predict_body_is_refused_with_words(rest, body, words):
    code, answer = rest("POST", PREDICT, body)
    assert code == 400
    assert list(answer) == ["error"]
    assert words in answer["error"]


def test_a_dtype_that_json_cannot_carry_is_not_implemented(rest):
    inputs = {f"in_{kind}": [[0, 0]] for kind in ("float32", "float64", "float16")}
    code, answer = rest("POST", PREDICT, {"signature_name": "echo", "inputs": inputs})
    assert code == 400  # the first that is missing
    assert "Missing named input" in answer["error"]
    kinds = ("int32", "int64", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool")
    inputs |= {f"in_{kind}": [[0, 0]] for kind in kinds}
    inputs["in_bool"] = [[True, False]]
    code, answer = rest("POST", PREDICT, {"signature_name": "echo", "inputs": inputs})
    assert code == 501
    assert "Conversion of JSON Value" in answer["error"]


def test_classify_takes_features_of_each_kind(rest):
    body = {
        "signature_name": "classify",
        "examples": [{"x": [1.0, 2.0]}, {"x": [0.5, -1.5], "bias": 10.0, "note": "a"}],
    }
    assert rest("POST", CLASSIFY, body) == (
        200,
        {"results": [[["hop", 2], ["run", 4]], [["hop", 11], ["run", 7]]]},
    )
    body = {"signature_name": "classify", "context": {"bias": 5.5}, "examples": [{"x": [1.0, 2.0]}]}
    assert rest("POST", CLASSIFY, body)[1] == {"results": [[["hop", 7.5], ["run", 9.5]]]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"signature_name": "classify"}, "key 'examples' is expected and was not found"),
        ({"examples": 1}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": {"a": 1}}]}, "has element with unexpected JSON type: Object"),
        ({"examples": [{"x": [1, 2.5]}]}, "feature: x expecting type: int64"),
        ({"examples": [{"x": [2**63]}]}, "Only int64 is supported."),
        ({"examples": [{"x": [1e39]}]}, "without loss of precision"),
        ({"examples": [{"x": 1.0}]}, "Expected classification signature method_name"),
        (
            {"signature_name": "classify", "examples": [{"x": [1, 2]}]},
            "Data type: int64 but expected type: float",
        ),
    ],
)
def test_a_wrong_classify_body_is_refused_with_words(rest, body, words):
    code, answer = rest("POST", CLASSIFY, body)
    assert code == 400
    assert words in answer["error"]


def test_the_status_and_the_metadata_are_told(rest, toy):
    available = {"version": "1", "state": "AVAILABLE"}
    available["status"] = {"error_code": "OK", "error_message": ""}
    for path in (MODEL, f"{MODEL}/versions/1"):
        assert rest("GET", path) == (200, {"model_version_status": [available]})
    assert rest("GET", f"{MODEL}/versions/2") == (
        404,
        {"error": f"Could not find version 2 of model {NAME}"},
    )
    assert rest("GET", "/v1/models/other")[0] == 404
    assert rest("GET", "/v1/models") == (400, {"error": "Missing model name in request."})
    code, answer = rest("GET", f"{MODEL}/metadata?pretty")
    assert code == 200
    assert answer["model_spec"] == {"name": NAME, "signature_name": "", "version": "1"}
    stated = answer["metadata"]["signature_def"]["signature_def"]
    assert set(stated) == set(toy.meta_graph.signature_def)
    assert stated["single"]["inputs"]["x"]["dtype"] == "DT_FLOAT"
    sizes = [dim["size"] for dim in stated["single"]["inputs"]["x"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "2"]


@pytest.mark.parametrize(
    ("method", "path", "code", "words"),
    [
        ("GET", PREDICT, 400, f"Malformed request: GET {PREDICT}"),
        ("PUT", PREDICT, 400, "Malformed request: PUT"),
        ("DELETE", MODEL, 400, "Malformed request: DELETE"),
        ("POST", MODEL, 400, "Malformed request: POST"),
        ("POST", f"{MODEL}:explain", 400, "Malformed request: POST"),
        ("POST", f"{MODEL}/versions/x:predict", 400, "Malformed request: POST"),
        ("POST", f"{MODEL}:regress", 501, "no Regress"),
        ("GET", "/", 404, "no such path: /"),
        ("POST", "/v2/models", 404, "no such path"),
    ],
)
def test_a_wrong_path_or_method_is_refused(rest, method, path, code, words):
    found, answer = rest(method, path, {} if method == "POST" else None)
    assert found == code
    assert words in answer["error"]


def test_head_has_no_body(rest):
    assert rest("HEAD", MODEL) == (400, b"")


def test_a_body_that_is_too_large_or_of_unknown_length_is_refused(rest):
    code, answer = rest("POST", PREDICT, b"1" * (MOST_BYTES + 1))
    assert code == 413
    assert (
        answer["error"] == f"Received message larger than max ({MOST_BYTES + 1} vs. {MOST_BYTES})"
    )
    assert rest("POST", PREDICT, b"", {"Content-Length": "-1"})[0] == 400
    assert rest("POST", PREDICT, None, {"Transfer-Encoding": "chunked"})[0] == 411


def test_a_connection_takes_several_requests(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
    for body, code in ((b"{", 400), (b'{"signature_name": "single", "inputs": [[1, 2]]}', 200)) * 3:
        connection.request("POST", PREDICT, body)
        socket = connection.sock
        response = connection.getresponse()
        response.read()
        assert response.status == code
        assert connection.sock is socket
    connection.close()
