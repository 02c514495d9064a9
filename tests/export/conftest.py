"""One tiny run and its export, for all tests of this folder."""

from pathlib import Path

import numpy as np
import pytest
from export_testing import write_tiny_run, write_tiny_shards

from cham_keras.export import export_saved_model
from cham_keras.runs import Run


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    return write_tiny_shards(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def run(shards, tmp_path_factory) -> Run:
    return write_tiny_run(tmp_path_factory.mktemp("runs") / "cham", shards)


@pytest.fixture(scope="session")
def version(run, tmp_path_factory) -> Path:
    """The folder of the run's first exported version."""
    return export_saved_model(run, tmp_path_factory.mktemp("exports") / "cham")


@pytest.fixture(scope="session")
def batch(run) -> dict[str, np.ndarray]:
    """Three clips of 5, 1 and 4 valid steps; the padding behind them is not zero."""
    features = np.random.default_rng(1).normal(size=(3, 5, *run.manifest.feature_shape))
    return {"features": features.astype("float32"), "lengths": np.array([5, 1, 4], "int32")}
