"""The checkpoint's file: what it holds, how it is written, what is said of a broken one."""

import os

import numpy as np
import pytest
from shard_making import CLASSES, make_shards
from training_testing import compiled_quick_model, settings_of

from cham_keras.training import checkpoint
from cham_keras.training.checkpoint import (
    random_states_of,
    read_checkpoint,
    restore_metrics,
    restore_variables,
    values_of,
    write_checkpoint,
)
from cham_keras.training.resume_state import FitState
from cham_keras.training.training_data import training_clips

STATE = FitState(
    epoch=2,
    batch=1,
    history=[{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-45}],
    best=0.1,
    kept_epoch=1,
    seconds=3.5,
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_model_goes_on_from_the_file_as_if_it_were_the_same_one(precision, shards, tmp_path):
    settings = settings_of(
        precision=precision, optimizer__accumulation_steps=2, optimizer__weight_decay=0.1
    )
    batches = list(training_clips(shards, settings).take(5))
    first = compiled_quick_model(settings, shards)
    for batch in batches[:3]:
        first.train_on_batch(*batch)
    write_checkpoint(tmp_path / "checkpoint.npz", STATE, values_of(first))

    state, values = read_checkpoint(tmp_path / "checkpoint.npz")
    assert state == STATE
    second = compiled_quick_model(settings, shards)
    restore_variables(second, values, tmp_path)
    restore_metrics(second, values, len(CLASSES), tmp_path)
    for batch in batches[3:]:
        assert first.train_on_batch(*batch) == second.train_on_batch(*batch)
    ours, theirs = values_of(first), values_of(second)
    assert ours.keys() == theirs.keys()
    assert [len(group) for group in ours.values()] == [4, *{len(ours["optimizer"])}, 6]
    for group, arrays in ours.items():
        for mine, other in zip(arrays, theirs[group], strict=True):
            np.testing.assert_array_equal(mine, other)
            assert mine.dtype == other.dtype


def test_the_random_states_are_found_among_the_models_variables(shards):
    model = compiled_quick_model(settings_of(), shards)
    assert len(random_states_of(model)) == 2
    for position in random_states_of(model):
        assert "seed_generator" in model.variables[position].path


def test_a_write_that_fails_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    write_checkpoint(path, STATE, {"model": [np.ones(3)]})
    before = path.read_bytes()

    def full(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(path, FitState(), {"model": [np.zeros(3)]})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", ["cut", "flipped", "form", "empty"])
def test_a_damaged_checkpoint_is_named(damage, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    if damage == "form":
        monkeypatch.setattr(checkpoint, "_FORM", 0)
    write_checkpoint(path, STATE, {"model": [np.arange(1000.0)]})
    monkeypatch.undo()
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
    elif damage == "empty":
        content = b""
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"The checkpoint .*checkpoint.npz must be whole.*anew"):
        read_checkpoint(path)


def test_a_checkpoint_of_another_model_is_refused(shards, tmp_path):
    model = compiled_quick_model(settings_of(), shards)
    with pytest.raises(ValueError, match="must hold the 4 variables that the model has"):
        restore_variables(model, {"model": [np.zeros(2)], "optimizer": []}, tmp_path / "c.npz")
