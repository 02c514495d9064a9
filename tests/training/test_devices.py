"""Several devices of one host train what one device trains; what cannot be is refused.

Two logical devices of the processor stand for two GPUs.
"""

import json
import subprocess
import sys

import pytest
import tensorflow as tf
from device_testing import CLIPS, ROOT, SETTINGS, assert_same_run, end, finish, start
from shard_making import make_shards

from cham_keras.data import read_manifest
from cham_keras.runs import DataSettings, OptimizerSettings, RunSettings
from cham_keras.settings import settings_from_dict
from cham_keras.training import train
from cham_keras.training.device_layout import DeviceLayout, evenly_divided
from cham_keras.training.devices import chosen_devices, device_layout
from cham_keras.training.mirrored_devices import MirroredDevices

TWO = {"logical_devices": 2, "devices": 2}
# Several devices draw other masks than one does.
WITHOUT_DROPOUT = {**SETTINGS, "model": {**SETTINGS["model"], "dropout": 0.0}}
QUICK = settings_from_dict(RunSettings, WITHOUT_DROPOUT, source="test")
CHAM = {
    **SETTINGS,
    "model": {"filters": 2, "head_units": 4, "dropout": 0.0, "attention_scale": 12.0},
    "class_weights": "balanced",
    "optimizer": {"learning_rate": 0.01, "weight_decay": 0.01},
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards", clips_per_class=CLIPS)


@pytest.mark.parametrize("settings", [WITHOUT_DROPOUT, CHAM], ids=["average_pooled_lstm", "cham"])
def test_two_devices_train_what_one_device_trains(settings, shards, tmp_path):
    finish(
        start(shards, tmp_path / "one", settings=settings),
        start(shards, tmp_path / "two", settings=settings, **TWO),
    )
    assert_same_run(tmp_path / "two", tmp_path / "one", tolerance=1e-4)


def test_a_run_on_two_devices_goes_on_to_the_bit(shards, tmp_path):
    finish(start(shards, tmp_path / "unbroken", **TWO))
    [(code, said)] = end(start(shards, tmp_path / "resumed", stop_at_batch=3, **TWO))
    assert code == 130, said
    assert not (tmp_path / "resumed" / "last.keras").exists()
    finish(start(shards, tmp_path / "resumed", **TWO))
    # The sums behind the figures of the broken epoch are those of both devices together.
    resumed, unbroken = tmp_path / "resumed", tmp_path / "unbroken"
    assert_same_run(resumed, unbroken, tolerance=0.0, tolerance_of_figures=1e-6)


def test_each_device_draws_its_own_dropout():
    program = """
import keras, numpy as np, tensorflow as tf
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
from cham_keras.training.mirrored_devices import MirroredDevices

layout = MirroredDevices(["/cpu:0", "/cpu:1"])
with layout.scope():
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dropout(0.5, seed=3)])
    strategy = tf.distribute.get_strategy()

@tf.function
def masks():
    kept = strategy.run(lambda: model(tf.ones((1, 64)), training=True))
    return strategy.experimental_local_results(kept)

def equal():
    first, second = masks()
    return bool(np.array_equal(first, second))

before = [equal(), equal()]
layout.spread(model)
print(before, [equal(), equal()])
"""
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    # The first pair is Keras's own way; should it ever change, `spread` is not needed.
    assert run.stdout.startswith("[True, True] [False, False]"), run.stdout + run.stderr


def test_validation_batches_are_divided_evenly_and_hold_each_clip_equally_often():
    for num_clips, batch_size, num_devices in [(9, 4, 2), (9, 4, 4), (10, 4, 4), (8, 4, 4)]:
        clips = tf.data.Dataset.range(num_clips).batch(batch_size)
        batches = list(
            evenly_divided(clips, num_clips, batch_size, num_devices).as_numpy_iterator()
        )
        assert all(len(batch) % num_devices == 0 for batch in batches)
        drawn = [int(clip) for batch in batches for clip in batch]
        assert drawn == list(range(num_clips)) * (len(drawn) // num_clips)


def test_uneven_batches_are_refused(shards):
    layout = DeviceLayout()
    layout.num_devices = 4
    with pytest.raises(ValueError, match=r"multiple of the 4 devices.*`data.batch_size` 6, so 6"):
        layout.check(RunSettings(data=DataSettings(batch_size=6)), read_manifest(shards))
    parts = RunSettings(
        data=DataSettings(batch_size=24), optimizer=OptimizerSettings(accumulation_steps=4)
    )
    with pytest.raises(ValueError, match=r"`data.batch_size` 24 in 4 parts, so 6 at once"):
        layout.check(parts, read_manifest(shards))


@pytest.mark.parametrize("setting", [{"clip_norm": 1.0}, {"accumulation_steps": 2}])
def test_what_keras_does_for_each_device_apart_is_refused(setting, shards):
    layout = MirroredDevices(["/device:CPU:0"])
    settings = RunSettings(optimizer=OptimizerSettings(**setting))
    with pytest.raises(ValueError, match=rf"`optimizer.{next(iter(setting))}`.*KERAS_BACKEND=jax"):
        layout.check(settings, read_manifest(shards))


def test_more_devices_than_there_are_are_refused_and_nothing_is_written(shards, tmp_path):
    with pytest.raises(ValueError, match=r"`devices` must be from 1 to \d+, or all. Received: 99"):
        train(shards, tmp_path / "run", QUICK, devices=99)
    assert not (tmp_path / "run").exists()


def test_all_and_no_devices():
    assert chosen_devices("all", ["cpu:0", "cpu:1"]) == ["cpu:0", "cpu:1"]
    with pytest.raises(ValueError, match="Received: 0"):
        chosen_devices(0, ["cpu:0"])


@pytest.mark.parametrize(
    "cluster",
    [
        {"worker": ["10.0.0.1:1", "10.0.0.2:1"]},
        {"chief": ["10.0.0.1:1"], "worker": ["10.0.0.2:1"]},
        {"worker": ["10.0.0.1:1"], "ps": ["10.0.0.2:1"]},
    ],
)
def test_the_workers_of_tf_config_are_refused_with_the_way_that_works(
    cluster, shards, tmp_path, monkeypatch
):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"index": 0}}))
    with pytest.raises(ValueError, match=r"10.0.0.2:1.*KERAS_BACKEND=jax and `--hosts`"):
        train(shards, tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


def test_one_worker_in_tf_config_is_no_other_engine(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["10.0.0.1:1"]}}))
    assert device_layout().num_devices == 1


def test_a_broken_tf_config_is_named(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "worker")
    with pytest.raises(ValueError, match=r"TF_CONFIG must be a cluster in JSON.*'worker'"):
        device_layout()


def test_the_scope_of_another_strategy_is_refused(shards, tmp_path):
    with (
        tf.distribute.MirroredStrategy(["/device:CPU:0"]).scope(),
        pytest.raises(ValueError, match=r"Received: MirroredStrategy. Leave the scope"),
    ):
        train(shards, tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()
