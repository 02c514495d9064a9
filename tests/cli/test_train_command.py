"""`cham train`: options in, a run folder and an exit code out; stopped runs go on."""

import signal

import numpy as np
import pytest
from shard_making import make_shards
from training_testing import called_before, with_quick_model  # noqa: F401  a fixture

from cham_keras.cli.main import run_command
from cham_keras.runs import open_run

pytestmark = pytest.mark.usefixtures("with_quick_model")

SMALL = ("--model.name", "softmax_regression", "--data.num-frames", "3", "--data.batch-size", "6")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


def cham_train(shards, out, *options):
    return run_command(["train", str(shards), "--out", str(out), *SMALL, *options])


def test_every_new_setting_is_an_option(shards, tmp_path, capsys):
    code = cham_train(
        shards,
        tmp_path / "run",
        *("--epochs", "1", "--patience", "3", "--min-epochs", "2", "--monitor", "loss"),
        *("--label-smoothing", "0.1", "--class-weights", "balanced", "--checkpoint-minutes", "5"),
        *("--precision", "mixed_bfloat16", "--optimizer.weight-decay", "0.01"),
        *("--optimizer.accumulation-steps", "3"),
    )
    assert code == 0
    assert "kept epoch 1: " in capsys.readouterr().out
    settings = open_run(tmp_path / "run").settings
    assert (settings.min_epochs, settings.monitor, settings.label_smoothing) == (2, "loss", 0.1)
    assert (settings.class_weights, settings.precision) == ("balanced", "mixed_bfloat16")
    assert settings.optimizer.weight_decay == 0.01
    assert settings.optimizer.accumulation_steps == 3
    assert settings.checkpoint_minutes == 5


@pytest.mark.parametrize("accuracies", [(0.5, 0.75, 0.5), (0.75, 0.5, 0.75), None])
def test_epochs_that_validation_does_not_tell_apart_are_counted(
    accuracies, shards, tmp_path, capsys, monkeypatch
):
    history = {} if accuracies is None else {"val_clip_accuracy": np.array(accuracies)}
    monkeypatch.setattr("cham_keras.evaluation.plots.read_history", lambda path: history)
    for monitor in ("clip_accuracy", "loss"):
        out = tmp_path / monitor
        assert cham_train(shards, out, "--epochs", "1", "--monitor", monitor) == 0
        said = "2 epochs have this validation accuracy" in capsys.readouterr().out
        assert said == (accuracies == (0.75, 0.5, 0.75) and monitor == "clip_accuracy")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_that_the_same_command_goes_on(number, shards, tmp_path, capsys):
    command = (shards, tmp_path / "run", "--epochs", "2")
    with called_before("on_train_batch_end", 4, lambda: signal.raise_signal(number)):
        assert cham_train(*command) == 128 + number
    said = " ".join(capsys.readouterr().err.split())
    assert "Stopped at step 4. The same command goes on from there." in said
    assert cham_train(*command) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "An unfinished run goes on at step 4 of 6." in said
    assert cham_train(*command) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "a finished run. Name another folder, or pass --overwrite." in said
    assert cham_train(*command, "--overwrite") == 0


def test_an_unfinished_run_with_other_settings_is_refused_by_its_options(shards, tmp_path, capsys):
    with called_before("on_train_batch_end", 2, lambda: signal.raise_signal(signal.SIGINT)):
        assert cham_train(shards, tmp_path / "run", "--epochs", "2") == 130
    capsys.readouterr()
    assert cham_train(shards, tmp_path / "run", "--epochs", "3") == 2
    assert "`epochs` is 2 there and 3 here" in " ".join(capsys.readouterr().err.split())
