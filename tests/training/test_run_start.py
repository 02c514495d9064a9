"""What `train` makes of a folder: a new run, the same one unfinished, or a refusal."""

import dataclasses
import json
import signal

import pytest
from shard_making import make_shards
from training_testing import (
    called_before,
    end_of,
    settings_of,
    train_quietly,
    with_quick_model,  # noqa: F401  a fixture
)

from cham_keras.files import locked_folder
from cham_keras.training import TrainingStopped, trained

pytestmark = pytest.mark.usefixtures("with_quick_model")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture
def unfinished(shards, tmp_path):
    stop = called_before("on_train_batch_end", 2, lambda: signal.raise_signal(signal.SIGTERM))
    with stop, pytest.raises(TrainingStopped):
        train_quietly(shards, tmp_path / "run", settings_of())
    return tmp_path / "run"


def test_other_settings_are_refused_by_name_and_nothing_changes(unfinished, shards):
    before = (unfinished / "checkpoint.npz").read_bytes()
    other = settings_of(optimizer__learning_rate=0.1, optimizer__clip_norm=1.0)
    with pytest.raises(ValueError, match="goes on with the settings and shards") as error:
        train_quietly(shards, unfinished, other)
    assert "`optimizer.learning_rate` is 0.05 there and 0.1 here" in str(error.value)
    assert "`optimizer.clip_norm` is 'not given' there and 1.0 here" in str(error.value)
    assert "--overwrite" in str(error.value)
    assert (unfinished / "checkpoint.npz").read_bytes() == before


def test_other_shards_are_refused(unfinished, tmp_path):
    others = make_shards(tmp_path / "others", seed=1)
    with pytest.raises(ValueError, match="other ones: the shards' splits"):
        train_quietly(others, unfinished, settings_of())


def test_a_finished_run_is_taken_as_it_is_if_it_is_the_same(shards, tmp_path):
    train_quietly(shards, tmp_path / "run", settings_of())
    before = (tmp_path / "run" / "model.keras").stat().st_mtime_ns
    run = trained(shards, tmp_path / "run", settings_of())
    assert run.folder == tmp_path / "run"
    assert (run.folder / "model.keras").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="a finished run with other ones: `seed` is 0 there"):
        trained(shards, tmp_path / "run", settings_of(seed=5))
    others = make_shards(tmp_path / "others", seed=1)
    with pytest.raises(ValueError, match="a finished run with other ones: the shards' splits"):
        trained(others, tmp_path / "run", settings_of())


def test_overwriting_an_unfinished_run_begins_anew(unfinished, shards, tmp_path):
    other = settings_of(seed=5)
    (unfinished / "evaluation").mkdir()
    (unfinished / "evaluation" / "test.csv").write_text("of the model that was")
    train_quietly(shards, unfinished, other, overwrite=True)
    train_quietly(shards, tmp_path / "clean", other)
    assert end_of(unfinished)["history"] == end_of(tmp_path / "clean")["history"]
    assert not (unfinished / "checkpoint.npz").exists()
    assert not (unfinished / "evaluation").exists()


def test_a_folder_with_other_files_is_refused(shards, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="must be new or empty.*a folder with other files"):
        train_quietly(shards, tmp_path, settings_of())
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_killed_writes_left_is_cleared_away(unfinished, shards):
    (unfinished / ".model.4711.partial.keras").write_text("half a model")
    train_quietly(shards, unfinished, settings_of())
    assert not list(unfinished.glob(".*"))


def test_a_second_process_is_kept_out(unfinished, shards):
    with (
        locked_folder(unfinished, "train"),
        pytest.raises(BlockingIOError, match="Only one program at a time may train in"),
    ):
        train_quietly(shards, unfinished, settings_of())
    train_quietly(shards, unfinished, settings_of())


def test_a_run_whose_best_model_is_gone_is_refused(shards, tmp_path):
    stop = called_before("on_train_batch_end", 5, lambda: signal.raise_signal(signal.SIGTERM))
    with stop, pytest.raises(TrainingStopped):
        train_quietly(shards, tmp_path / "run", settings_of())
    (tmp_path / "run" / "model.keras").unlink()
    with pytest.raises(ValueError, match=r"must hold the model.keras of its best epoch, 1"):
        train_quietly(shards, tmp_path / "run", settings_of())


def test_the_manifest_may_say_more_than_what_a_fit_reads(unfinished, shards):
    path = unfinished / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "command": "cham extract elsewhere"}))
    train_quietly(shards, unfinished, settings_of())


def test_settings_that_are_filled_in_are_the_same_settings(shards, tmp_path):
    settings = settings_of(epochs=1)
    data = dataclasses.replace(settings.data, num_frames=None)
    settings = dataclasses.replace(settings, data=data)
    stop = called_before("on_train_batch_end", 2, lambda: signal.raise_signal(signal.SIGTERM))
    with stop, pytest.raises(TrainingStopped):
        train_quietly(shards, tmp_path / "run", settings)
    train_quietly(shards, tmp_path / "run", settings)
