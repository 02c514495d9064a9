"""A fit that is broken off at any moment ends, continued, with the bits of an unbroken one."""

import contextlib
import random
import shutil
import signal
import threading
from pathlib import Path

import pytest
from extraction_testing import call_at_each_change
from shard_making import make_shards
from training_testing import (
    Broken,
    arrays_of,
    assert_same_end,
    called_before,
    compilation,
    end_of,
    quick_model,
    settings_of,
    train_quietly,
    with_quick_model,  # noqa: F401  a fixture
)

from cham_keras.training import TrainingStopped, train
from cham_keras.training.checkpoint import read_checkpoint

pytestmark = pytest.mark.usefixtures("with_quick_model")

# So short that every batch is followed by a checkpoint.
EACH_BATCH = {"checkpoint_minutes": 1e-9}
KINDS = {
    "plain": settings_of(**EACH_BATCH),
    "accumulated": settings_of(
        **EACH_BATCH,
        class_weights="balanced",
        label_smoothing=0.1,
        optimizer__accumulation_steps=3,
        optimizer__weight_decay=0.01,
        optimizer__clip_norm=1.0,
        optimizer__decay_iteration=5,
    ),
    # With such a learning rate the loss soon gets worse.
    "stopped_early": settings_of(
        **EACH_BATCH, epochs=40, patience=2, monitor="loss", optimizer__learning_rate=9.0
    ),
    "without_validation": settings_of(**EACH_BATCH),
}
KILLS_OF_A_KIND = 5


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(scope="module")
def shards_of_kind(shards, tmp_path_factory):
    """Without validation where the kind says so."""
    folder = tmp_path_factory.mktemp("more")
    alone = make_shards(folder / "alone", clips_per_class={"train": 6, "test": 1})
    return {kind: alone if kind == "without_validation" else shards for kind in KINDS}


@pytest.fixture(scope="module")
def unbroken(shards_of_kind, tmp_path_factory):
    """By kind: what an unbroken run ends with, and what kills at each change would leave."""
    found = {}

    def of_kind(kind):
        if kind not in found:
            folder = tmp_path_factory.mktemp(kind)
            kills: list[Path] = []

            def copy():
                if threading.current_thread() is not threading.main_thread():
                    return  # a shard was opened, which changes nothing
                kills.append(folder / f"{len(kills):04d}")
                if (folder / "run").exists():
                    shutil.copytree(folder / "run", kills[-1])

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(compilation, "build_model", quick_model)
                call_at_each_change(patch, copy)
                train_quietly(shards_of_kind[kind], folder / "run", KINDS[kind])
            found[kind] = end_of(folder / "run"), kills
        return found[kind]

    return of_kind


def finish(shards, out, settings):
    """The same call once more; a run that had ended is refused."""
    ended = (out / "metrics.json").exists()
    refused = pytest.raises(FileExistsError, match="a finished run")
    with refused if ended else contextlib.nullcontext():
        train_quietly(shards, out, settings)


