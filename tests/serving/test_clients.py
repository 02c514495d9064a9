"""Both clients: right answers, and one clear sentence for each failure."""

import http.server
import socket
import threading

import numpy as np
import pytest
from serving_testing import DTYPES, MOST_BYTES, NAME, echo_inputs, texts, toy_inputs

from cham_keras.serving.clients import GrpcClient, RestClient, ServerError, VersionStatus


def test_answers_are_those_of_the_model(client, toy):
    inputs = toy_inputs(batch=3, time=5)
    found = client.predict("serving_default", inputs)
    expected = toy.run("serving_default", inputs)
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert list(client.predict("serving_default", inputs, ["plus"])) == ["plus"]


def test_hard_numbers_and_strings_arrive_as_they_are(client):
    numbers = np.float32(
        [[0.1, 1 / 3], [16777216.0, -3.4e38], [1e-30, np.nan], [np.inf, -np.inf], [-0.0, 0.5]]
    )
    np.testing.assert_array_equal(client.predict("single", {"x": numbers / 2})["y"], numbers)
    for row in ([16777216.0, 0.5], [16777214.0, 1 / 3], [-0.1, 1e-30]):
        numbers = np.float32([row])
        np.testing.assert_array_equal(client.predict("single", {"x": numbers})["y"], numbers * 2)
    text = texts(b"\0\xff\n", "ä".encode(), b"", b'"\\')
    found = client.predict("strings", {"text": text})
    assert found["same"].tolist() == found["same_bytes"].tolist() == text.tolist()
    assert found["length"].tolist() == [3, 2, 0, 2]


def test_scalars_arrive_as_they_are(client):
    found = client.predict("slow", {"steps": np.array(3, np.int32)})
    assert (found["trace"].shape, found["steps"].shape) == ((), ())
    assert (found["trace"], found["steps"]) == (512, 3)


def test_every_dtype_goes_over_grpc(server):
    inputs = echo_inputs()
    with GrpcClient(f"127.0.0.1:{server.port}", NAME) as client:
        found = client.predict("echo", inputs)
    for kind in DTYPES:
        np.testing.assert_array_equal(found[f"out_{kind}"], inputs[f"in_{kind}"][::-1])


def test_an_empty_batch_goes_over_grpc_and_is_refused_for_json(make_client):
    client = make_client()
    if make_client.kind == "grpc":
        assert client.predict("serving_default", toy_inputs(batch=0))["sums"].shape == (0, 4)
    else:
        with pytest.raises(ValueError, match="JSON loses the shape .* Use GrpcClient"):
            client.predict("serving_default", toy_inputs(batch=0))


def test_signatures_and_status_are_told(client, toy):
    assert client.signatures() == toy.signatures
    assert client.status() == [VersionStatus(1, "AVAILABLE", "")]


@pytest.mark.parametrize(
    ("signature", "change", "outputs", "words"),
    [
        (
            "other",
            {},
            None,
            "`signature` must be one of classify, echo, serving_default, single, slow, strings. "
            "Received: 'other'.",
        ),
        (
            "serving_default",
            {"lengths": None},
            None,
            "`inputs` of 'serving_default' must be features, lengths. Received: features.",
        ),
        (
            "serving_default",
            {"features": np.zeros((2, 4, 3))},
            None,
            "The input 'features' of 'serving_default' must be float32. Received: float64. "
            "Convert it: `astype`.",
        ),
        (
            "serving_default",
            {"features": np.zeros((2, 3), np.float32)},
            None,
            "The input 'features' of 'serving_default' must have the shape [any, any, 3]. "
            "Received: [2, 3].",
        ),
        (
            "serving_default",
            {},
            ["foo"],
            "`outputs` of 'serving_default' must be among label, plus, sums. Received: foo.",
        ),
    ],
)
def test_a_fault_of_the_caller_is_named(client, signature, change, outputs, words):
    inputs = {name: a for name, a in {**toy_inputs(), **change}.items() if a is not None}
    with pytest.raises(ValueError) as refused:
        client.predict(signature, inputs, outputs)
    assert str(refused.value) == words


def test_strings_that_are_no_objects_are_refused(client):
    with pytest.raises(ValueError, match="Received: "):
        client.predict("strings", {"text": np.array(["a"])})


