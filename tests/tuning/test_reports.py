"""What is shown of trials: epochs, units, counts, and what is left."""

import dataclasses
from pathlib import Path

import keras_tuner
import pytest

from cham_keras.runs import RunSettings
from cham_keras.tuning import FailedTrial, Search, SearchSpace, Trial, TrialCost, importances
from cham_keras.tuning.oracles import OBJECTIVE, make_oracle
from cham_keras.tuning.proposals import Proposals
from cham_keras.tuning.report import (
    compared_with_default,
    report_as_markdown,
    trials_table,
    write_failures,
)
from cham_keras.tuning.trial_cost import why_too_large
from cham_keras.tuning.watch import SearchWatch, table_of_trials

# keras-tuner names its threads in the old way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning:keras_tuner"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning:keras_tuner"),
]


def trial(name, score, epochs=None, parameters=100, operations=2 * 10**9, **values):
    cost = TrialCost(parameters, operations, 1.0, 2**30, 60.0)
    return Trial(name, values, Path(name), RunSettings(epochs=epochs), score, cost)


def search_of(trials, failed=(), first=None, clips=40):
    ranked = tuple(sorted(trials, key=lambda trial: trial.rank))
    return Search(ranked, tuple(failed), Path("search"), validation_clips=clips, first=first)


def cells(table):
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()]


def written(table):
    """The cells of a table for the terminal."""
    return [list(column.cells) for column in table.columns]


#: Two rounds of Hyperband: with one epoch 8 looks better by chance, with more it is not.
ROUNDS = [
    trial("000", 0.2, epochs=1, filters=4),
    trial("001", 0.3, epochs=1, filters=8),
    trial("002", 0.9, epochs=3, filters=4),
    trial("003", 0.6, epochs=3, filters=8),
    trial("004", 0.1, epochs=1, filters=8),
]


def test_epochs_are_shown_where_they_vary():
    failed = FailedTrial("005", {"filters": 16}, "out of memory", epochs=1)
    head, _, *rows = cells(trials_table(ROUNDS, [failed]))
    assert head[:3] == ["trial", "filters", "epochs"]
    assert [row[2] for row in rows] == ["1", "1", "3", "3", "1", "1"]
    assert "| trial | filters | epochs |" in report_as_markdown(search_of(ROUNDS))
    table = table_of_trials(ROUNDS[:2], "best", ["filters", "epochs"])
    assert written(table)[-1] == ["filters 4, epochs 1", "filters 8, epochs 1"]
    head, *_ = cells(trials_table(ROUNDS[:2]))
    assert "epochs" not in head


def test_importance_is_told_by_the_trials_with_the_most_epochs_alone():
    (filters,) = importances(ROUNDS)
    assert filters.means == {4: (0.9, 1), 8: (0.6, 1)}
    assert filters.share == pytest.approx(1.0)
    assert "Trials with the most epochs count alone." in report_as_markdown(search_of(ROUNDS))
    assert "most epochs" not in report_as_markdown(search_of(ROUNDS[:2]))


def test_the_settings_as_they_stood_are_compared_after_their_most_epochs():
    search = search_of([*ROUNDS, trial("005", 0.95, epochs=1, filters=4)], first={"filters": 4})
    assert search.default.name == "002"
    assert "(trial 002): 0.900 after 3 epochs with 100 parameters." in compared_with_default(search)


@pytest.mark.parametrize(
    ("operations", "unit", "number"),
    [(2 * 10**9, "GFLOP", "2.000"), (10**9, "GFLOP", "1.000"), (4_500, "MFLOP", "0.004")],
)
def test_the_unit_of_operations_is_that_of_the_largest_model(operations, unit, number):
    some = [trial("000", 0.5, operations=operations, filters=4)]
    some.append(trial("001", 0.5, operations=operations // 2, filters=8))
    head, _, first, _ = cells(trials_table(some))
    assert head[3] == f"{unit} a clip"
    assert first[3] == number


def test_one_is_said_in_the_singular():
    one = search_of([trial("000", 0.5, filters=4)], first={"filters": 4}, clips=1)
    text = report_as_markdown(one)
    assert text.split("\n\n")[1].startswith("1 trial, 0 of them failed,")
    assert "over 1 validation clip: " in text
    two = [trial("000", 0.5, filters=4), trial("001", 0.525, filters=8)]
    assert compared_with_default(search_of(two, first={"filters": 4})).endswith(", 1 clip more.")
    assert "2 trials, 0 of them" in report_as_markdown(search_of(two))


def test_failures_alone_make_a_table(tmp_path):
    failed = [FailedTrial("000", {"filters": 4}, "out of memory")]
    write_failures(failed, tmp_path)
    head, _, row = cells((tmp_path / "trials.md").read_text())
    assert head[:2] == ["trial", "filters"]
    assert row == ["000", "4", *[""] * 4, "failed: out of memory"]


@pytest.mark.parametrize(
    ("needed", "limit", "sentence"),
    [
        (2**31, 2**30, "needs 2.0 GiB at the least, the limit is 1.0 GiB"),
        (3 * 2**19, 2**20, "needs 1.5 MiB at the least, the limit is 1.0 MiB"),
        (2**30 + 1, 2**30, "needs 1,073,741,825 bytes at the least, the limit is 1,073,741,824 b"),
    ],
)
def test_a_refusal_by_memory_has_a_unit_that_fits(needed, limit, sentence):
    assert why_too_large(needed, limit).startswith(sentence)


SPACE = SearchSpace(kernel_size=(1, 3), input_kernel_size=(1,), filters=(2, 4, 8, 16))


def goes(values):
    return values["filters"] != 4 and values["kernel_size"] == 1


def oracle_in(folder, max_trials):
    oracle = make_oracle("random", Proposals(SPACE, None, 0, goes), max_trials, max_epochs=1)
    oracle._set_project_dir(folder, "books")
    return oracle


def test_what_is_left_is_counted_by_what_goes_together(tmp_path):
    oracle = oracle_in(tmp_path, max_trials=10)
    watch = SearchWatch(oracle)
    captions = []
    while (asked := oracle.create_trial("tuner0")).status == "RUNNING":
        captions.append(watch.table([]).caption)
        oracle.update_trial(asked.trial_id, {OBJECTIVE: 0.5})
        asked.status = "COMPLETED"
        oracle.end_trial(asked)
    assert [caption.split("; ")[2] for caption in captions] == ["3 left", "2 left", "1 left"]
    at_the_end = watch.table([]).caption
    assert at_the_end.startswith("3 ended") and "left" not in at_the_end


def test_no_more_is_counted_than_is_tried():
    counted = []

    def counting(values):
        counted.append(values)
        return True

    proposals = Proposals(SPACE, None, 0, counting)
    assert proposals.count(3) == 3 == len(counted)
    assert proposals.count(100) == 8
    large = dataclasses.replace(SPACE, filters=tuple(range(1, 20_000)))
    assert Proposals(large, None, 0, goes).count(50) == 50


@pytest.mark.parametrize("strategy", ["random", "bayesian", "hyperband"])
def test_names_of_trials_have_one_width_in_every_search(strategy, tmp_path):
    for most in (1, 200):
        space = SearchSpace(filters=tuple(range(1, 50)))
        oracle = make_oracle(strategy, Proposals(space, None, 0, lambda values: True), most, 3)
        oracle._set_project_dir(tmp_path / str(most), "books")
        assert oracle.create_trial("tuner0").trial_id == "000"
        assert isinstance(oracle, keras_tuner.Oracle)
