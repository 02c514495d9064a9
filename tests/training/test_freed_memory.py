"""What a fit leaves in the memory when nobody holds it any more: nothing."""

import dataclasses
import gc

import keras
import pytest
from shard_making import make_shards

from cham_keras.runs import DataSettings, ModelSettings, RunSettings
from cham_keras.training import train
from cham_keras.training.gradient_registry import gradients_forgotten

SETTINGS = RunSettings(
    epochs=1,
    model=ModelSettings(filters=2, head_units=4),
    data=DataSettings(num_frames=5, batch_size=6),
)


def held():
    """Models and graphs of functions that are alive."""
    gc.collect()
    kinds = [type(thing) for thing in gc.get_objects()]
    return (
        sum(issubclass(kind, keras.Model) for kind in kinds),
        sum(kind.__name__ == "FuncGraph" for kind in kinds),
    )


@pytest.mark.parametrize("name", ["cham", "conv_attention"])
def test_neither_models_nor_graphs_outlive_a_fit(name, tmp_path):
    shards = make_shards(tmp_path / "shards")
    model = dataclasses.replace(SETTINGS.model, name=name)
    settings = dataclasses.replace(SETTINGS, model=model)
    train(shards, tmp_path / "first", settings)  # what is kept once for all is kept now
    before = held()
    train(shards, tmp_path / "second", settings)
    assert held() == before


def test_only_what_was_registered_within_is_forgotten():
    from tensorflow.python.framework import ops

    entries = ops.gradient_registry._registry
    entries["CustomGradient-before"] = object()
    try:
        with gradients_forgotten():
            entries["CustomGradient-within"] = object()
            entries["OfAnotherKind"] = object()
        assert "CustomGradient-within" not in entries
        assert {"CustomGradient-before", "OfAnotherKind"} <= set(entries)
    finally:
        for name in ("CustomGradient-before", "OfAnotherKind"):
            del entries[name]
