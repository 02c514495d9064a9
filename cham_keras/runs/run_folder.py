"""A run folder: what a training run leaves behind, and how to read it.

Written by `training.train`; read by evaluation, explanation, export, prediction
and tuning. What lies in it is listed in `docs/map.md`.
"""

import os
import platform
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from cham_keras.data import Manifest, read_manifest
from cham_keras.data.shards.manifest import versions_of
from cham_keras.data.shards.shards import sha256_of_file
from cham_keras.files import read_json
from cham_keras.paths import AnyPath
from cham_keras.runs.settings import RunSettings
from cham_keras.settings import read_settings

SETTINGS_FILE = "settings.toml"
MANIFEST_FILE = "manifest.json"
VERSIONS_FILE = "versions.json"
MODEL_FILE = "model.keras"
LAST_MODEL_FILE = "last.keras"
CHECKPOINT_FILE = "checkpoint.npz"
HISTORY_FILE = "history.csv"
METRICS_FILE = "metrics.json"
TENSORBOARD_FOLDER = "tensorboard"
EVALUATION_FOLDER = "evaluation"

_PACKAGES = ("cham-keras", "keras", "tensorflow", "numpy", "av", "keras-tuner")


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where it lies.
        settings: the resolved settings.
        manifest: the manifest of the shards that it was trained on.
    """

    folder: Path
    settings: RunSettings
    manifest: Manifest

    @property
    def num_frames(self) -> int:
        """Frames a clip."""
        return self.settings.num_frames

    def load_model(self) -> keras.Model:
        """Loads the trained model."""
        import cham_keras  # noqa: F401  registers the layers

        return keras.saving.load_model(self._model_file())

    @property
    def has_model(self) -> bool:
        """Whether the trained model is there."""
        return (self.folder / MODEL_FILE).is_file()

    def model_sha256(self) -> str:
        """Checksum of the trained model's file, by which it is known which model was measured."""
        return sha256_of_file(self._model_file())

    def holds_another_model(self, model_sha256: str) -> bool:
        """Whether what was measured of a model with this checksum is out of date.

        Args:
            model_sha256: from `model_sha256`; empty where nobody wrote it down, which is
                taken for that of this model.
        """
        return bool(model_sha256) and self.has_model and self.model_sha256() != model_sha256

    def metrics(self) -> dict[str, Any]:
        """What training ended with."""
        return read_json(self.folder / METRICS_FILE)

    def _model_file(self) -> Path:
        path = self.folder / MODEL_FILE
        if not self.has_model:
            raise FileNotFoundError(
                f"The run {self.folder} holds no {MODEL_FILE}: it has not finished. "
                "The `cham train` that it was begun with goes on with it."
            )
        return path


def open_run(folder: Path) -> Run:
    """Opens a run folder.

    Args:
        folder: a folder that `cham train` has written.

    Raises:
        FileNotFoundError: the folder is no run folder.
    """
    folder = Path(folder)
    if not (folder / SETTINGS_FILE).is_file():
        raise FileNotFoundError(
            f"{folder} is no run folder: it holds no {SETTINGS_FILE}. `cham train` writes one."
        )
    return Run(
        folder=folder,
        settings=read_settings(RunSettings, folder / SETTINGS_FILE),
        manifest=read_manifest(folder / MANIFEST_FILE),
    )


def require_same_features(run: Run, manifest: Manifest, shards: AnyPath | str) -> None:
    """Refuses shards whose features or classes are not those that the run was trained on."""
    for name, ours, theirs in (
        ("feature shape", run.manifest.feature_shape, manifest.feature_shape),
        ("classes", run.manifest.classes, manifest.classes),
        ("backbone", run.manifest.backbone.name, manifest.backbone.name),
        (
            "backbone weights",
            run.manifest.backbone.weights_sha256,
            manifest.backbone.weights_sha256,
        ),
    ):
        if ours != theirs:
            raise ValueError(
                f"The shards {shards} must have the {name} of the run {run.folder}: {ours}. "
                f"Received: {theirs}. Extract the clips again as the run's manifest.json says."
            )


def environment() -> dict[str, Any]:
    """Versions, hardware and command of this process, to lie beside what it makes."""
    return {
        "versions": versions_of(_PACKAGES),
        "backend": keras.config.backend(),
        "processor": processor_name(),
        "processor_count": os.cpu_count(),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def processor_name() -> str:
    """The processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
