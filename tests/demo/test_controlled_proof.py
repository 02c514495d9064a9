"""The controlled proof: equal terms for all methods, runs once each, honest figures."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cham_keras.demo.controlled import (
    CONTROLLED_SETS,
    ProofSettings,
    experiment,
    outcomes,
    run_proof,
    take_over,
    write_report,
)
from cham_keras.demo.controlled.experiment import OUTCOME_FILE, TITLES
from cham_keras.demo.controlled.methods import METHODS, PARAMETER_BUDGET, run_settings
from cham_keras.demo.controlled.report import report_markdown
from cham_keras.demo.controlled.statistics import QUESTIONS, differences, mean_over_seeds
from cham_keras.runs import build_model

ROOT = Path(__file__).parents[2]
TINY = ProofSettings(train_clips=30, validation_clips=3, test_clips=6, max_epochs=1)
TINY_RUNS = {
    "sets": ["single_frame"],
    "methods": ["softmax_regression", "pooled_mean_std"],
    "seeds": [3],
}


def outcome(set_name, method, seed, accuracy, last=None):
    return {
        "set": set_name,
        "method": method,
        "seed": seed,
        "test_clips": 10,
        "clip_accuracy": accuracy,
        "last_frame_accuracy": last,
        "parameters": 100,
        "epochs": 4,
        "kept_epoch": 2,
        "validation_accuracy": 0.5,
        "seconds": 1.0,
    }


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("proof") / "out"
    return out, run_proof(out, TINY, **TINY_RUNS)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "softmax_regression"])
def test_every_network_has_about_the_same_number_of_parameters(name):
    model = build_model(METHODS[name].model, (7, 7, 24), num_classes=3, seed=0)
    assert model.count_params() == pytest.approx(PARAMETER_BUDGET, rel=0.03)


@pytest.mark.parametrize("name", METHODS)
def test_all_networks_are_trained_in_one_way(name):
    def without_model(method):
        settings = dataclasses.asdict(run_settings(method, 48, seed=2, max_epochs=40))
        frames = settings["data"].pop("num_frames")
        return frames, {key: value for key, value in settings.items() if key != "model"}

    frames, settings = without_model(METHODS[name])
    assert settings == without_model(METHODS["fc_attention"])[1]
    assert frames == (24 if name == "conv_attention_half" else 48)
    assert METHODS[name].model.standardize
    # A first state from the clip's mean would show later frames.
    assert METHODS[name].model.initial_state in (None, "zeros")


def test_questions_are_about_methods_that_are_there():
    assert {name for first, second, _ in QUESTIONS for name in (first, second)} <= set(TITLES)
    assert {one.score for one in CONTROLLED_SETS.values()} <= set(outcome("", "", 0, 0.0))


def test_mean_over_seeds_gives_the_interval_of_students_t():
    values = [0.62, 0.58, 0.71, 0.66, 0.60]
    found = mean_over_seeds(values)
    # By hand: t(0.975, 4) = 2.7764, the error of the mean is the deviation / sqrt(5).
    assert found.mean == pytest.approx(0.634)
    assert found.standard_deviation == pytest.approx(0.0517687, abs=1e-6)
    assert found.half_width == pytest.approx(2.7764 * 0.0517687 / 5**0.5, rel=1e-3)
    alone = mean_over_seeds([0.5])
    assert alone.mean == 0.5
    assert np.isnan(alone.half_width)
    with pytest.raises(ValueError, match=r"1 to 20 numbers. Received: 0"):
        mean_over_seeds([])


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = [
        abs(found.mean - 0.5) <= found.half_width
        for found in (mean_over_seeds(draw) for draw in rng.normal(0.5, 0.1, size=(4000, 5)))
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.014)


def test_differences_pair_the_seeds_that_both_methods_have():
    found = differences(
        [
            outcome("place", "fc_attention", seed, accuracy)
            for seed, accuracy in enumerate([0.9, 0.8, 0.7, 0.1])
        ]
        + [
            outcome("place", "average_pooled_lstm", seed, accuracy)
            for seed, accuracy in ((2, 0.4), (0, 0.5), (1, 0.5), (7, 1.0))
        ]
    )
    (one,) = found
    assert (one.set, one.first, one.second) == ("place", "fc_attention", "average_pooled_lstm")
    assert one.difference.mean == pytest.approx((0.4 + 0.3 + 0.3) / 3)
    assert (one.better, one.worse, one.difference.seeds) == (3, 0, 3)
    assert one.verdict == "better"


@pytest.mark.parametrize(
    ("apart", "verdict"),
    [
        ([0.3, 0.31, 0.3], "better"),
        ([-0.3, -0.31, -0.3], "worse"),
        ([0.3, -0.31, 0.3], "no difference shown"),
        ([0.0, 0.0, 0.0], "no difference shown"),
        ([0.3], "one seed says nothing"),
    ],
)
def test_verdict_says_no_more_than_the_interval(apart, verdict):
    runs = [outcome("place", "cham_skip_1", s, 0.5 + x) for s, x in enumerate(apart)]
    runs += [outcome("place", "conv_attention", s, 0.5) for s in range(len(apart))]
    (one,) = differences(runs)
    assert one.verdict == verdict


def test_coarse_order_is_judged_by_the_last_frame():
    runs = [
        outcome("coarse_order", method, seed, 0.9, last)
        for method, last in (("cham_skip_2", 0.8), ("cham_skip_1", 0.6))
        for seed in (0, 1)
    ]
    (one,) = differences(runs)
    assert one.difference.mean == pytest.approx(0.2)
    text = report_markdown(runs)
    assert "coarse_order (the clip's last frame)" in text
    assert "| CHAM, skip 2 | 100 | 0.800 ± 0.000 (0.000) |" in text
    assert "| CHAM, skip 2 | 0.900 ± 0.000 (0.000) |" in text


def test_report_has_every_outcome_the_bounds_and_a_picture(tmp_path):
    runs = [outcome("place", method, 0, 0.75, 0.5) for method in TITLES]
    write_report(tmp_path, runs, {"settings": {"max_epochs": 4}})
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["outcomes"] == runs
    assert stored["settings"] == {"max_epochs": 4}
    # One seed has no interval, and JSON no nan.
    assert [one["difference"]["half_width"] for one in stored["differences"]] == [None] * 7
    text = (tmp_path / "results.md").read_text()
    for title in TITLES.values():
        assert f"| {title} |" in text
    assert "| *bound without place* | | 0.333 |" in text
    assert "| *chance* | | 0.333 |" in text
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="at least one run"):
        write_report(tmp_path, [], {})


def test_each_run_leaves_an_outcome(tiny):
    out, found = tiny
    assert [(one["set"], one["method"], one["seed"]) for one in found] == [
        ("single_frame", "pooled_mean_std", 3),
        ("single_frame", "softmax_regression", 3),
    ]
    assert all(one["test_clips"] == 6 and 0 <= one["clip_accuracy"] <= 1 for one in found)
    pooled, trained = found
    assert pooled["last_frame_accuracy"] is None
    assert trained["parameters"] == 7 * 7 * 24 * 3 + 3 + 2 * 24
    assert (trained["epochs"], trained["kept_epoch"]) == (1, 1)
    assert outcomes(out) == found


def test_finished_runs_are_not_done_again_and_a_broken_off_one_goes_on(tiny, monkeypatch):
    out, found = tiny

    def fail(*arguments, **more):
        raise AssertionError("done again")

    for name in ("train", "write_controlled_set", "extract"):
        monkeypatch.setattr(experiment, name, fail)
    with monkeypatch.context() as also:
        for name in ("frame_probabilities", "pooled_baselines"):
            also.setattr(experiment, name, fail)
        assert run_proof(out, TINY, **TINY_RUNS) == found
    # As a kill between training and scoring leaves it.
    (out / "single_frame" / "seed-3" / "softmax_regression" / OUTCOME_FILE).unlink()
    assert len(outcomes(out)) == 1
    assert run_proof(out, TINY, **TINY_RUNS) == found


def test_the_runs_of_a_report_count_as_finished_in_a_new_folder(tiny, tmp_path, monkeypatch):
    _, found = tiny
    write_report(tmp_path / "report", found, {"settings": dataclasses.asdict(TINY)})
    report = tmp_path / "report" / "results.json"
    assert take_over(tmp_path / "new", TINY, report) == 2
    assert take_over(tmp_path / "new", TINY, report) == 0

    def fail(*arguments, **more):
        raise AssertionError("done again")

    for name in ("train", "write_controlled_set", "extract", "pooled_baselines"):
        monkeypatch.setattr(experiment, name, fail)
    assert run_proof(tmp_path / "new", TINY, **TINY_RUNS) == found
    with pytest.raises(ValueError, match="must be of a controlled proof with .*'train_clips': 33"):
        take_over(tmp_path / "other", dataclasses.replace(TINY, train_clips=33), report)
    assert not (tmp_path / "other").exists()


def test_a_folder_holds_one_size_of_proof_and_nothing_else(tiny, tmp_path):
    out, _ = tiny
    with pytest.raises(ValueError, match=r"'train_clips': 30.*Name another folder"):
        run_proof(out, dataclasses.replace(TINY, train_clips=33), **TINY_RUNS)
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="new, empty, or of a controlled proof"):
        run_proof(tmp_path, TINY, **TINY_RUNS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"methods": ["cham"]}, r"must be of pooled_mean_std.*Received: cham"),
        ({"sets": ["colour"]}, r"must be one of single_frame.*'colour'"),
    ],
)
def test_unknown_names_are_errors_before_anything_is_made(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        run_proof(tmp_path / "out", TINY, **{**TINY_RUNS, **wrong})
    assert not list(tmp_path.iterdir())


def test_script_prints_the_tables_of_what_is_there(tiny, tmp_path):
    out, _ = tiny
    sizes = [
        f"--{name.replace('_', '-')}={value}" for name, value in dataclasses.asdict(TINY).items()
    ]
    names = ["--sets", "single_frame", "--methods", "softmax_regression", "--seeds", "3"]
    script = ROOT / "scripts" / "controlled_proof.py"
    run = subprocess.run(
        [sys.executable, script, out, *names, *sizes, "--report", tmp_path / "tables"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 0, run.stderr
    assert "1 runs, of which 1 are there already." in run.stderr
    assert "| softmax regression | 3,579 |" in run.stdout
    assert (tmp_path / "tables" / "results.png").is_file()
