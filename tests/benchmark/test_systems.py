"""The measured systems: equal where they must be, refused where they are not."""

import typing

import numpy as np
import pytest
from benchmark_testing import tiny_settings

from cham_keras.benchmark.agreement import Reference
from cham_keras.benchmark.measurement import measure
from cham_keras.benchmark.problem import make_problem
from cham_keras.benchmark.settings import SystemName
from cham_keras.benchmark.systems import DESCRIPTIONS, build_system
from cham_keras.layers import ConvAttentionLSTMCell

OF_THE_SAME_CELL = ("hoisted", "step", "auto", "cham", "torch_eager")


def measured(settings):
    """Measures and returns what was found and the notes of the progress."""
    notes = []
    return measure(settings, notes.append), notes


@pytest.fixture(scope="module")
def reference():
    settings = tiny_settings()
    return Reference(build_system("plain_rnn", settings, make_problem(settings)))


@pytest.mark.parametrize("name", OF_THE_SAME_CELL)
def test_system_computes_what_the_plain_loop_computes(name, reference):
    if name.startswith("torch"):
        pytest.importorskip("torch")
    settings = tiny_settings()
    system = build_system(name, settings, make_problem(settings))
    agreement = reference.compare(name, system, system.inference(), system.train_step(), settings)
    assert agreement.outputs < 1e-5
    assert agreement.gradients is None if name == "cham" else agreement.gradients < 1e-4


@pytest.mark.parametrize(
    ("name", "num_weights"), [("hoisted", 7), ("conv_lstm_2d", 3), ("cham", 7 + 3)]
)
def test_a_train_step_gives_a_gradient_for_every_weight(name, num_weights):
    settings = tiny_settings(steps=4)  # the second layer's state counts from its second update on
    system = build_system(name, settings, make_problem(settings))
    gradients = [system.as_array(gradient) for gradient in system.train_step().values()]
    assert len(gradients) == num_weights
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_agrees_to_its_own_rounding(dtype):
    found, _ = measured(tiny_settings(dtype=dtype))
    assert 0 < found.systems["hoisted"].agreement.outputs < 5e-2


def test_a_cell_with_wrong_outputs_is_refused(monkeypatch):
    right = ConvAttentionLSTMCell.attention

    def without_the_state(self, features, h_previous):
        return right(self, features, 0 * h_previous)

    monkeypatch.setattr(ConvAttentionLSTMCell, "attention", without_the_state)
    with pytest.raises(ValueError, match=r"The outputs of step must agree .* to 0.0001. Received"):
        measured(tiny_settings(systems=("step",)))


def test_a_wrong_gradient_is_refused(reference):
    settings = tiny_settings()
    system = build_system("hoisted", settings, make_problem(settings))
    outputs, gradients = system.inference(), system.train_step()
    gradients["recurrent_kernel"] = 1.01 * gradients["recurrent_kernel"]
    with pytest.raises(ValueError, match="The gradient of hoisted with respect to recurrent_kern"):
        reference.compare("hoisted", system, outputs, gradients, settings)


def test_an_output_that_is_no_number_is_refused(reference):
    settings = tiny_settings()
    system = build_system("hoisted", settings, make_problem(settings))
    with pytest.raises(ValueError, match="Received: a difference of nan"):
        reference.compare(
            "hoisted", system, system.inference() * np.nan, system.train_step(), settings
        )


def test_missing_pytorch_leaves_a_sentence(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found, _ = measured(tiny_settings(systems=("torch_eager", "torch_compiled", "step")))
    assert list(found.systems) == ["step"]
    assert found.left_out == dict.fromkeys(
        ("torch_eager", "torch_compiled"),
        "PyTorch is not installed; `pip install torch` adds it.",
    )


def test_a_compiler_that_fails_leaves_a_sentence(monkeypatch):
    torch = pytest.importorskip("torch")

    def compile_nothing(function):
        def fail(*args):
            raise RuntimeError("No working C++ compiler found\nand much more")

        return fail

    monkeypatch.setattr(torch, "compile", compile_nothing)
    found, _ = measured(tiny_settings(systems=("step", "torch_compiled")))
    assert list(found.systems) == ["step"]
    assert found.left_out["torch_compiled"] == (
        "torch.compile failed (No working C++ compiler found). On a CPU it needs a C++ compiler."
    )


def test_nothing_left_to_measure_is_an_error(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="No system is left to measure. PyTorch is not"):
        measured(tiny_settings(systems=("torch_eager",)))


def test_systems_take_turns_and_the_first_call_is_not_counted():
    found, notes = measured(tiny_settings(repeats=3))
    a_round = ["matrix product"]
    a_round += [f"{name}, {mode}" for mode in ("train", "inference") for name in found.systems]
    assert notes == ["built hoisted", "built plain_rnn", *(3 * a_round)]
    for system in found.systems.values():
        for times in system.times.values():
            assert len(times.seconds) == 3
            assert times.first_call_seconds is not None
    assert len(found.matrix_rates) == 3


def test_every_system_is_described():
    assert list(DESCRIPTIONS) == list(typing.get_args(SystemName))
