"""One toy model, one server of it, and what talks to it, for all tests of the folder."""

import http.client
import json
import shutil

import grpc
import pytest
from serving_testing import MOST_BYTES, NAME, write_toy
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from cham_keras.serving import ServedModel
from cham_keras.serving.clients import GrpcClient, RestClient
from cham_keras.serving.stand_in import StandIn


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory):
    return write_toy(tmp_path_factory.mktemp("toy") / "1")


@pytest.fixture(scope="session")
def other_toy_folder(tmp_path_factory):
    """The same model with another scale."""
    return write_toy(tmp_path_factory.mktemp("other") / "2", scale=-3.0)


@pytest.fixture(scope="session")
def toy(toy_folder):
    # With XLA left on: turned off it would be so for all tests of the process.
    return ServedModel(toy_folder, xla=True)


@pytest.fixture
def own_copy(toy_folder, tmp_path):
    """A copy of the model that a test may change."""
    return shutil.copytree(toy_folder, tmp_path / "base" / "1")


@pytest.fixture(scope="session")
def server(toy_folder):
    with StandIn(
        toy_folder.parent,
        name=NAME,
        port=0,
        rest_port=0,
        poll_seconds=0.1,
        max_message_bytes=MOST_BYTES,
        xla=True,
    ) as running:
        yield running


@pytest.fixture(scope="session")
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture(scope="session")
def predictions(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="session")
def models(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


@pytest.fixture(scope="session")
def rest(server):
    """Sends a request and returns the code and the JSON, or the bytes where it is none."""

    def send(method, path, body=None, headers=None):
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            answer = response.read()
            if method == "HEAD":
                return response.status, answer
            assert response.getheader("Content-Type") == "application/json"
            return response.status, json.loads(answer.decode("utf-8", "surrogateescape"))
        finally:
            connection.close()

    return send


@pytest.fixture(params=["grpc", "rest"])
def make_client(request, server):
    """Makes a client of either kind; by default of the shared server and its model."""
    kind, port = {
        "grpc": (GrpcClient, server.port),
        "rest": (RestClient, server.rest_port),
    }[request.param]
    made = []

    def make(address=None, model=NAME, **arguments):
        made.append(kind(address or f"127.0.0.1:{port}", model, **arguments))
        return made[-1]

    make.kind = request.param
    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client):
    return make_client()
