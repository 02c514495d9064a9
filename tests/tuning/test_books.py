"""keras-tuner's books as this package keeps them: after kills, faults, and when nothing is left."""

import json
import threading

import pytest

from cham_keras.tuning import SearchSpace
from cham_keras.tuning.cluster import _Chief
from cham_keras.tuning.oracles import OBJECTIVE, make_oracle
from cham_keras.tuning.proposals import Proposals

# keras-tuner names its threads in the old way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning:keras_tuner"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning:keras_tuner"),
]

SPACE = SearchSpace(kernel_size=(1, 3), input_kernel_size=(1,), filters=(2, 4, 8))
STRATEGIES = ("random", "bayesian", "hyperband")


def oracle_in(folder, strategy="random", max_trials=3):
    """An oracle with the books of a folder, as a new process has it."""
    proposals = Proposals(SPACE, None, 0, lambda values: True)
    oracle = make_oracle(strategy, proposals, max_trials, max_epochs=3)
    oracle._set_project_dir(folder, "books")
    for name, choices in SPACE.choices().items():
        oracle.hyperparameters.Choice(name, list(choices), ordered=True)
    if (folder / "books" / "oracle.json").is_file():
        oracle.reload()
    return oracle


def end(oracle, trial, score=0.5):
    oracle.update_trial(trial.trial_id, {OBJECTIVE: score})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def run_all(oracle):
    """Asks and ends until nothing is left."""
    for _ in range(100):
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            return
        end(oracle, trial, score=1 / (1 + len(oracle.end_order)))
    raise AssertionError


def number(trial):
    return int(trial.trial_id)


def is_free(oracle):
    """Whether another thread gets the oracle's lock."""
    asked = threading.Thread(target=oracle.waiting_trials, daemon=True)
    asked.start()
    asked.join(5)
    return not asked.is_alive()


def test_a_kill_after_the_end_was_saved_makes_no_trial_run_again(tmp_path):
    oracle = oracle_in(tmp_path)
    first = oracle.create_trial("tuner0")
    end(oracle, first)
    books = tmp_path / "books" / "oracle.json"
    state = json.loads(books.read_text())
    assert state["ongoing_trials"] == {}
    # What keras-tuner has saved when it has not yet forgotten the trial.
    for damage in (
        {"ongoing_trials": {"tuner0": first.trial_id}},
        {"retry_queue": [first.trial_id] * 2},
    ):
        books.write_text(json.dumps(state | damage))
        again = oracle_in(tmp_path)
        assert again.waiting_trials() == []
        assert number(again.create_trial("tuner0")) == 1


