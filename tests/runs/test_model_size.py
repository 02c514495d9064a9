"""The size of a model from its settings is that of the model."""

import dataclasses
import random

import pytest

from cham_keras.benchmark.arithmetic import useful_operations as operations_of_benchmark
from cham_keras.benchmark.settings import BenchmarkSettings
from cham_keras.runs import ModelSettings, build_model
from cham_keras.runs.model_size import num_parameters, useful_operations

SHAPE = (5, 4, 12)
VALUES = {
    "name": ["cham", "conv_attention", "conv_alstm"],
    "filters": [3, 6],
    "kernel_size": [1, 3, 5],
    "input_kernel_size": [None, 1, 3],
    "attention_filters": [None, 5],
    "attention_kernel_size": [1, 3],
    "initial_state": [None, "zeros", "mean_conv", "learned"],
    "pooling": [None, "average", "flatten"],
    "head_units": [None, 0, 7],
    "standardize": [False, True],
    "temporal_differences": ["none", "beside", "only"],
    "feature_dropout": [0.0, 0.2],
}


@pytest.mark.parametrize("seed", range(30))
def test_weights_are_as_many_as_keras_counts(seed):
    draw = random.Random(seed)
    model = ModelSettings(**{name: draw.choice(values) for name, values in VALUES.items()})
    expected = build_model(model, SHAPE, num_classes=4).count_params()
    assert num_parameters(model, SHAPE, 4) == expected, model


@pytest.mark.parametrize(
    ("system", "name"), [("cham", "cham"), ("hoisted", "conv_attention"), ("step", "conv_alstm")]
)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_operations_are_those_that_the_benchmark_counts(system, name, kernel_size):
    sizes = {"height": 5, "width": 4, "channels": 12, "filters": 6, "kernel_size": kernel_size}
    expected = operations_of_benchmark(BenchmarkSettings(batch=1, steps=7, **sizes), system)
    model = ModelSettings(name, filters=6, kernel_size=kernel_size)
    assert useful_operations(model, SHAPE, 7) == expected["inference"]


def test_operations_follow_every_setting_that_changes_a_kernel():
    base = ModelSettings(filters=6)
    counts = [
        useful_operations(dataclasses.replace(base, **change), SHAPE, 8)
        for change in (
            {},
            {"input_kernel_size": 1},
            {"attention_filters": 3},
            {"attention_kernel_size": 3},
            {"skip": 4},
            {"temporal_differences": "beside"},
        )
    ]
    assert len(set(counts)) == len(counts)
    assert counts[1] < counts[0] > counts[2]
    assert counts[4] < counts[0] < min(counts[3], counts[5])


def test_a_model_without_kernels_is_refused():
    for count in (num_parameters, useful_operations):
        with pytest.raises(ValueError, match="models with kernels.*Received: fc_attention"):
            count(ModelSettings("fc_attention"), SHAPE, 8)
