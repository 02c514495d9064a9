"""A small run on features of a small CNN, and the clips it came from, for tests of tuning."""

from pathlib import Path
from typing import Any

from frame_testing import make_clips, small_network

from cham_keras.data import ClipList, extract, load_backbone
from cham_keras.finetuning import FinetuningSettings
from cham_keras.runs import Run, RunSettings
from cham_keras.settings import settings_from_dict
from cham_keras.training import train

TINY_RUN: dict[str, Any] = {
    "epochs": 1,
    # Without a recurrence, which takes long to compile.
    "model": {"name": "spatial_convnet", "dropout": 0.5},
    "data": {"num_frames": 4, "batch_size": 6},
    "optimizer": {"learning_rate": 0.01},
}


def make_run(folder: Path, **model: Any) -> tuple[Run, ClipList, Path]:
    """Clips, float32 shards of them, and a run of one epoch."""
    clips = make_clips(folder / "clips")
    small_network(folder / "cnn.keras")
    # With a scaling, so that a frame that is not prepared as before gives other features.
    backbone = load_backbone(str(folder / "cnn.keras"), scaling="caffe")
    extract(clips, folder / "shards", backbone, feature_dtype="float32")
    values = {**TINY_RUN, "model": {**TINY_RUN["model"], **model}}
    settings = settings_from_dict(RunSettings, values, "test")
    return train(folder / "shards", folder / "run", settings), clips, folder / "shards"


def tuning(**values: Any) -> FinetuningSettings:
    """Two epochs on four frames, in steps of four clips, without augmentation."""
    defaults: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 4,
        "augmentation": {"crop": "none", "mirror": False},
        "evaluation": {"split": "none"},
    }
    return settings_from_dict(FinetuningSettings, {**defaults, **values}, "test")