def test_a_kill_within_the_end_of_a_trial_loses_nothing(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def broken(*arguments):
        raise Killed

    for place in ("_record_values", "save", "_forget_ended", "on_trial_ended"):
        folder = tmp_path / place
        folder.mkdir()
        oracle = oracle_in(folder)
        trial = oracle.create_trial("tuner0")
        monkeypatch.setattr(oracle, place, broken)
        with pytest.raises(Killed):
            end(oracle, trial)
        assert is_free(oracle)
        again = oracle_in(folder)
        run_all(again)
        assert sorted(again.end_order) == sorted(again.trials)
        assert len(again.end_order) == 3


def test_a_report_that_cannot_be_written_leaves_the_books_right(tmp_path):
    oracle = oracle_in(tmp_path)

    def full():
        raise OSError("No space left on device")

    oracle.on_trial_ended = full
    with pytest.raises(OSError, match="No space left"):
        end(oracle, oracle.create_trial("tuner0"))
    assert is_free(oracle)
    again = oracle_in(tmp_path)
    assert again.waiting_trials() == []
    assert number(again.create_trial("tuner0")) == 1


def test_a_trial_that_the_books_do_not_know_yet_is_drawn_again(tmp_path):
    oracle = oracle_in(tmp_path)
    end(oracle, oracle.create_trial("tuner0"))
    books = tmp_path / "books" / "oracle.json"
    before = books.read_text()
    lost = oracle.create_trial("tuner0")
    books.write_text(before)  # killed between its own file and the books
    again = oracle_in(tmp_path)
    found = again.create_trial("tuner0")
    assert found.trial_id == lost.trial_id
    assert found.hyperparameters.values == lost.hyperparameters.values


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_ended_search_is_known_to_have_ended_by_a_new_process(strategy, tmp_path):
    oracle = oracle_in(tmp_path, strategy)
    assert not oracle.has_ended()
    run_all(oracle)
    assert oracle.has_ended()
    again = oracle_in(tmp_path, strategy)
    said = []
    chief = _Chief(again, 60, said.append)
    assert chief.is_done()
    assert said == []
    assert again.end_order == oracle.end_order


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_left_of_a_search_waits_for_a_worker(strategy, tmp_path):
    oracle = oracle_in(tmp_path, strategy)
    for _ in range(2):
        end(oracle, oracle.create_trial("tuner0"))
    again = oracle_in(tmp_path, strategy)
    for _ in range(3):
        assert not again.has_ended()
    trial = again.create_trial("tuner0")
    assert (trial.status, number(trial)) == ("RUNNING", 2)
    assert not again.has_ended()
    end(again, trial)
    run_all(again)
    assert again.has_ended()
    assert len(again.end_order) == len(set(again.end_order)) >= 3


def test_a_chief_waits_for_the_workers_that_are_there(tmp_path):
    oracle = oracle_in(tmp_path, max_trials=1)
    chief = _Chief(oracle, 60, lambda sentence: None)
    trial = chief.next_trial("a")
    assert chief.next_trial("b").status == "IDLE"
    end(oracle, trial)
    assert not chief.is_done()
    assert chief.next_trial("a").status == chief.next_trial("b").status == "STOPPED"
    assert chief.is_done()


def test_a_worker_that_dies_after_the_last_trial_does_not_hold_the_chief(tmp_path, monkeypatch):
    oracle = oracle_in(tmp_path, max_trials=1)
    chief = _Chief(oracle, 60, lambda sentence: None)
    end(oracle, chief.next_trial("a"))
    assert not chief.is_done()
    chief.patience_s = -1
    assert chief.is_done()


def test_a_fault_of_the_chiefs_disk_ends_the_chief(tmp_path):
    oracle = oracle_in(tmp_path)

    def full():
        raise OSError("No space left on device")

    oracle.on_trial_ended = full
    chief = _Chief(oracle, 60, lambda sentence: None)
    trial = chief.next_trial("a")
    oracle.update_trial(trial.trial_id, {OBJECTIVE: 0.5})
    trial.status = "COMPLETED"
    chief.end_trial(trial)
    assert chief.is_done()
    assert str(chief.fault) == "No space left on device"


def test_broken_books_are_named_with_what_to_do(tmp_path):
    oracle = oracle_in(tmp_path)
    end(oracle, oracle.create_trial("tuner0"))
    (trial,) = (tmp_path / "books").glob("trial_*/trial.json")
    books = tmp_path / "books" / "oracle.json"
    for path, damaged in ((books, "{"), (trial, ""), (books, "{}")):
        before = path.read_text()
        path.write_text(damaged)
        with pytest.raises(
            ValueError, match=rf"are broken: .*{path.name} .* with --out\."
        ) as found:
            oracle_in(tmp_path)
        assert str(path) in str(found.value)
        path.write_text(before)
    trial.unlink()
    with pytest.raises(ValueError, match=r"are broken: there is no .*trial\.json"):
        oracle_in(tmp_path)


def test_the_books_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    oracle = oracle_in(tmp_path)
    end(oracle, oracle.create_trial("tuner0"))
    before = (tmp_path / "books" / "oracle.json").read_text()
    monkeypatch.setattr("pathlib.Path.replace", lambda path, target: None)
    oracle.create_trial("tuner0")
    assert (tmp_path / "books" / "oracle.json").read_text() == before
