"""For tests of training: a model that is quick to compile, and everything that a run ends with."""

import contextlib
import io
import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from cham_keras.data import read_manifest
from cham_keras.runs import RunSettings
from cham_keras.settings import settings_from_dict
from cham_keras.training import compilation, train
from cham_keras.training.callbacks.keep_run import KeepRun

#: A feature that `break_features` replaces.
TO_BE_BROKEN = np.float32(12345.678)


def break_features(shards: Path, value: float) -> None:
    """Puts NaN or infinity in a place of features, which writing shards would refuse."""
    count = 0
    for path in shards.glob("*.tfrecord"):
        content = path.read_bytes()
        count += content.count(TO_BE_BROKEN.tobytes())
        path.write_bytes(content.replace(TO_BE_BROKEN.tobytes(), np.float32(value).tobytes()))
    assert count


def settings_of(**values) -> RunSettings:
    """Settings for `quick_model` on the shards of `shard_making`; dots as double underscores."""
    nested: dict = {
        "epochs": 3,
        "model": {"name": "softmax_regression"},
        "data": {"num_frames": 3, "batch_size": 6},
        "optimizer": {"learning_rate": 0.05},
    }
    for name, value in values.items():
        *group, last = name.split("__")
        (nested[group[0]] if group else nested)[last] = value
    return settings_from_dict(RunSettings, nested, source="test")


@keras.saving.register_keras_serializable("cham_keras_tests")
class DrawsAlways(keras.layers.Layer):
    """Scales by a random factor, in validation too: the order of the draws must not change."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        factor = keras.random.uniform((), 0.5, 1.5, seed=self.seed_generator)
        return inputs * keras.ops.cast(factor, inputs.dtype)


def quick_model(model_settings, feature_shape, num_classes, seed=None):
    """In the place of `build_model`: pooled features, two kinds of noise, softmax a step."""
    features = keras.Input((None, *feature_shape), name="features")
    lengths = keras.Input((), dtype="int32", name="lengths")
    pooled = keras.ops.mean(features, axis=(2, 3))
    pooled = keras.layers.Dropout(0.5, seed=seed)(pooled)
    pooled = DrawsAlways(seed)(pooled)
    outputs = keras.layers.Dense(num_classes, activation="softmax", dtype="float32")(pooled)
    return keras.Model({"features": features, "lengths": lengths}, outputs, name="quick")


@pytest.fixture
def with_quick_model(monkeypatch):
    """`train` fits `quick_model`, whatever the settings name."""
    monkeypatch.setattr(compilation, "build_model", quick_model)


def compiled_quick_model(settings: RunSettings, shards: Path) -> keras.Model:
    """As `train` makes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compilation, "build_model", quick_model)
        return compilation.build_and_compile(settings, read_manifest(shards))


def arrays_of(model_file: Path) -> dict[str, np.ndarray]:
    """Every number in a `.keras` file by its path: weights, random states, the optimizer's."""
    found = {}
    with (
        zipfile.ZipFile(model_file) as archive,
        h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file,
    ):
        file.visititems(
            lambda name, item: found.update({name: item[()]} if hasattr(item, "dtype") else {})
        )
    return found


def end_of(run_folder: Path) -> dict:
    """What a run ends with, but for the seconds that it took."""
    metrics = json.loads((run_folder / "metrics.json").read_text())
    metrics.pop("seconds")
    return {
        "files": sorted(path.name for path in run_folder.iterdir()),
        "history": (run_folder / "history.csv").read_text(),
        "metrics": metrics,
        "settings": (run_folder / "settings.toml").read_text(),
        "best": arrays_of(run_folder / "model.keras"),
        "last": arrays_of(run_folder / "last.keras"),
    }


def assert_same_end(run_folder: Path, expected: dict) -> None:
    """Fails where a single bit differs."""
    found = end_of(run_folder)
    assert found.keys() == expected.keys()
    for part, value in expected.items():
        if part in ("best", "last"):
            assert found[part].keys() == value.keys()
            for name, array in value.items():
                np.testing.assert_array_equal(found[part][name], array, f"{part}: {name}")
        else:
            assert found[part] == value, part


class Broken(Exception):
    """Stands for whatever ends a process amid a fit."""


@contextlib.contextmanager
def called_before(method: str, number: int, act):
    """Has `act` called before the n-th call, counted from 1, of a method of `KeepRun`."""
    calls = 0
    original = getattr(KeepRun, method)

    def call(self, *arguments, **keywords):
        nonlocal calls
        calls += 1
        if calls == number:
            act()
        return original(self, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KeepRun, method, call)
        yield


def train_quietly(shards, out, settings, **keywords):
    """`train` without what it says."""
    with contextlib.redirect_stderr(io.StringIO()):
        return train(shards, out, settings, **keywords)
