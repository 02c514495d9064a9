"""What a server is started with, its warm-up requests and the model card go with the export."""

import json
import shutil
import struct

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from server_protos import BatchingParameters, MonitoringConfig
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from cham_keras.cli.main import run_command
from cham_keras.export import export_saved_model, saved_model
from cham_keras.export.server_files import check_batch_sizes, write_server_files
from cham_keras.files import write_json
from cham_keras.serving import ServedModel
from cham_keras.serving.tensors import array_of_tensor

WARMUP = "assets.extra/tf_serving_warmup_requests"


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """An export with pictures, for two batch sizes."""
    base = tmp_path_factory.mktemp("served") / "cham"
    return export_saved_model(run, base, frames=True, batch_sizes=(1, 3))


def test_the_servers_own_messages_take_the_files(exported):
    base = exported.parent
    models = text_format.Parse(
        (base / "models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    (config,) = models.model_config_list.config
    assert (config.name, config.base_path, config.model_platform) == (
        *("cham", "/models/cham", "tensorflow"),
    )
    batching = text_format.Parse((base / "batching_params.pbtxt").read_text(), BatchingParameters())
    assert list(batching.allowed_batch_sizes) == [1, 3]
    # The server asks for this one.
    assert batching.max_batch_size.value == 3
    assert batching.batch_timeout_micros.value == 5000
    assert batching.max_enqueued_batches.value == 100
    assert batching.num_batch_threads.value >= 1
    assert batching.pad_variable_length_inputs
    monitoring = text_format.Parse((base / "monitoring.config").read_text(), MonitoringConfig())
    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_a_models_name_with_quotes_stays_one_name(tmp_path):
    base = tmp_path / 'a "b"'
    base.mkdir()
    write_server_files(base, (1,), 1)
    models = text_format.Parse(
        (base / "models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    assert models.model_config_list.config[0].name == 'a "b"'


@pytest.mark.parametrize("sizes", [(), (0, 1), (2, 1), (1, 1), tuple(range(1, 102))])
def test_batch_sizes_that_no_server_takes_are_refused(sizes, run, tmp_path):
    with pytest.raises(ValueError, match="`batch_sizes` must be 1 to 100 whole numbers"):
        check_batch_sizes(sizes)
    with pytest.raises(ValueError, match="`batch_sizes` must be"):
        export_saved_model(run, tmp_path / "export", batch_sizes=sizes)
    assert not (tmp_path / "export").exists()


def test_there_is_a_warm_up_request_for_every_signature_and_batch_size(exported):
    model = ServedModel(exported, xla=True)
    seen = {}
    for record in tf.data.TFRecordDataset(str(exported / WARMUP)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.WhichOneof("log_type") == "classify_log":
            request = log.classify_log.request
            size = len(request.input.example_list.examples)
        else:
            request = log.predict_log.request
            arrays = {key: array_of_tensor(value) for key, value in request.inputs.items()}
            assert set(arrays) == set(model.signatures[request.model_spec.signature_name].inputs)
            (size,) = {len(array) for array in arrays.values()}
            if "features" in arrays and arrays["features"].ndim == 5:
                assert arrays["features"].shape[1:] == (5, 2, 2, 24)
                assert np.all(arrays["features"] == 0.5) and np.all(arrays["lengths"] == 5)
        assert request.model_spec.name == "cham"
        seen.setdefault(request.model_spec.signature_name, []).append(size)
    assert seen == {name: [1, 3] for name in model.signatures}
    assert len(seen) == 7
    # Numbers that are all the same are written once.
    assert (exported / WARMUP).stat().st_size < 20_000


def test_an_export_that_does_not_answer_its_warm_up_leaves_no_version(run, tmp_path, monkeypatch):
    def with_a_broken_one(model, *arguments):
        count = keep(model, *arguments)
        log = prediction_log_pb2.PredictionLog()
        log.predict_log.request.model_spec.signature_name = "nothing"
        with tf.io.TFRecordWriter(str(model.folder / WARMUP)) as writer:
            writer.write(log.SerializeToString())
        return count

    keep = saved_model.write_warmup_requests
    monkeypatch.setattr(saved_model, "write_warmup_requests", with_a_broken_one)
    with pytest.raises(RuntimeError, match="warm-up request must be answered. Record 1 of .*noth"):
        export_saved_model(run, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_breaks_off_is_no_warm_up(exported, tmp_path):
    from cham_keras.serving.warmup import replay_warmup

    shutil.copytree(exported, tmp_path / "1")
    content = (tmp_path / "1" / WARMUP).read_bytes()
    first = 12 + struct.unpack("<Q", content[:8])[0] + 4
    model = ServedModel(exported, xla=True)
    assert replay_warmup(model, exported) == 14
    (tmp_path / "1" / WARMUP).write_bytes(content[: first + 20])
    with pytest.raises(ValueError, match="Record 2 is broken"):
        replay_warmup(model, tmp_path / "1")


def test_the_model_card_tells_data_figures_size_limits_and_checksum(run, tmp_path):
    from cham_keras.data.shards.shards import sha256_of_file

    shutil.copytree(run.folder, tmp_path / "run")
    evaluated = type(run)(tmp_path / "run", run.settings, run.manifest)
    figures = {"split": "test", "clips": 3, "clip_accuracy": 0.75, "mean_class_accuracy": None}
    write_json(
        tmp_path / "run" / "evaluation" / "test.json",
        {**figures, "clip_accuracy_interval": [0.5, 1.0]},
    )
    write_json(tmp_path / "run" / "evaluation" / "test-baselines.json", {"mean": 0.1})
    write_json(tmp_path / "run" / "metrics.json", {"parameters": 12345, "epochs": 3})
    version = export_saved_model(evaluated, tmp_path / "export")
    card = json.loads((version / "assets.extra" / "model_card.json").read_text())
    assert card["metrics"]["test"]["clip_accuracy"] == 0.75
    assert list(card["metrics"]) == ["test"]
    assert card["checksum"] == sha256_of_file(run.folder / "model.keras")
    assert card["data"]["clips_per_class"]["train"] == {"go home": 1, "hop": 1, "run": 1}
    text = (version / "assets.extra" / "model_card.md").read_text()
    for words in (
        "| test | 3 | clip accuracy | 0.750 | 0.500 to 1.000 |",
        "12,345 parameters",
        "| go home | 1 | 1 |",
        card["checksum"],
        "filter_bank",
        "It knows its own classes only",
    ):
        assert words in text
    assert "mean class accuracy" not in text


def test_a_card_of_a_run_without_figures_says_so(version):
    text = (version / "assets.extra" / "model_card.md").read_text()
    assert "Not evaluated before the export" in text


def test_the_command_takes_batch_sizes_and_frames(run, tmp_path, capsys):
    arguments = ["export", str(run.folder), "--out", str(tmp_path / "out")]
    assert run_command([*arguments, "--batch-sizes", "1", "2", "--frames"]) == 0
    assert "allowed_batch_sizes: 2" in (tmp_path / "out" / "batching_params.pbtxt").read_text()
    assert run_command([*arguments, "--batch-sizes", "2", "1"]) == 2
    assert "`batch_sizes` must be" in capsys.readouterr().err
