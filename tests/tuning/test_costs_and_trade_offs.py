"""What trials cost, what is refused before it starts, and the best trade-offs of the rest."""

import dataclasses
import itertools
import re
from pathlib import Path

import keras_tuner
import numpy as np
import pytest
from shard_making import make_shards
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from cham_keras.data import resplit_to_validate
from cham_keras.runs import (
    DataSettings,
    ModelSettings,
    OptimizerSettings,
    RunSettings,
    build_model,
    open_run,
)
from cham_keras.runs.model_size import useful_operations
from cham_keras.training import train
from cham_keras.tuning import (
    Search,
    SearchSpace,
    Trial,
    TrialCost,
    best_trade_offs,
    importances,
    tune,
    tuner,
)
from cham_keras.tuning.report import compared_with_default, report_as_markdown, write_report
from cham_keras.tuning.trial_cost import least_memory_bytes, why_too_large

# keras-tuner names its threads in the old way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning:keras_tuner"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning:keras_tuner"),
]

TINY = RunSettings(
    epochs=2,
    model=ModelSettings(head_units=8, filters=2, candidate_activation="tanh"),
    data=DataSettings(num_frames=5, batch_size=6),
    optimizer=OptimizerSettings(learning_rate=0.02),
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    counts = {"train": 6, "validation": 5, "test": 1}
    return make_shards(tmp_path_factory.mktemp("data") / "shards", clips_per_class=counts)


def trial(name, score, parameters=1, operations=1, **values):
    cost = TrialCost(parameters, operations, 1.0, 2**30, 60.0)
    return Trial(name, values, Path(name), TINY, score, cost)


def test_the_least_memory_counts_weights_features_and_states():
    model = ModelSettings(filters=6, skip=2)
    settings = RunSettings(model=model, data=DataSettings(num_frames=8, batch_size=4))
    shape = (5, 4, 12)
    of_weights = 4 * 4 * build_model(model, shape, 3).count_params()
    # Features, and in two layers, the second at every second step, four gates and two states.
    of_a_clip = 4 * 5 * 4 * 8 * (12 + 6 * 6 * 1.5)
    assert least_memory_bytes(settings, shape, 3) == of_weights + 4 * of_a_clip
    in_parts = dataclasses.replace(settings, optimizer=OptimizerSettings(accumulation_steps=2))
    assert least_memory_bytes(in_parts, shape, 3) == of_weights + 2 * of_a_clip
    assert why_too_large(2**31, 2**31) == ""
    assert why_too_large(2**31, 2**30) == "needs 2.0 GiB at the least, the limit is 1.0 GiB"


def test_what_is_too_large_is_not_started_and_the_search_goes_on(shards, tmp_path):
    limit = least_memory_bytes(TINY, (3, 4, 5), 3) + 2**20
    space = SearchSpace(kernel_size=(1,), input_kernel_size=(1,), filters=(2, 512))
    search = tune(shards, tmp_path / "search", TINY, space, memory_limit_bytes=limit)
    (best,), (refused,) = search.trials, search.failed
    assert best.values["filters"] == 2
    assert re.fullmatch(
        r"not started: needs [1-9]\d*\.\d MiB at the least, the limit is [1-9]\d*\.\d MiB",
        refused.reason,
    )
    assert not (search.folder / "runs" / refused.name).exists()


def test_a_limit_of_parameters_is_kept(shards, tmp_path):
    space = SearchSpace(kernel_size=(1, 3), input_kernel_size=(1,), filters=(2,))
    sizes = {}
    for kernel_size in (1, 3):
        model = dataclasses.replace(TINY.model, kernel_size=kernel_size, input_kernel_size=1)
        sizes[kernel_size] = build_model(model, (3, 4, 5), 3).count_params()
    search = tune(shards, tmp_path / "search", TINY, space, max_parameters=sizes[3] - 1)
    (only,) = search.trials
    assert only.cost.parameters == sizes[1] < sizes[3]
    with pytest.raises(ValueError, match=f"for instance, {sizes[1]:,} parameters, the limit is 9"):
        tune(shards, tmp_path / "other", TINY, space, max_parameters=9)
    for limit in ({"max_parameters": 0}, {"memory_limit_bytes": -1}):
        with pytest.raises(ValueError, match="must be at least 1. Received: "):
            tune(shards, tmp_path / "other", TINY, space, **limit)
    assert not (tmp_path / "other").exists()


def test_costs_are_measured_and_booked_and_logged_for_tensorboard(shards, tmp_path):
    space = SearchSpace(kernel_size=(3,), input_kernel_size=(3,), filters=(2,))
    search = tune(shards, tmp_path / "search", TINY, space)
    (only,) = search.trials
    assert only.cost.operations == useful_operations(only.settings.model, (3, 4, 5), 5)
    assert 0 < only.cost.seconds_per_clip < 5
    assert 2**27 < only.cost.peak_memory_bytes < 2**35
    assert only.cost.train_seconds > 0
    assert search.default == only
    (events,) = (search.folder / "tensorboard").rglob("events*")
    tags = {
        value.tag for event in EventFileLoader(str(events)).Load() for value in event.summary.value
    }
    assert {"_hparams_/session_start_info", "val_clip_accuracy", "parameters"} <= tags


@pytest.mark.parametrize("strategy", ["bayesian", "hyperband"])
def test_every_strategy_searches_and_goes_on(strategy, shards, tmp_path, monkeypatch):
    space = SearchSpace(kernel_size=(1, 3), input_kernel_size=(1,), filters=(2, 3, 4))
    settings = dataclasses.replace(TINY, epochs=3)
    arguments = (shards, tmp_path / "search", settings, space)
    right, runs = tuner.trained, []

    def broken(shards, out, settings):
        runs.append(settings)
        if len(runs) == 4:
            raise KeyboardInterrupt
        return right(shards, out, settings)

    monkeypatch.setattr(tuner, "trained", broken)
    most = 5 if strategy == "bayesian" else None
    with pytest.raises(KeyboardInterrupt):
        tune(*arguments, max_trials=most, strategy=strategy)
    search = tune(*arguments, max_trials=most, strategy=strategy)
    assert runs[4] == runs[3]
    if strategy == "bayesian":
        assert len(search.trials) == 5 == len({str(trial.values) for trial in search.trials})
    else:
        assert {trial.settings.epochs for trial in search.trials} == {1, 3}
    for trial in search.trials:
        assert open_run(trial.run).settings == trial.settings


def test_folds_score_each_clip_by_the_run_that_did_not_see_it(tmp_path):
    # Groups of six clips, the last one of three, so that the folds are not alike.
    counts = {"train": 4, "validation": 3, "test": 1}
    shards = make_shards(tmp_path / "shards", clips_per_class=counts)
    model = dataclasses.replace(TINY.model, name="conv_attention", attention_scale=12.0)
    settings = dataclasses.replace(TINY, epochs=4, model=model)
    space = SearchSpace(kernel_size=(1,), input_kernel_size=(1,), filters=(4,))
    search = tune(shards, tmp_path / "search", settings, space, folds=3)
    (only,) = search.trials
    runs = [open_run(only.run / f"fold-{fold}") for fold in range(3)]
    clips = [run.manifest.split("validation").clips for run in runs]
    assert sum(clips) == 3 * (4 + 3) == search.validation_clips
    accuracies = [run.metrics()["kept"]["val_clip_accuracy"] for run in runs]
    right = [accuracy * n for accuracy, n in zip(accuracies, clips, strict=True)]
    # The clips weigh the same, and not the folds.
    assert abs(sum(right) / sum(clips) - np.mean(accuracies)) > 0.01, (clips, accuracies)
    assert only.score == pytest.approx(sum(right) / sum(clips))
    assert all(
        run.manifest.split("train").clips == 21 - n for run, n in zip(runs, clips, strict=True)
    )
    assert only.cost.train_seconds == pytest.approx(sum(run.metrics()["seconds"] for run in runs))
    # The recipe gives the score again.
    views = tmp_path / "views"
    resplit_to_validate(shards, views, 3, seed=0)
    again = train(views / "fold-1", tmp_path / "again", only.settings)
    assert again.metrics()["kept"] == runs[1].metrics()["kept"]
    with pytest.raises(ValueError, match="`folds` must be at least 2. Received: 1"):
        tune(shards, tmp_path / "other", settings, space, folds=1)


def test_an_unknown_fault_of_a_trial_is_recorded_and_the_search_goes_on(
    shards, tmp_path, monkeypatch, capsys
):
    right = tuner.trained

    def broken(shards, out, settings):
        if settings.model.kernel_size == 1:
            raise RuntimeError("the graph is upside down\nsecond line")
        return right(shards, out, settings)

    monkeypatch.setattr(tuner, "trained", broken)
    space = SearchSpace(kernel_size=(1, 3), input_kernel_size=(1,), filters=(2,))
    search = tune(shards, tmp_path / "search", TINY, space)
    assert [trial.values["kernel_size"] for trial in search.trials] == [3]
    assert [trial.reason for trial in search.failed] == ["RuntimeError: the graph is upside down"]
    assert "Traceback" in capsys.readouterr().err  # nobody expects it


def test_a_trial_that_takes_its_process_with_it_three_times_counts_as_failed(tmp_path):
    starts = tmp_path / "runs" / "0.starts"
    for before in (None, "1", "2"):
        if before is not None:
            starts.write_text(before)
        with tuner._counted_start(starts):
            # What lies there if the process ends here.
            assert starts.read_text() == str(int(before or 0) + 1)
        assert not starts.exists()
    starts.write_text("3")
    with (
        pytest.raises(keras_tuner.errors.FailedTrialError, match="its process ended 3 times"),
        tuner._counted_start(starts),
    ):
        raise AssertionError
    assert not starts.exists()


def test_a_start_that_the_user_ends_does_not_count(tmp_path):
    starts = tmp_path / "0.starts"
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt), tuner._counted_start(starts):
            raise KeyboardInterrupt
    assert starts.read_text() == "0"
    with tuner._counted_start(starts):
        assert starts.read_text() == "1"
    assert not starts.exists()


