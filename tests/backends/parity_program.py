"""Runs the cases on the backend that KERAS_BACKEND names.

    KERAS_BACKEND=jax python tests/backends/parity_program.py FOLDER

`FOLDER/from_tensorflow.keras` must be there. Writes `FOLDER/results.npz`, with
an array for each `case/part`, or the traceback as `case/error`; and the model
`FOLDER/saved.keras`. `test_parity.py` starts it, as Keras takes its backend
once a process.
"""

import sys
import traceback
from pathlib import Path

# Before anything else: what the package itself loads is of interest.
import cham_keras  # noqa: F401  # isort: skip

LOADED_WITH_THE_PACKAGE = sorted({name.partition(".")[0] for name in sys.modules})
# Where `backends` lies; pytest knows from pyproject.toml.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras  # noqa: E402
import numpy as np  # noqa: E402
from backends.parity_cases import CASES, build_model, prediction  # noqa: E402


def saved_and_loaded(folder):
    """Saves a model on this backend and loads it again."""
    build_model("cham").save(folder / "saved.keras")
    return {"loaded": prediction(keras.saving.load_model(folder / "saved.keras"))}


def loaded_from_tensorflow(folder):
    """Loads a model that was saved on TensorFlow."""
    return {"loaded": prediction(keras.saving.load_model(folder / "from_tensorflow.keras"))}


def main(folder):
    cases = {
        **CASES,
        "saved": lambda: saved_and_loaded(folder),
        "from_tensorflow": lambda: loaded_from_tensorflow(folder),
        "import": lambda: {"loaded": np.array(LOADED_WITH_THE_PACKAGE)},
    }
    results = {}
    for name, compute in cases.items():
        try:
            parts = compute()
        except Exception:  # the test of this case shows it, and the others run
            parts = {"error": np.array(traceback.format_exc())}
        results |= {f"{name}/{part}": array for part, array in parts.items()}
    np.savez(folder / "results.npz", **results)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