def test_what_the_graph_refuses_is_told_in_one_line(client):
    inputs = {**toy_inputs(), "lengths": np.zeros(3, np.int32)}
    with pytest.raises(ServerError, match="refuses it .*Incompatible shapes") as refused:
        client.predict("serving_default", inputs)
    assert "\n" not in str(refused.value)


def test_an_unknown_model_is_named(make_client):
    client = make_client(model="other")
    for call in (client.status, client.signatures, lambda: client.predict("x", {})):
        with pytest.raises(ServerError, match="`model` must be one that .* Received: 'other'"):
            call()


def test_a_message_that_the_server_finds_too_large_says_its_limit(make_client):
    with pytest.raises(ServerError) as refused:
        make_client().predict("serving_default", toy_inputs(batch=10, time=2000))
    text = str(refused.value)
    assert f"at most {MOST_BYTES} bytes, as the server at 127.0.0.1:" in text
    assert "Raise the server's limit, or send fewer clips at a time." in text


def test_a_message_that_the_client_finds_too_large_says_its_limit(make_client):
    client = make_client()
    client.signatures()
    if make_client.kind == "grpc":
        client = make_client(max_message_bytes=2000)
    else:
        client.max_message_bytes = 2000
    sent = {"text": texts(b"x" * 3000)}
    received = {"text": texts(*[b"y" * 100] * 10)}  # which comes back twice
    for inputs, outputs in ((sent, ["length"]), (received, None)):
        with pytest.raises(ServerError, match="at most 2000 bytes, as this client") as refused:
            client.predict("strings", inputs, outputs)
        assert "Raise `max_message_bytes`" in str(refused.value)


def test_no_answer_in_time_is_told(make_client):
    client = make_client(timeout_seconds=0.05)
    if make_client.kind == "rest":
        client.timeout_seconds = 30
        client.signatures()
        client.timeout_seconds = 0.05
    with pytest.raises(ServerError, match=r"must answer within 0\.05 seconds"):
        client.predict("slow", {"steps": np.array(3000, np.int32)})


@pytest.fixture(params=["nobody", "silent", "web", "other side"])
def strange_address(request, server, make_client):
    """An address where no TF Serving answers, and what is said of it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        if request.param == "nobody":
            yield f"127.0.0.1:{port}", "A server must run at .* Received: no answer"
        elif request.param == "silent":
            taken.listen()
            yield f"127.0.0.1:{port}", "must answer within"
        elif request.param == "other side":
            port = server.rest_port if make_client.kind == "grpc" else server.port
            yield f"127.0.0.1:{port}", "must have TF Serving's .* API"
        else:
            web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), QuietWeb)
            thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            yield f"127.0.0.1:{web.server_address[1]}", "must have TF Serving's .* API"
            web.shutdown()
            thread.join()
            web.server_close()


class QuietWeb(http.server.BaseHTTPRequestHandler):
    """A web server that knows nothing of models."""

    def do_GET(self):
        self.send_error(404)

    def log_message(self, *args):
        pass


def test_a_server_that_is_none_is_told_with_what_to_do(make_client, strange_address):
    address, words = strange_address
    client = make_client(address, timeout_seconds=1.0)
    with pytest.raises(ServerError, match=words) as refused:
        client.status()
    assert address in str(refused.value)


def test_no_server_says_how_to_start_one():
    with pytest.raises(ServerError, match="Start one with `cham serve FOLDER`"):
        RestClient("127.0.0.1:1", NAME).status()


@pytest.mark.parametrize("kind", [GrpcClient, RestClient])
def test_arguments_out_of_range_are_refused(kind):
    for address in ("localhost", "grpc://a:1", ":80", "a:b", "a:99999"):
        with pytest.raises(ValueError, match="`address` must be a host and a port"):
            kind(address, NAME)
    with pytest.raises(ValueError, match="`timeout_seconds` must be above 0. Received: 0."):
        kind("a:1", NAME, timeout_seconds=0)
    with pytest.raises(ValueError, match="`max_message_bytes` must lie between 1 and 2147483647"):
        kind("a:1", NAME, max_message_bytes=2**31)


def test_an_address_may_be_a_url(server):
    assert RestClient(f"http://127.0.0.1:{server.rest_port}/", NAME).status()
