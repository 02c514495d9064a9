"""Served = predicted is proved in a process without Keras, and a difference is seen."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from export_testing import CLASSES, write_tiny_run

from cham_keras.export import ParityError, check_parity, export_saved_model, loading, parity
from cham_keras.export.inference import KerasScorer
from cham_keras.export.loading import LoadedSavedModel
from cham_keras.export.parity import PARITY_FILE, drawn_batches, output_differences
from cham_keras.files import read_json


def test_an_export_gives_its_runs_scores_and_the_report_says_so(run, shards, tmp_path):
    version = export_saved_model(run, tmp_path, check=True, shards=shards)
    report = read_json(version / PARITY_FILE)
    assert report["batches"] == [[3, 5], [1, 3]]
    assert set(report["differences"]) == {
        *("attention", "clip_probabilities", "logits", "probabilities"),
        *("top_classes", "top_scores"),
    }
    assert max(report["differences"].values()) < 1e-5


def test_drawn_clips_are_of_several_sizes_and_padded_and_agree(version, run):
    batches = drawn_batches(run, seed=0)
    assert len({batch["features"].shape[:2] for batch in batches}) == 3
    padded = [batch for batch in batches if batch["lengths"].min() < batch["features"].shape[1]]
    assert len(padded) == 2
    keras_model, served = KerasScorer(run), LoadedSavedModel(version)
    for batch in batches:
        found = output_differences(keras_model(**batch), served(**batch), CLASSES)
        assert max(found.values()) < 1e-5


def test_the_export_of_another_run_is_found_out(version, shards, tmp_path):
    other = write_tiny_run(tmp_path / "other", shards, seed=1)
    with pytest.raises(ParityError, match="must give the scores of the run .* probabilities [1-9]"):
        check_parity(version, other)


def test_an_export_that_does_not_run_is_named(version, run, tmp_path):
    shutil.copytree(version, tmp_path / "1")
    (tmp_path / "1" / "variables" / "variables.index").unlink()
    with pytest.raises(ParityError, match="cannot be run without Keras: .*must be a whole"):
        check_parity(tmp_path / "1", run)


def test_the_process_of_the_comparison_has_neither_keras_nor_this_package(version, batch, tmp_path):
    np.savez(tmp_path / "batches.npz", **{f"{name}/0": array for name, array in batch.items()})
    program = (
        "import runpy, sys\n"
        "runpy.run_path(sys.argv.pop(1), run_name='__main__')\n"
        "loaded = [name for name, module in sys.modules.items() if module is not None]\n"
        "print({'keras', 'tf_keras', 'cham_keras'} & {name.split('.')[0] for name in loaded})\n"
    )
    files = [loading.__file__, version, tmp_path / "batches.npz", tmp_path / "scores.npz"]
    process = subprocess.run(
        [sys.executable, "-P", "-c", program, *map(str, files)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout == "set()\n"
    with np.load(tmp_path / "scores.npz") as scores:
        assert scores["probabilities/0"].shape == (3, 5, 3)


@pytest.fixture
def outputs():
    """Outputs of a Keras model and of an export that agree: two clips, four steps."""
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 4))
    clips = probabilities.mean(axis=1)
    best = np.argsort(-clips, axis=1)
    expected = {"probabilities": probabilities, "clip_probabilities": clips}
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
    def broken(folder, batches):
        return [{**scores, "logits": scores["logits"] * np.nan} for scores in keep(folder, batches)]

    keep = parity.scores_without_keras
    monkeypatch.setattr(parity, "scores_without_keras", broken)
    with pytest.raises(ParityError, match="logits nan"):
        check_parity(version, run)
