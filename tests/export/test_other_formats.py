"""Files of other formats answer as the Keras model does, with free batch and time."""

import json
import sys
from importlib.util import find_spec
from zipfile import ZipFile

import numpy as np
import pytest
import tensorflow as tf
from export_testing import CLASSES, write_tiny_run

from cham_keras import models
from cham_keras.cli.main import run_command
from cham_keras.export import ParityError
from cham_keras.export.inference import KerasScorer, inference_model
from cham_keras.export.other_formats import export_litert, export_onnx, litert_file, onnx_file
from cham_keras.export.other_formats.frozen_signatures import FrozenSignature
from cham_keras.export.other_formats.litert_file import LiteRTFile
from cham_keras.export.other_formats.onnx_file import OnnxFiles

EXPORTS = {"onnx": export_onnx, "litert": export_litert}
SUFFIXES = {"onnx": ".onnx", "litert": ".tflite"}
PACKAGES = {"onnx": ("onnx", "onnxruntime", "tf2onnx"), "litert": ("ai_edge_litert",)}
MODULES = {"onnx": onnx_file, "litert": litert_file}


def needs(name):
    missing = not all(find_spec(package) for package in PACKAGES[name])
    reason = f"needs pip install 'cham-keras[{name}]'"
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason=reason))


FORMATS = [needs(name) for name in EXPORTS]


def answers_of(format_name, files):
    """What calls a signature of written files with arrays."""
    if format_name == "onnx":
        return OnnxFiles(files).answer
    return LiteRTFile(files["step"]).answer


@pytest.fixture(scope="module", params=["cham", "conv_attention", "fc_attention"])
def any_run(request, shards, tmp_path_factory):
    return write_tiny_run(tmp_path_factory.mktemp("runs") / "run", shards, request.param)


@pytest.fixture(scope="module", params=FORMATS)
def answer(request, any_run, tmp_path_factory):
    """The files of one model in one format, ready to be called."""
    out = tmp_path_factory.mktemp("files") / f"model{SUFFIXES[request.param]}"
    checked = EXPORTS[request.param](any_run, out)
    assert checked.largest_difference < 1e-5
    begins = "start" if "fc_attention" in any_run.settings.model.name else "initial_states"
    assert set(checked.files) == {"serving_default", "step", begins}
    assert all(file.is_file() for file in checked.files.values())
    return answers_of(request.param, checked.files)


def test_clips_of_any_number_and_length_score_as_the_keras_model_says(any_run, answer):
    generator = np.random.default_rng(5)
    scorer = KerasScorer(any_run)
    for lengths in ([1], [9], [2, 7], [6, 1, 3, 6, 4]):
        shape = (len(lengths), max(lengths) + 1, *any_run.manifest.feature_shape)
        features = generator.normal(size=shape).astype("float32")
        lengths = np.array(lengths, "int32")
        expected = scorer(features, lengths)
        found = answer("serving_default", {"features": features, "lengths": lengths})
        assert set(found) == set(expected)
        np.testing.assert_allclose(
            found["clip_probabilities"], expected["clip_probabilities"], atol=1e-5
        )
        for name in ("probabilities", "logits", "attention"):
            assert found[name].shape == expected[name].shape
            for clip, length in enumerate(lengths):
                np.testing.assert_allclose(
                    *(found[name][clip, :length], expected[name][clip, :length]),
                    atol=2e-5,
                    rtol=1e-5,
                )


def test_padding_changes_nothing(batch, answer):
    whole = answer("serving_default", batch)
    alone = answer(
        "serving_default",
        {"features": batch["features"][2:, :4], "lengths": batch["lengths"][2:]},
    )
    np.testing.assert_allclose(
        alone["clip_probabilities"], whole["clip_probabilities"][2:], atol=1e-6
    )
    np.testing.assert_allclose(alone["attention"], whole["attention"][2:, :4], atol=1e-6)


