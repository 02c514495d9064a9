"""The folder of a search: who may write in it, whose trials it holds, what a refusal leaves."""

import dataclasses
import os
import re
from types import SimpleNamespace

import pytest
from shard_making import make_shards

from cham_keras.data import read_manifest
from cham_keras.runs import DataSettings, ModelSettings, RunSettings
from cham_keras.settings import read_settings
from cham_keras.tuning import Cluster, SearchSpace, tune, tuner
from cham_keras.tuning.search_folder import mark_runs, opened_search_folder
from cham_keras.tuning.settings import SearchSettings
from cham_keras.tuning.tune import _check_chief, _digest

# keras-tuner names its threads in the old way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning:keras_tuner"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning:keras_tuner"),
]

TINY = RunSettings(
    epochs=2,
    model=ModelSettings(head_units=8, filters=2, candidate_activation="tanh"),
    data=DataSettings(num_frames=5, batch_size=6),
)
SPACE = SearchSpace(kernel_size=(1,), input_kernel_size=(1,), filters=(2, 4))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture
def no_training(monkeypatch):
    """A search that is broken off as its first trial begins."""

    def broken(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuner, "trained", broken)


def begun(shards, out, **options):
    with pytest.raises(KeyboardInterrupt):
        tune(shards, out, TINY, SPACE, **options)
    return out


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_second_program_is_kept_out_and_changes_nothing(shards, tmp_path, no_training):
    out = begun(shards, tmp_path / "search")
    before = contents(out)
    plan = read_settings(SearchSettings, out / "search.toml")
    with (
        opened_search_folder(out, plan, read_manifest(out)),
        pytest.raises(BlockingIOError, match=r"Only one program at a time may search in .*search"),
    ):
        tune(shards, out, TINY, SPACE)
    assert contents(out) == before
    begun(shards, out)


def test_the_folder_is_held_for_the_whole_search(shards, tmp_path, monkeypatch):
    out = tmp_path / "search"

    def second(*arguments):
        tune(shards, out, TINY, SPACE)

    monkeypatch.setattr(tuner, "trained", second)
    with pytest.raises(BlockingIOError, match="may search in"):
        tune(shards, out, TINY, SPACE)


def test_a_search_settings_file_says_what_is_searched(shards, tmp_path, no_training):
    out = begun(shards, tmp_path / "search")
    plan = read_settings(SearchSettings, out / "search.toml")
    assert plan.space == SPACE
    assert dataclasses.replace(plan.run, model=TINY.model, data=TINY.data) == TINY


@pytest.mark.parametrize(
    ("options", "error"),
    [({"folds": 1000}, ValueError), ({"cluster": Cluster("chief", "192.0.2.1:80")}, OSError)],
)
def test_what_is_refused_leaves_no_folder(options, error, shards, tmp_path, no_training):
    with pytest.raises(error):
        tune(shards, tmp_path / "search", TINY, SPACE, **options)
    assert not (tmp_path / "search").exists()
    begun(shards, tmp_path / "search")


def test_a_file_in_the_place_of_the_folder_is_refused(shards, tmp_path):
    (tmp_path / "afile").write_text("mine")
    with pytest.raises(NotADirectoryError, match=r"must be a folder. Received: .*afile, a file"):
        tune(shards, tmp_path / "afile", TINY, SPACE)
    assert (tmp_path / "afile").read_text() == "mine"


def test_what_a_kill_left_of_an_opening_is_no_other_file(shards, tmp_path, no_training):
    out = begun(shards, tmp_path / "search")
    (out / "search.toml").rename(out / f".search.{os.getpid() + 1}.partial.toml")
    (out / "runs" / "search-id").unlink()
    (out / "runs" / "000.starts").unlink()
    (out / "runs").rmdir()
    begun(shards, out)


def test_trials_of_another_search_are_refused(tmp_path):
    mark_runs(tmp_path / "new", "one")
    mark_runs(tmp_path / "new", "one")
    (tmp_path / "new" / "runs" / "000").mkdir()
    mark_runs(tmp_path / "new", "one")
    sentence = f"need a folder of their own. {tmp_path / 'new' / 'runs'} holds those of another"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        mark_runs(tmp_path / "new", "two")
    (tmp_path / "old" / "runs" / "0").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds those of another search"):
        mark_runs(tmp_path / "old", "one")


def test_a_worker_refuses_a_folder_of_another_search_before_it_takes_a_trial(tmp_path):
    plan, cluster = SearchSettings.of(TINY, space=SPACE), Cluster("worker", "127.0.0.1:80", "a")
    values = {"plan": _digest(plan), "search": "one"}
    # All that a worker knows of its chief; it has no way to ask for a trial.
    oracle = SimpleNamespace(get_space=lambda: SimpleNamespace(values=values))
    chief = SimpleNamespace(oracle=oracle)
    _check_chief(chief, plan, cluster, tmp_path)
    (tmp_path / "runs" / "000").mkdir()
    _check_chief(chief, plan, cluster, tmp_path)  # as it comes again
    values["search"] = "two"
    with pytest.raises(ValueError, match="need a folder of their own"):
        _check_chief(chief, plan, cluster, tmp_path)
    other = SearchSettings.of(TINY, space=SPACE, folds=3)
    with pytest.raises(ValueError, match="must have the settings of its chief"):
        _check_chief(chief, other, cluster, tmp_path)


def test_each_search_has_a_name_of_its_own_and_keeps_it(shards, tmp_path, no_training):
    marks = []
    for name in ("one", "one", "two"):
        out = begun(shards, tmp_path / name)
        marks.append((out / "runs" / "search-id").read_text())
    assert marks[0] == marks[1] != marks[2]