@pytest.mark.parametrize("highest", [3, 12, 1000])
def test_the_best_trade_offs_are_those_that_no_other_beats(highest):
    generator = np.random.default_rng(0)
    trials = [
        trial(str(number), *row)
        for number, row in enumerate(generator.integers(0, highest, (40, 3)).tolist())
    ]

    def beats(one, other):
        ours, theirs = ((-t.score, t.cost.parameters, t.cost.operations) for t in (one, other))
        return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))

    expected = [t for t in trials if not any(beats(other, t) for other in trials)]

    def keys(found):
        return {(t.score, t.cost.parameters, t.cost.operations) for t in found}

    front = best_trade_offs(trials)
    assert keys(front) == keys(expected)
    assert len(front) == len(keys(expected))  # of equals the first alone
    sizes = [t.cost.parameters for t in front]
    assert sizes == sorted(sizes)


def test_importance_is_the_share_of_variance_between_the_values():
    scores = dict(zip(itertools.product((1, 3), (8, 16)), (0.1, 0.3, 0.6, 0.8), strict=True))
    trials = [
        trial(f"{k}{f}", score, kernel_size=k, filters=f, skip=2)
        for (k, f), score in scores.items()
    ]
    kernel, filters = importances(trials)
    assert (kernel.name, filters.name) == ("kernel_size", "filters")
    # Means 0.2 and 0.7 around 0.45; 0.35 and 0.55.
    total = 0.35**2 + 0.15**2 + 0.15**2 + 0.35**2
    assert kernel.share == pytest.approx(4 * 0.25**2 / total)
    assert filters.share == pytest.approx(4 * 0.1**2 / total)
    assert kernel.means[3] == (pytest.approx(0.7), 2)


