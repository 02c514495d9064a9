"""The systems that can be measured, by name."""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import keras

from cham_keras.benchmark.keras_system import KerasSystem
from cham_keras.benchmark.plain_rnn import PlainAttentionCell, PlainRNN
from cham_keras.benchmark.problem import SKIP, Problem
from cham_keras.benchmark.settings import BenchmarkSettings, SystemName
from cham_keras.benchmark.system import System
from cham_keras.layers import (
    ConvAttentionLSTMCell,
    ConvLSTMCell,
    HierarchicalSkipRNN,
    SpatialRNN,
)

#: What each system is, as the tables say it.
DESCRIPTIONS: dict[SystemName, str] = {
    "hoisted": "SpatialRNN, the input's products before the loop",
    "step": "SpatialRNN, the cell frame by frame",
    "auto": "SpatialRNN as it chooses by itself",
    "plain_rnn": "the same cell in keras.layers.RNN",
    "conv_lstm_2d": "keras.layers.ConvLSTM2D, no attention",
    "cham": "HierarchicalSkipRNN, both layers of CHAM",
    "torch_eager": "the same cell in PyTorch",
    "torch_compiled": "the same cell in PyTorch, torch.compile",
}


class LeftOut(Exception):
    """A system cannot be measured here; the message is a sentence that says why."""


def build_system(name: SystemName, settings: BenchmarkSettings, problem: Problem) -> System:
    """Builds one system.

    Args:
        name: a key of `DESCRIPTIONS`.
        settings: sizes, dtype, `jit`.
        problem: features and weights.

    Raises:
        LeftOut: what the system needs is not installed.
    """
    return _BUILDERS[name](settings, problem)


def attention_layer(
    settings: BenchmarkSettings, problem: Problem, implementation: str, **kwargs: Any
) -> SpatialRNN:
    """The package's attention layer; `kwargs` go to `SpatialRNN`."""
    return SpatialRNN(
        _attention_cell(settings, problem),
        implementation=implementation,
        dtype=settings.dtype,
        **_memory_budget(settings),
        **kwargs,
    )


def hierarchical_layer(
    settings: BenchmarkSettings, problem: Problem, **kwargs: Any
) -> HierarchicalSkipRNN:
    """Both layers of CHAM; `kwargs` go to `HierarchicalSkipRNN`."""
    second = ConvLSTMCell(
        settings.filters,
        settings.kernel_size,
        kernel_initializer=keras.initializers.GlorotUniform(settings.seed),
        recurrent_initializer=keras.initializers.GlorotUniform(settings.seed + 1),
        dtype=settings.dtype,
    )
    return HierarchicalSkipRNN(
        [_attention_cell(settings, problem), second],
        skip=SKIP,
        dtype=settings.dtype,
        **_memory_budget(settings),
        **kwargs,
    )


def _attention_cell(settings: BenchmarkSettings, problem: Problem) -> ConvAttentionLSTMCell:
    return ConvAttentionLSTMCell(
        settings.filters,
        settings.kernel_size,
        attention_scale=problem.attention_scale,
        dtype=settings.dtype,
    )


def _memory_budget(settings: BenchmarkSettings) -> dict[str, int]:
    budget = settings.memory_budget_bytes
    return {} if budget is None else {"memory_budget_bytes": budget}


def _spatial_rnn(implementation: str, settings: BenchmarkSettings, problem: Problem) -> System:
    layer = attention_layer(settings, problem, implementation, return_sequences=True)
    return KerasSystem(layer, settings, problem, cell=layer.cell)


def _plain_rnn(settings: BenchmarkSettings, problem: Problem) -> System:
    cell = PlainAttentionCell(settings, problem.attention_scale, dtype=settings.dtype)
    layer = PlainRNN(cell, return_sequences=True, dtype=settings.dtype)
    return KerasSystem(layer, settings, problem, cell=cell)


def _conv_lstm_2d(settings: BenchmarkSettings, problem: Problem) -> System:
    layer = keras.layers.ConvLSTM2D(
        settings.filters,
        settings.kernel_size,
        padding="same",
        data_format="channels_last",
        return_sequences=True,
        kernel_initializer=keras.initializers.GlorotUniform(settings.seed),
        recurrent_initializer=keras.initializers.GlorotUniform(settings.seed + 1),
        dtype=settings.dtype,
    )
    return KerasSystem(layer, settings, problem)


def _cham(settings: BenchmarkSettings, problem: Problem) -> System:
    layer = hierarchical_layer(settings, problem, return_sequences=True)
    return KerasSystem(
        layer, settings, problem, cell=layer.cells[0], num_checked_filters=settings.filters
    )


def _torch(compiled: bool, settings: BenchmarkSettings, problem: Problem) -> System:
    if importlib.util.find_spec("torch") is None:
        raise LeftOut("PyTorch is not installed; `pip install torch` adds it.")
    from cham_keras.benchmark.torch_system import TorchSystem

    return TorchSystem(settings, problem, compiled)


_BUILDERS: dict[SystemName, Callable[[BenchmarkSettings, Problem], System]] = {
    "hoisted": functools.partial(_spatial_rnn, "hoisted"),
    "step": functools.partial(_spatial_rnn, "step"),
    "auto": functools.partial(_spatial_rnn, "auto"),
    "plain_rnn": _plain_rnn,
    "conv_lstm_2d": _conv_lstm_2d,
    "cham": _cham,
    "torch_eager": functools.partial(_torch, False),
    "torch_compiled": functools.partial(_torch, True),
}
