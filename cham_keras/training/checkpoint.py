"""A checkpoint: everything that a fit goes on from, in one file.

Comes in: the state of a fit and a compiled model. Goes out: `checkpoint.npz`, whole or not at
all, and from it the same state and the same values in a new model. `callbacks.keep_run` writes
it, `train` reads it.

The file holds every variable of the model (those of the dropouts' random numbers among them),
of its optimizer, and the sums behind the running loss and accuracies of an epoch that is not
done. It does not hold the data's position in other words than the number of batches: which
clips and frames come next is a function of the seed and that number.
"""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cham_keras.files import replacing_file
from cham_keras.training.resume_state import FitState

#: Values of variables by group: "model", "optimizer" and "metrics".
Values = dict[str, list[np.ndarray]]

_STATE = "state"
_FORM = 1


def values_of(model: keras.Model) -> Values:
    """Copies of all that changes in a compiled model while it is fitted."""
    return {
        group: [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
        for group, variables in _variables(model).items()
    }


def random_states_of(model: keras.Model) -> dict[int, np.ndarray]:
    """The states of random numbers by their positions in `values_of(model)["model"]`.

    They are the only variables of a model that validation may change.
    """
    return {
        position: np.array(keras.ops.convert_to_numpy(variable))
        for position, variable in enumerate(model.variables)
        if "int" in str(variable.dtype)
    }


def write_checkpoint(path: Path, state: FitState, values: Values) -> None:
    """Writes a checkpoint over the one before, which stays until the new one is whole.

    Args:
        path: the file.
        state: where the fit stands.
        values: of the variables at that moment.
    """
    text = json.dumps({"form": _FORM, **state.to_dict()})
    arrays = {_STATE: np.frombuffer(text.encode(), np.uint8)}
    for group, of_group in values.items():
        for number, value in enumerate(of_group):
            arrays[f"{group}/{number}"] = value
    with replacing_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # takes any name
        file.flush()
        os.fsync(file.fileno())  # a rename may reach the disk before the content does


def read_checkpoint(path: Path) -> tuple[FitState, Values]:
    """Reads what `write_checkpoint` wrote.

    Raises:
        ValueError: the file is damaged, or of another version of this package.
    """
    try:
        values: Values = {}
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            state = json.loads(arrays[_STATE].tobytes())
            for name in arrays.files:
                if name != _STATE:
                    values.setdefault(name.partition("/")[0], []).append(arrays[name])
        if state.pop("form") != _FORM:
            raise ValueError("it has another form")
        return FitState.from_dict(state), values
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"The checkpoint {path} must be whole and of this version of the package. "
            f"Received: a file that cannot be read ({error}). Begin the run anew with --overwrite."
        ) from error


def restore_variables(model: keras.Model, values: Values, path: Path) -> None:
    """Sets the variables of a new, compiled model and of its optimizer.

    The optimizer makes its variables when it first sees those of the model; so it is built
    before they are set. The metrics make theirs at the first batch: `restore_metrics`.

    Args:
        model: built and compiled from the same settings.
        values: as `values_of` gave them.
        path: of the checkpoint, for the error's text.

    Raises:
        ValueError: the model has other variables.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    variables = _variables(model)
    for group in ("model", "optimizer"):
        _assign(variables[group], values.get(group, []), group, path)


def restore_metrics(model: keras.Model, values: Values, num_classes: int, path: Path) -> None:
    """Sets the sums behind the running figures of an epoch; call it when the epoch has begun.

    Args:
        model: as `restore_variables` left it.
        values: as `values_of` gave them.
        num_classes: number of classes.
        path: of the checkpoint, for the error's text.

    Raises:
        ValueError: the model has other metrics.
    """
    if len(model.metrics_variables) != len(values.get("metrics", [])):
        # They are made when they see a batch; under a distribution strategy `fit` does so.
        probabilities = np.full((1, 1, num_classes), 1 / num_classes, np.float32)
        model.compute_metrics(x=None, y=np.zeros((1, 1), np.int32), y_pred=probabilities)
        model.reset_metrics()
    _assign(model.metrics_variables, values.get("metrics", []), "metrics", path)


def _variables(model: keras.Model) -> dict[str, list[Any]]:
    return {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }


def _assign(variables: list[Any], values: list[np.ndarray], group: str, path: Path) -> None:
    ours = [tuple(variable.shape) for variable in variables]
    theirs = [value.shape for value in values]
    if ours != theirs:
        raise ValueError(
            f"The checkpoint {path} must hold the {len(ours)} variables that the {group} has. "
            f"Received: {len(theirs)}, or others. The package has changed since it was written: "
            "begin the run anew with --overwrite."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
