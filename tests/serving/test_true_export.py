"""What `cham export` writes, served by the stand-in and asked by both clients."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from export_testing import NUM_FRAMES, write_tiny_run, write_tiny_shards
from serving_testing import texts
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc

from cham_keras.export import export_saved_model
from cham_keras.serving import ServedModel
from cham_keras.serving.clients import GrpcClient, RestClient
from cham_keras.serving.stand_in import StandIn


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    run = write_tiny_run(folder / "run", write_tiny_shards(folder))
    export_saved_model(run, folder / "export", streaming=True)
    return folder


@pytest.fixture(scope="module")
def served(folder):
    with StandIn(folder / "export", name="cham", port=0, rest_port=0, xla=True) as server:
        yield server


@pytest.fixture(scope="module")
def model(folder):
    return ServedModel(folder / "export" / "1", xla=True)


@pytest.fixture(scope="module")
def examples(folder):
    """The records of the test clips, as they lie in the shards."""
    files = sorted(map(str, (folder / "shards").glob("test-*.tfrecord")))
    return texts(*[record.numpy() for record in tf.data.TFRecordDataset(files)])


@pytest.fixture(params=["grpc", "rest"])
def client(request, served):
    kind, port = {
        "grpc": (GrpcClient, served.port),
        "rest": (RestClient, served.rest_port),
    }[request.param]
    with kind(f"127.0.0.1:{port}", "cham") as client:
        yield client


def drawn_inputs(model, signature, batch):
    """Numbers of the shapes that a signature states."""
    rng = np.random.default_rng(0)
    inputs = {}
    for name, info in model.signatures[signature].inputs.items():
        sizes = [batch, *(size or NUM_FRAMES for size in info.shape[1:])]
        if info.dtype_name == "float32":
            inputs[name] = rng.normal(size=sizes).astype(np.float32)
        else:
            inputs[name] = rng.integers(1, NUM_FRAMES, sizes).astype(info.dtype_name)
    return inputs


def assert_equal(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        if array.dtype == object:
            assert found[name].tolist() == array.tolist()
        else:
            np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-6)


@pytest.mark.parametrize("signature", ["serving_default", "step", "description"])
@pytest.mark.parametrize("batch", [1, 3])
def test_both_apis_give_what_the_model_gives(client, model, signature, batch):
    inputs = drawn_inputs(model, signature, batch)
    assert_equal(client.predict(signature, inputs), model.run(signature, inputs))


def test_records_of_shards_go_through_both_apis(client, model, examples):
    inputs = {"examples": examples}
    found = client.predict("predict_examples", inputs)
    assert len(found["top_classes"]) == len(examples) == 3
    assert_equal(found, model.run("predict_examples", inputs))


def test_classify_gives_the_classes_of_records(served, model, examples):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "cham"
    request.model_spec.signature_name = "classify"
    for example in examples:
        request.input.example_list.examples.add().ParseFromString(example)
    with grpc.insecure_channel(f"127.0.0.1:{served.port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        found = stub.Classify(request).result.classifications
    expected = model.run("classify", {"inputs": examples})
    assert [[entry.label.encode() for entry in clip.classes] for clip in found] == expected[
        "classes"
    ].tolist()
    scores = [[entry.score for entry in clip.classes] for clip in found]
    np.testing.assert_allclose(scores, expected["scores"], rtol=0, atol=1e-6)


def test_its_signatures_are_told(client, model):
    assert client.signatures() == model.signatures
