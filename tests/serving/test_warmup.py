"""The replay of a version's warm-up requests."""

import pytest
from serving_testing import predict_log, toy_inputs, write_warmup
from tensorflow_serving.apis import prediction_log_pb2

from cham_keras.serving import replay_warmup

GOOD = predict_log("serving_default", toy_inputs()).SerializeToString()


def classify_log(**features):
    log = prediction_log_pb2.PredictionLog()
    request = log.classify_log.request
    request.model_spec.signature_name = "classify"
    example = request.input.example_list.examples.add()
    for name, values in features.items():
        example.features.feature[name].float_list.value.extend(values)
    return log.SerializeToString()


def test_records_are_counted(toy, tmp_path):
    write_warmup(tmp_path, [GOOD, classify_log(x=[1, 2]), b"", GOOD])
    assert replay_warmup(toy, tmp_path) == 4


def test_a_version_without_requests_has_none(toy, tmp_path):
    assert replay_warmup(toy, tmp_path) == 0


def session_run_log():
    log = prediction_log_pb2.PredictionLog()
    log.session_run_log.request.model_spec.name = "toy"
    return log.SerializeToString()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (predict_log("other", {}).SerializeToString(), 'signature key "other" not found'),
        (predict_log("single", toy_inputs()).SerializeToString(), "input size does not match"),
        (classify_log(y=[1]), "is required but could not be found"),
        (session_run_log(), "Unsupported log_type for warmup: session_run_log"),
        (b"\xff\xff", "must be a PredictionLog"),
    ],
)
def test_a_failing_record_is_named_with_its_number_and_reason(toy, tmp_path, record, words):
    write_warmup(tmp_path, [GOOD, record, GOOD])
    with pytest.raises(ValueError, match=r"Record 2 of .*tf_serving_warmup_requests") as refused:
        replay_warmup(toy, tmp_path)
    assert words in str(refused.value)


def test_a_thousand_records_are_the_most(toy, tmp_path):
    record = prediction_log_pb2.PredictionLog().SerializeToString()
    write_warmup(tmp_path, [record] * 1000)
    assert replay_warmup(toy, tmp_path) == 1000
    write_warmup(tmp_path, [record] * 1001)
    with pytest.raises(ValueError, match="at most 1000 records. Received: more"):
        replay_warmup(toy, tmp_path)


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-1], "Record 2 is broken: the file breaks off"),
        (lambda content: content + b"12345", "Record 3 is broken: the file breaks off"),
        (lambda content: flipped(content, len(content) - 10), "Record 2 is broken: its checksum"),
        (lambda content: flipped(content, 3), "Record 1 is broken: its checksum"),
        (lambda content: flipped(content, 30), "Record 1 is broken: its checksum"),
    ],
)
def test_a_broken_file_is_named(toy, tmp_path, change, words):
    path = write_warmup(tmp_path, [GOOD, GOOD])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match="must be a TFRecord file") as refused:
        replay_warmup(toy, tmp_path)
    assert words in str(refused.value)
