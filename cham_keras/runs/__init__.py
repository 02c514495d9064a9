"""What a run is: its settings, its model, its folder."""

from cham_keras.runs.model_building import build_model
from cham_keras.runs.run_folder import Run, open_run
from cham_keras.runs.settings import (
    DataSettings,
    ModelSettings,
    OptimizerSettings,
    RunSettings,
)

__all__ = [
    "DataSettings",
    "ModelSettings",
    "OptimizerSettings",
    "Run",
    "RunSettings",
    "build_model",
    "open_run",
]