@pytest.mark.parametrize("number", range(KILLS_OF_A_KIND))
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_fit_goes_on_bit_for_bit(kind, number, unbroken, shards_of_kind, tmp_path):
    expected, kills = unbroken(kind)
    rng = random.Random(f"{kind} {number}")
    kill = kills[(number * len(kills) + rng.randrange(len(kills))) // KILLS_OF_A_KIND]
    if kill.exists():
        shutil.copytree(kill, tmp_path / "run")
    finish(shards_of_kind[kind], tmp_path / "run", KINDS[kind])
    (tmp_path / "run" / "checkpoint.npz").unlink(missing_ok=True)  # a kill amid the last line
    assert_same_end(tmp_path / "run", expected)


def kill_at_the_best_epochs_checkpoint(kills, expected):
    """The folder when the best epoch's checkpoint stood there, and its model did not yet."""
    for kill in kills:
        if (kill / "checkpoint.npz").exists():
            state, _ = read_checkpoint(kill / "checkpoint.npz")
            if (state.epoch, state.batch) == (expected["metrics"]["kept_epoch"], 0):
                return kill
    raise AssertionError("the best epoch has left no checkpoint")


@pytest.mark.parametrize("kind", ["plain", "stopped_early"])
def test_a_kill_before_the_best_model_is_written_loses_no_model(
    kind, unbroken, shards_of_kind, tmp_path
):
    expected, kills = unbroken(kind)
    kill = kill_at_the_best_epochs_checkpoint(kills, expected)
    shutil.copytree(kill, tmp_path / "run")
    if (tmp_path / "run" / "model.keras").exists():
        found = arrays_of(tmp_path / "run" / "model.keras")
        assert any((found[name] != array).any() for name, array in expected["best"].items())
    finish(shards_of_kind[kind], tmp_path / "run", KINDS[kind])
    assert_same_end(tmp_path / "run", expected)


def test_a_row_of_history_that_was_cut_is_written_again(shards, unbroken, tmp_path):
    out = tmp_path / "run"
    stop = called_before("on_train_batch_end", 5, lambda: signal.raise_signal(signal.SIGTERM))
    with stop, pytest.raises(TrainingStopped):
        train_quietly(shards, out, KINDS["plain"])
    with (out / "history.csv").open("a") as file:
        file.write("2,0.33")
    train_quietly(shards, out, KINDS["plain"])
    assert_same_end(out, unbroken("plain")[0])


def test_the_kinds_are_what_their_names_say(unbroken):
    plain, early = unbroken("plain")[0], unbroken("stopped_early")[0]
    assert plain["metrics"]["epochs"] == 3
    assert 3 <= early["metrics"]["epochs"] == early["metrics"]["kept_epoch"] + 2 < 40
    assert any("optimizer" in name for name in plain["best"])
    assert unbroken("without_validation")[0]["metrics"]["kept_epoch"] == 3


def test_there_are_kills_between_all_files(unbroken):
    _, kills = unbroken("plain")
    assert len(kills) > 60
    left = {frozenset(path.name for path in kill.glob("[!.]*")) for kill in kills}
    assert any({"checkpoint.npz"} <= names and "model.keras" not in names for names in left)
    assert any({"checkpoint.npz", "last.keras"} <= names for names in left)
    assert any({"checkpoint.npz", "metrics.json"} <= names for names in left)
    assert any("settings.toml" not in names for names in left)


def test_many_breaks_in_one_run_change_nothing(shards, unbroken, tmp_path):
    def fail():
        raise Broken

    rng = random.Random(0)
    out = tmp_path / "run"
    for _ in range(4):
        with (
            called_before("on_train_batch_end", rng.randint(1, 3), fail),
            pytest.raises(Broken),
        ):
            train_quietly(shards, out, KINDS["plain"])
    train_quietly(shards, out, KINDS["plain"])
    assert_same_end(out, unbroken("plain")[0])


@pytest.mark.parametrize(
    ("method", "number", "exit_code"),
    [
        ("on_train_batch_end", 2, 130),  # within an epoch
        ("on_train_batch_end", 6, 143),  # its last batch
        ("on_test_batch_end", 1, 143),  # within validation
        ("on_epoch_end", 1, 143),
    ],
)
def test_a_signal_leaves_a_checkpoint_of_that_very_batch(
    method, number, exit_code, shards, unbroken, tmp_path
):
    settings, out = settings_of(checkpoint_minutes=1e3), tmp_path / "run"

    def interrupt():
        signal.raise_signal(exit_code - 128)

    with called_before(method, number, interrupt), pytest.raises(TrainingStopped) as stop:
        train_quietly(shards, out, settings)
    assert stop.value.exit_code == exit_code
    assert (out / "checkpoint.npz").exists()
    steps_done = 3 if method != "on_train_batch_end" else number
    assert str(stop.value) == f"Stopped at step {steps_done}."

    trained = []
    with called_before("on_train_batch_end", 1, lambda: trained.append(True)):
        train_quietly(shards, out, settings)
    expected, _ = unbroken("plain")
    settings_text = (out / "settings.toml").read_text()
    assert_same_end(out, {**expected, "settings": settings_text})
    assert trained


def test_a_validation_that_is_broken_off_twice_loses_no_figure(shards, unbroken, tmp_path):
    settings, out = settings_of(checkpoint_minutes=1e3), tmp_path / "run"
    for _ in range(2):
        stop = called_before("on_test_batch_end", 1, lambda: signal.raise_signal(signal.SIGTERM))
        with stop, pytest.raises(TrainingStopped, match="step 3"):
            train_quietly(shards, out, settings)
    train_quietly(shards, out, settings)
    expected, _ = unbroken("plain")
    assert_same_end(out, {**expected, "settings": (out / "settings.toml").read_text()})


def test_a_second_signal_ends_at_once(shards, tmp_path):
    def interrupt():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with called_before("on_train_batch_end", 2, interrupt), pytest.raises(KeyboardInterrupt) as end:
        train_quietly(shards, tmp_path / "run", settings_of())
    assert not isinstance(end.value, TrainingStopped)


def test_signals_mean_what_they_did_when_the_fit_is_over(shards, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    train_quietly(shards, tmp_path / "run", settings_of(epochs=1))
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_that_goes_on_says_where(shards, tmp_path, capsys):
    out = tmp_path / "run"
    stop = called_before("on_train_batch_end", 5, lambda: signal.raise_signal(signal.SIGTERM))
    with stop, pytest.raises(TrainingStopped):
        train(shards, out, settings_of())
    capsys.readouterr()
    train(shards, out, settings_of())
    said = " ".join(capsys.readouterr().err.split())
    assert "An unfinished run goes on at step 5 of 9." in said


def test_seconds_add_up_over_the_starts(shards, tmp_path, monkeypatch):
    from cham_keras.training.resume_state import FitState

    out = tmp_path / "run"
    stop = called_before("on_train_batch_end", 2, lambda: signal.raise_signal(signal.SIGTERM))
    with stop, pytest.raises(TrainingStopped):
        train_quietly(shards, out, settings_of())
    from_dict = FitState.from_dict
    monkeypatch.setattr(
        FitState, "from_dict", lambda values: from_dict({**values, "seconds": 5000.0})
    )
    assert train_quietly(shards, out, settings_of()).metrics()["seconds"] > 5000
