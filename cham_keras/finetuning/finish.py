"""The end of a fine-tuning: one trained model becomes a CNN and a model on its features.

Comes in: the fit's folder. Goes out: the files of a run. `finetune` calls it.
"""

import dataclasses
import shutil
from pathlib import Path

import keras

from cham_keras import models
from cham_keras.data import Manifest, load_backbone, write_manifest
from cham_keras.files import replacing_file, write_json
from cham_keras.runs import Run, RunSettings
from cham_keras.runs.run_folder import (
    HISTORY_FILE,
    MANIFEST_FILE,
    METRICS_FILE,
    MODEL_FILE,
    SETTINGS_FILE,
    TENSORBOARD_FOLDER,
    VERSIONS_FILE,
    environment,
)
from cham_keras.settings import write_settings
from cham_keras.training.resume_state import FitPlan, FitState

#: The tuned CNN with its preprocessing, from pixels of 0 to 255 to features.
BACKBONE_FILE = "backbone.keras"


def write_tuned_run(
    out: Path,
    unfinished: Path,
    model: keras.Model,
    state: FitState,
    plan: FitPlan,
    manifest: Manifest,
    settings: RunSettings,
    trained_layers: list[str],
    start: Run,
) -> None:
    """Writes the files of a run; its metrics, which mark it as finished, at the end.

    Args:
        out: the run folder.
        unfinished: where the fit kept its files.
        model: the model as the fit left it.
        state: where the fit ended.
        plan: how long it was to be.
        manifest: of the features before they were tuned.
        settings: of the run as it was tuned.
        trained_layers: the layers of the CNN that were trained.
        start: the run that was tuned.
    """
    if plan.monitor is not None:
        model = keras.saving.load_model(unfinished / MODEL_FILE, compile=False)
    network, top = models.parts_of_from_frames(model)
    before = manifest.backbone
    with replacing_file(out / BACKBONE_FILE) as temporary:
        network.save(temporary)
    # Loaded as whoever extracts features with it does; so the manifest says what will be found.
    spec = load_backbone(
        str(out / BACKBONE_FILE), image_size=before.image_size, interpolation=before.interpolation
    ).spec
    command = environment()
    write_manifest(
        dataclasses.replace(manifest, backbone=spec, command=command["command"]),
        out / MANIFEST_FILE,
    )
    with replacing_file(out / MODEL_FILE) as temporary:
        top.save(temporary)
    write_json(out / VERSIONS_FILE, {**command, "seed": settings.seed})
    write_settings(
        out / SETTINGS_FILE,
        settings,
        comment=f"Tuned from {start.folder}, by finetuning.toml, on features of {BACKBONE_FILE}",
    )
    with replacing_file(out / HISTORY_FILE) as temporary:
        shutil.copyfile(unfinished / HISTORY_FILE, temporary)
    if (unfinished / TENSORBOARD_FOLDER).is_dir():
        shutil.copytree(
            unfinished / TENSORBOARD_FOLDER, out / TENSORBOARD_FOLDER, dirs_exist_ok=True
        )
    kept = {name: x for name, x in state.history[state.kept_epoch - 1].items() if name != "epoch"}
    write_json(
        out / METRICS_FILE,
        {
            "model": settings.model.name,
            "parameters": model.count_params(),
            "epochs": state.epoch,
            "kept_epoch": state.kept_epoch,
            "seconds": round(state.seconds, 1),
            "kept": kept,
            "finetuning": {
                "started_from": str(start.folder.absolute()),
                "backbone": {
                    "name": before.name,
                    "weights": before.weights,
                    "weights_sha256": before.weights_sha256,
                    "preprocessing": before.preprocessing,
                },
                "parameters_of_the_backbone": network.count_params(),
                "trained_layers_of_the_backbone": trained_layers,
            },
        },
    )