def test_steps_give_what_the_keras_stream_gives(any_run, answer, batch):
    model = any_run.load_model()
    step = models.streaming(model)
    if any_run.settings.model.name == "fc_attention":
        states = answer("start", batch)
        expected_states = models.start_states_from_clip(model, batch["features"], batch["lengths"])
    else:
        states = answer("initial_states", {"streams": np.array([4, 4, 4], "int32")})
        expected_states = models.start_states(step, 3)
    assert set(states) == set(expected_states)
    for frame in range(batch["features"].shape[1]):
        features = batch["features"][:, frame]
        found = answer("step", {"features": features, **states})
        expected = step.predict_on_batch({"features": features, **expected_states})
        assert set(found) == set(expected)
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, atol=1e-5, rtol=1e-5)
        states = {name: found[name] for name in states}
        expected_states = {name: expected[name] for name in states}


@pytest.mark.parametrize("format_name", FORMATS)
def test_trained_first_states_and_differences_of_frames_are_in_the_file(
    format_name, shards, tmp_path
):
    run = write_tiny_run(
        *(tmp_path / "run", shards, "conv_attention"),
        initial_state="learned",
        standardize=True,
        temporal_differences="beside",
    )
    checked = EXPORTS[format_name](run, tmp_path / f"model{SUFFIXES[format_name]}")
    answer = answers_of(format_name, checked.files)
    states = answer("initial_states", {"streams": np.zeros(2, "int32")})
    expected = models.start_states(models.streaming(run.load_model()), 2)
    assert set(states) == set(expected)
    for name, state in expected.items():
        np.testing.assert_array_equal(states[name], state)
    assert np.abs(states["h"]).max() > 0.1


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("weight", ["logits/bias", "attention_bias", "initial_h/kernel"])
def test_a_broken_weight_is_found_and_what_was_there_stays(
    format_name, weight, shards, tmp_path, monkeypatch
):
    run = write_tiny_run(tmp_path / "run", shards, "fc_attention")

    def broken(run):
        model = inference_model(run)
        (variable,) = [v for v in model.trainable_variables if v.path.endswith(weight)]
        variable.assign(variable + 1e-2 * np.arange(variable.shape[-1]))
        return model

    monkeypatch.setattr(MODULES[format_name], "inference_model", broken)
    out = tmp_path / "files" / f"model{SUFFIXES[format_name]}"
    out.parent.mkdir()
    out.write_text("old")
    with pytest.raises(ParityError, match=r"must give the scores of the run .* to 1e-05. Received"):
        EXPORTS[format_name](run, out)
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert out.read_text() == "old"


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("signature", ["serving_default", "step", "start"])
def test_every_signature_of_a_file_is_compared(
    format_name, signature, shards, tmp_path, monkeypatch
):
    run = write_tiny_run(tmp_path / "run", shards, "fc_attention")
    answers = {"onnx": OnnxFiles, "litert": LiteRTFile}[format_name]
    right = answers.answer

    def wrong(self, asked, inputs):
        outputs = right(self, asked, inputs)
        if asked == signature:
            outputs = {name: array + 1e-3 for name, array in outputs.items()}
        return outputs

    monkeypatch.setattr(answers, "answer", wrong)
    with pytest.raises(ParityError, match=f"Received differences: {signature}/"):
        EXPORTS[format_name](run, tmp_path / f"model{SUFFIXES[format_name]}")


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_model_without_states_has_the_signature_of_clips_only(format_name, shards, tmp_path):
    run = write_tiny_run(tmp_path / "run", shards, "softmax_regression")
    checked = EXPORTS[format_name](run, tmp_path / "files" / f"model{SUFFIXES[format_name]}")
    assert list(checked.files) == ["serving_default"]


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_command_writes_the_files_and_says_where(format_name, shards, tmp_path, capsys):
    run = write_tiny_run(tmp_path / "run", shards, "average_pooled_lstm")
    out = tmp_path / "files" / f"m{SUFFIXES[format_name]}"
    arguments = ["export", str(run.folder), "--format", format_name, "--out", str(out)]
    assert run_command([*arguments, "--no-streaming"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "serving_default" in printed
    assert "Same scores as the Keras model: largest difference" in printed
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_operation_that_the_format_has_not_is_told(format_name, shards, tmp_path, monkeypatch):
    run = write_tiny_run(tmp_path / "run", shards, "softmax_regression")
    as_values = FrozenSignature(
        "serving_default",
        {"lengths": tf.TensorSpec((None,), tf.int32, "lengths")},
        lambda lengths: {
            "values": tf.linalg.svd(tf.cast(lengths, tf.float32)[None], compute_uv=False)
        },
    )
    monkeypatch.setattr(MODULES[format_name], "frozen_signatures", lambda *_, **__: [as_values])
    out = tmp_path / "files" / f"model{SUFFIXES[format_name]}"
    with pytest.raises(RuntimeError, match=r"own operations must do .* says: .*Svd"):
        EXPORTS[format_name](run, out)
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize("format_name", [needs("onnx")])
def test_onnx_files_have_names_and_say_what_they_are(format_name, shards, tmp_path):
    import onnxruntime

    run = write_tiny_run(tmp_path / "run", shards, "average_pooled_lstm")
    files = export_onnx(run, tmp_path / "model.onnx").files
    assert {name: file.name for name, file in files.items()} == {
        "serving_default": "model.onnx",
        "step": "model-step.onnx",
        "start": "model-start.onnx",
    }
    for file in files.values():
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        metadata = session.get_modelmeta().custom_metadata_map
        assert json.loads(metadata["cham.json"])["classes"] == list(CLASSES)
    step = onnxruntime.InferenceSession(str(files["step"]), providers=["CPUExecutionProvider"])
    assert {tensor.name for tensor in step.get_inputs()} == {"features", "h", "c"}
    assert {tensor.name for tensor in step.get_outputs()} >= {"probabilities", "next_h", "next_c"}


@pytest.mark.parametrize("format_name", [needs("litert")])
def test_a_litert_file_holds_its_labels_and_no_operation_of_tensorflow(
    format_name, shards, tmp_path
):
    run = write_tiny_run(tmp_path / "run", shards, "average_pooled_lstm")
    export_litert(run, tmp_path / "model.tflite")
    assert b"Flex" not in (tmp_path / "model.tflite").read_bytes()
    with ZipFile(tmp_path / "model.tflite") as archive:
        assert archive.read("labels.txt").decode().splitlines() == list(CLASSES)
        assert json.loads(archive.read("cham.json"))["classes"] == list(CLASSES)


@pytest.mark.parametrize(
    ("format_name", "package"),
    [
        ("onnx", "onnxruntime"),
        ("onnx", "tf2onnx"),
        ("litert", "ai_edge_litert.interpreter"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    format_name, package, run, tmp_path, monkeypatch, capsys
):
    for name in PACKAGES[format_name]:
        if not find_spec(name):  # so that the one that is named is the one that is missing
            monkeypatch.setitem(sys.modules, name, sys)
    monkeypatch.setitem(sys.modules, package, None)
    out = tmp_path / f"model{SUFFIXES[format_name]}"
    arguments = ["export", str(run.folder), "--format", format_name, "--out", str(out)]
    assert run_command(arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"Install them: pip install 'cham-keras[{format_name}]'." in said
    assert package in said
    assert not out.exists()


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_with_another_suffix_is_refused(format_name, run, tmp_path):
    with pytest.raises(ValueError, match=r"must be a file with the suffix .* Received: .*model"):
        EXPORTS[format_name](run, tmp_path / "model")


@pytest.mark.parametrize(
    "options",
    [
        ("--frames",),
        ("--weights", "w.h5"),
        ("--batch-sizes", "3"),
        ("--shards", "nowhere"),
        ("--split", "train"),
    ],
)
@pytest.mark.parametrize("format_name", EXPORTS)
def test_options_of_a_saved_model_are_refused(format_name, options, tmp_path, capsys):
    arguments = ["export", "run", "--format", format_name, "--out", str(tmp_path / "out")]
    assert run_command([*arguments, *options]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert (
        f"{options[0]} must go with --format savedmodel. Received: --format {format_name}" in said
    )
