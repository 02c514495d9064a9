"""Served = predicted is proved in a process without Keras, and a difference is seen."""

import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
from export_testing import CLASSES, write_tiny_run, write_tiny_shards

from cham_keras.export import ParityError, check_parity, export_saved_model, parity
from cham_keras.export.inference import KerasScorer
from cham_keras.export.loading import LoadedSavedModel
from cham_keras.export.parity import PARITY_FILE, PROGRAMS, drawn_batches, output_differences
from cham_keras.export.parity_cases import with_top
from cham_keras.files import read_json

SIGNATURES = ["serving_default", "predict_examples", "classify", "initial_states", "step"]


def test_an_export_gives_its_runs_answers_in_both_programs_and_the_report_says_so(
    run, shards, tmp_path
):
    version = export_saved_model(run, tmp_path, check=True, shards=shards, frames=True)
    report = read_json(version / PARITY_FILE)
    assert report["batches"] == [[3, 5], [1, 3]]
    assert list(report["differences"]) == list(PROGRAMS)
    for differences in report["differences"].values():
        asked = {name.partition("/")[0] for name in differences}
        assert asked == {*SIGNATURES, "jpeg_frames"}
        assert max(differences.values()) < 1e-5
        for name in ("attention", "clip_probabilities", "logits", "probabilities"):
            assert f"predict_examples/{name}" in differences
        assert "serving_default/top_classes" in differences and "classify/classes" in differences
    timed = {row["signature"]: row for row in report["latency"]}
    assert set(timed) == {*SIGNATURES, "jpeg_frames"}
    assert all(0 < row["median_ms"] <= row["p95_ms"] for row in report["latency"])
    assert timed["jpeg_frames"]["shape"] == [2, 3]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_records_of_every_dtype_give_the_runs_answers(dtype, tmp_path):
    shards = write_tiny_shards(tmp_path / "data", feature_dtype=dtype)
    # A model that starts from the clip's mean, and takes short clips as they are.
    run = write_tiny_run(tmp_path / "run", shards, "fc_attention", short_clips="pad")
    version = export_saved_model(run, tmp_path / "export", check=True, shards=shards, frames=True)
    for differences in read_json(version / PARITY_FILE)["differences"].values():
        assert max(differences.values()) < 1e-5
        assert {"start/h", "start/c", "jpeg_frames/probabilities"} <= set(differences)


def test_drawn_clips_are_of_several_sizes_and_padded_and_agree(version, run):
    batches = drawn_batches(run, seed=0)
    assert len({batch["features"].shape[:2] for batch in batches}) == 3
    padded = [batch for batch in batches if batch["lengths"].min() < batch["features"].shape[1]]
    assert len(padded) == 2
    keras_model, served = KerasScorer(run), LoadedSavedModel(version)
    for batch in batches:
        found = output_differences(with_top(keras_model(**batch)), served(**batch), CLASSES)
        assert max(found.values()) < 1e-5


def test_the_export_of_another_run_is_found_out(version, shards, tmp_path):
    other = write_tiny_run(tmp_path / "other", shards, seed=1)
    with pytest.raises(
        ParityError, match="must give the scores of the run .* serving_default/prob.* [1-9]"
    ):
        check_parity(version, other)


def test_an_export_that_does_not_run_is_named(version, run, tmp_path):
    shutil.copytree(version, tmp_path / "1")
    (tmp_path / "1" / "variables" / "variables.index").unlink()
    with pytest.raises(ParityError, match="refused serving_default: Could not find variable"):
        check_parity(tmp_path / "1", run)


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_the_processes_of_the_comparison_have_neither_keras_nor_this_package(
    name, version, batch, tmp_path
):
    (tmp_path / "requests").write_bytes(pickle.dumps([("serving_default", batch)]))
    program = (
        "import runpy, sys\n"
        "runpy.run_path(sys.argv.pop(1), run_name='__main__')\n"
        "loaded = [name for name, module in sys.modules.items() if module is not None]\n"
        "print({'keras', 'tf_keras', 'cham_keras'} & {name.split('.')[0] for name in loaded})\n"
    )
    files = [PROGRAMS[name], version, tmp_path / "requests", tmp_path / "answers", 0]
    process = subprocess.run(
        [sys.executable, "-P", "-c", program, *map(str, files)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout == "set()\n"
    answers = pickle.loads((tmp_path / "answers").read_bytes())["answers"]
    assert answers[0]["probabilities"].shape == (3, 5, 3)


def test_a_refused_request_is_named(version, run):
    requests = [("serving_default", {"features": np.zeros((1, 2, 3, 3, 3), "float32")})]
    with pytest.raises(ParityError, match="refused serving_default: The signature .* takes"):
        parity.answers_without_keras(version, requests, PROGRAMS["TensorFlow's C library"])


@pytest.fixture
def outputs():
    """Outputs of a Keras model and of an export that agree: two clips, four steps."""
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 4))
    clips = probabilities.mean(axis=1)
    best = np.argsort(-clips, axis=1)
    expected = with_top({"probabilities": probabilities, "clip_probabilities": clips})
    served = {
        **{name: array.copy() for name, array in expected.items()},
        "top_classes": np.array(CLASSES)[best],
        "top_scores": np.take_along_axis(clips, best, axis=1),
    }
    return expected, served


def test_no_difference_is_seen_where_there_is_none(outputs):
    assert set(output_differences(*outputs, CLASSES).values()) == {0.0}


def test_one_changed_number_is_seen(outputs):
    expected, served = outputs
    served["probabilities"][1, 3, 2] += 1e-3
    found = output_differences(expected, served, CLASSES)
    assert found.pop("probabilities") == pytest.approx(1e-3)
    assert set(found.values()) == {0.0}


def test_labels_in_another_order_are_seen(outputs):
    assert output_differences(*outputs, CLASSES[::-1])["top_classes"] > 1e-2
    assert output_differences(*outputs, ("a", "b", "c"))["top_classes"] == float("inf")


@pytest.mark.parametrize("array", [np.zeros((2, 4, 2)), np.zeros((1, 4, 3)), None])
def test_a_missing_output_or_another_shape_is_seen(outputs, array):
    expected, served = outputs
    del served["probabilities"]
    if array is not None:
        served["probabilities"] = array
    assert output_differences(expected, served, CLASSES)["probabilities"] == float("inf")


def test_what_is_not_a_number_is_no_agreement(version, run, monkeypatch):
    def broken(*arguments):
        found = keep(*arguments)
        for answer in found["answers"][:1]:
            answer["logits"] = answer["logits"] * np.nan
        return found

    keep = parity.answers_without_keras
    monkeypatch.setattr(parity, "answers_without_keras", broken)
    with pytest.raises(ParityError, match="serving_default/logits nan"):
        check_parity(version, run)


def test_classes_of_the_classify_api_in_another_order_are_seen():
    scores = np.array([[0.2, 0.5, 0.3]])
    served = {"scores": scores, "classes": np.array([[b"a", b"b", b"c"]], dtype=object)}
    assert output_differences({"scores": scores}, served, ("a", "b", "c"))["classes"] == 0
    found = output_differences({"scores": scores}, served, ("b", "a", "c"))
    assert found["classes"] == float("inf")
