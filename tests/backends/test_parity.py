"""JAX and PyTorch give what TensorFlow gives: outputs, gradients, training, files.

TensorFlow computes in this process, the others in one process each
(`parity_program.py`, run once by the fixtures of `conftest.py`).
"""

import functools

import keras
import numpy as np
import pytest
from backends.parity_cases import (
    CASES,
    LAYER_CASES,
    LOSS_CASES,
    MODEL_CASES,
    TRAINING_CASES,
    build_model,
    prediction,
)

WITH_GRADIENTS = [*LAYER_CASES, *LOSS_CASES, *MODEL_CASES]


@functools.cache
def on_tensorflow(case):
    return CASES[case]()


def compare(ours, theirs, tolerance):
    """Holds all parts against each other, within a share of the largest number of each.

    A gradient is a sum whose terms cancel, so its rounding follows its largest
    numbers; below 1 the tolerance is absolute.
    """
    assert ours.keys() == theirs.keys()
    for part, expected in ours.items():
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(
            theirs[part], expected, rtol=0, atol=tolerance * scale, err_msg=part
        )
        assert theirs[part].dtype == expected.dtype, part


def parts_named(start, parts):
    return {name: array for name, array in parts.items() if name.startswith(start)}


def test_a_backend_loads_the_package_without_tensorflow(results):
    loaded = set(results("import")["loaded"].tolist())
    assert "cham_keras" in loaded
    assert "tensorflow" not in loaded


@pytest.mark.parametrize("case", WITH_GRADIENTS)
def test_outputs_are_those_of_tensorflow(results, case):
    theirs = parts_named("output", results(case))
    ours = parts_named("output", on_tensorflow(case))
    compare(ours, theirs, 1e-5)
    assert np.abs(next(iter(ours.values()))).max() > 0


@pytest.mark.parametrize("case", WITH_GRADIENTS)
def test_gradients_are_those_of_tensorflow(results, case):
    theirs = parts_named("gradient", results(case))
    ours = parts_named("gradient", on_tensorflow(case))
    compare(ours, theirs, 1e-5)
    assert all(np.abs(array).max() > 0 for array in ours.values()), "a gradient is all zeros"


@pytest.mark.parametrize("case", LOSS_CASES)
def test_accuracies_are_those_of_tensorflow(results, case):
    theirs = parts_named("frame", results(case)) | parts_named("clip", results(case))
    ours = on_tensorflow(case)
    assert set(theirs) == {"frame_accuracy", "clip_accuracy"}
    for name, value in theirs.items():
        assert value == pytest.approx(ours[name], abs=1e-6)


@pytest.mark.parametrize("case", TRAINING_CASES)
def test_steps_of_training_are_those_of_tensorflow(results, case):
    # Adam divides by the gradient's size, so a rounding of 1e-5 in a small one grows.
    compare(on_tensorflow(case), results(case), 1e-4)


@pytest.mark.parametrize("case", TRAINING_CASES)
def test_training_moves_every_weight(results, case):
    start = build_model(case.removeprefix("training-"))
    for index, variable in enumerate(start.trainable_variables):
        trained = results(case)[f"weight {index} {variable.name}"]
        assert np.abs(trained - np.asarray(variable)).max() > 1e-3, variable.path


@pytest.mark.parametrize("origin", ["saved", "from_tensorflow"])
def test_a_backend_loads_models_of_its_own_and_of_tensorflow(results, origin):
    expected = prediction(build_model("cham"))
    np.testing.assert_allclose(results(origin)["loaded"], expected, atol=1e-5)


def test_a_model_saved_on_a_backend_loads_on_tensorflow(folder, results):
    results("saved")
    loaded = keras.saving.load_model(folder / "saved.keras")
    np.testing.assert_allclose(prediction(loaded), prediction(build_model("cham")), atol=1e-6)
