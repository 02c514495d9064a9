"""`cham evaluate` and `cham paired`: what they print, write and refuse."""

import json

import pytest
from export_testing import write_tiny_run
from results_making import drawn_results
from shard_making import make_shards

from cham_keras.evaluation import read_results, summarize_seeds


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(scope="module")
def runs(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [
        write_tiny_run(folder / f"run-{seed}", shards, "conv_attention", seed).folder
        for seed in (0, 1)
    ]


@pytest.fixture(scope="module")
def methods(tmp_path_factory):
    """Folders of two methods' results, three seeds of each."""
    folder = tmp_path_factory.mktemp("methods")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cham_keras.evaluation.report.plot_results", lambda *_: None)
        for name, skill in (("good", 2.0), ("poor", 0.0)):
            found[name] = [folder / f"{name}-{seed}" for seed in range(3)]
            for seed, place in enumerate(found[name]):
                drawn_results(skill=skill, seed=(seed, len(name), skill > 1)).write(place)
    return found


def test_several_runs_are_evaluated_and_summarized(cham, shards, runs, tmp_path):
    out = tmp_path / "seeds"
    code, said = cham("evaluate", *runs, "--shards", shards, "--out", out)
    assert code == 0
    results = [read_results(run) for run in runs]
    summary = summarize_seeds(results)
    stored = json.loads((out / "test-seeds.json").read_text())
    assert stored["scores"]["clip_accuracy"]["values"] == [
        found.scores["clip_accuracy"] for found in results
    ]
    assert stored["names"] == ["run-0", "run-1"]
    assert read_results(out / "ensemble").scores == summary.ensemble.scores
    assert said.count("Split test: 9 clips") == 2
    assert "Split test: 2 runs on 9 clips" in said
    assert f"Next: cham explain {runs[0]}" in said


def test_one_run_has_no_summary(cham, shards, runs, tmp_path):
    code, said = cham("evaluate", runs[0], "--shards", shards, "--windows", "all")
    assert code == 0
    assert "runs on" not in said
    assert "Windows that a clip's score is the mean of: as many as hold" in said
    assert read_results(runs[0]).frames.windows == "all"
    code, said = cham("evaluate", runs[0], "--shards", shards, "--out", tmp_path / "seeds")
    assert code == 2
    assert "`--out` goes with several runs" in said
    assert not (tmp_path / "seeds").exists()


def test_pooled_baselines_stand_below_the_run_and_are_fitted_once(cham, shards, runs, monkeypatch):
    code, said = cham("evaluate", runs[1], "--shards", shards, "--split", "validation")
    assert code == 0
    table = said.index("Pooled baselines on the same clips: logistic regression")
    assert said.index("Split validation: 6 clips") < table < said.index("Next: cham explain")
    stored = json.loads((runs[1] / "evaluation" / "validation-baselines.json").read_text())
    best = stored["baselines"][0]
    assert f"{best['pooling']} {best['clip_accuracy']:.3f}" in said[table:]
    monkeypatch.setattr("cham_keras.baselines.beside_runs.pooled_clips", None)
    code, again = cham("evaluate", runs[1], "--shards", shards, "--split", "validation")
    assert code == 0
    assert again[again.index("Pooled baselines") :] == said[table:]


def test_pooled_baselines_can_be_left_out(cham, shards, runs, monkeypatch):
    monkeypatch.setattr("cham_keras.baselines.beside_runs.pooled_clips", None)
    command = ("evaluate", runs[0], "--shards", shards, "--split", "validation", "--no-baselines")
    code, said = cham(*command)
    assert code == 0
    assert "baselines" not in said
    assert not (runs[0] / "evaluation" / "validation-baselines.json").exists()


def test_an_evaluation_without_training_clips_says_why_there_are_no_baselines(
    cham, shards, runs, tmp_path
):
    tested = make_shards(tmp_path / "tested", {"test": 2})
    code, said = cham("evaluate", runs[0], "--shards", tested)
    assert code == 0
    assert "No pooled baselines beside it. They are fitted on the split `train`, and" in said
    code, said = cham("evaluate", runs[0], "--shards", shards, "--split", "train")
    assert code == 0
    assert "No pooled baselines beside it. They are fitted on the split `train`, the one" in said


def test_a_bad_number_of_windows_is_refused(cham, shards, runs):
    code, said = cham("evaluate", runs[0], "--shards", shards, "--windows", 0)
    assert code == 2
    assert "`windows` must be at least 1, or 'all'. Received: 0." in said


def test_two_methods_are_compared(cham, methods, tmp_path):
    good, poor = methods["good"], methods["poor"]
    names = ("--name", "good", "--against-name", "poor")
    code, said = cham("paired", *good, "--against", *poor, *names, "--out", tmp_path)
    assert code == 0
    stored = json.loads((tmp_path / "test-paired.json").read_text())
    assert stored["seeds"] == [3, 3]
    assert stored["names"] == ["good", "poor"]
    assert stored["sentence"].startswith("good beats poor by ")
    assert f"{stored['sentence']}." in said
    assert f"{stored['sentence']}." in (tmp_path / "test-paired.md").read_text()


def test_one_run_is_called_as_its_folder(cham, methods):
    good, poor = methods["good"][0], methods["poor"][0]
    code, said = cham("paired", good, "--against", poor)
    assert code == 0
    assert f"{good.name} beats {poor.name} by " in said
    code, said = cham("paired", good, "--against", poor, "--name", "mine")
    assert f"mine beats {poor.name} by " in said
    code, said = cham("paired", *methods["good"], "--against", *methods["poor"])
    assert "A beats B by " in said


def test_runs_that_are_not_evaluated_are_named(cham, methods, tmp_path):
    code, said = cham("paired", methods["good"][0], "--against", tmp_path)
    assert code == 2
    assert "There are no results" in said
    assert "`cham evaluate RUN --shards SHARDS --split test`" in said


def test_other_clips_are_refused(cham, methods, tmp_path):
    drawn_results(clips=30).write(tmp_path)
    code, said = cham("paired", methods["good"][0], "--against", tmp_path)
    assert code == 2
    assert "Results must be of the same clips. Received: 30 and 40 clips" in said