def search_of(tmp_path, trials, first=None):
    ranked = sorted(trials, key=lambda trial: trial.rank)
    return Search(tuple(ranked), (), tmp_path, validation_clips=40, first=first)


def test_the_report_compares_with_the_default_at_its_parameters(tmp_path):
    default = trial("0", 0.5, 100, filters=8)
    larger, smaller = trial("1", 0.9, 101, filters=16), trial("2", 0.6, 100, filters=4)
    found = compared_with_default(search_of(tmp_path, [default, larger, smaller], {"filters": 8}))
    assert "The settings as they stood (trial 0): 0.500 with 100 parameters." in found
    assert "trial 2, 0.600 with 100, 4 clips more." in found
    found = compared_with_default(search_of(tmp_path, [default, larger], {"filters": 8}))
    assert found.endswith("No trial with at most as many parameters is better.")
    found = compared_with_default(search_of(tmp_path, [larger], {"filters": 8}))
    assert found == "The settings as they stood before are not among the trials."


def test_files_of_trials_that_are_beaten_later_go(tmp_path):
    first = trial("0", 0.5, 100, filters=8)
    write_report(search_of(tmp_path, [first]))
    recipes = tmp_path / "trade-offs"
    assert [path.name for path in recipes.iterdir()] == ["0.toml"]
    search = search_of(tmp_path, [first, trial("1", 0.6, 90, filters=4)])
    write_report(search)
    assert [path.name for path in recipes.iterdir()] == ["1.toml"]
    assert (tmp_path / "report.md").read_text() == report_as_markdown(search)
    assert (tmp_path / "trade-offs.png").read_bytes().startswith(b"\x89PNG")
