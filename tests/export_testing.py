"""A tiny run for tests of export and prediction: drawn films, their shards, a model."""

from pathlib import Path

import keras
import numpy as np

from cham_keras.data import Clip, ClipList, extract, load_backbone, read_manifest
from cham_keras.data.frames.video import write_video
from cham_keras.data.shards.manifest import write_manifest
from cham_keras.runs import DataSettings, ModelSettings, Run, RunSettings, build_model, open_run
from cham_keras.runs.run_folder import MANIFEST_FILE, MODEL_FILE, SETTINGS_FILE
from cham_keras.settings import write_settings

CLASSES = ("go home", "hop", "run")
#: Frames of each test film; the first is shorter than what a model looks at.
FRAMES_OF_FILMS = (3, 7, 12)
NUM_FRAMES = 5


def write_tiny_shards(folder: Path, **arguments) -> Path:
    """Draws films in `folder/films`, extracts them, and returns the folder of shards."""
    rng = np.random.default_rng(0)
    clips = []
    for split, numbers in (("train", (6, 6, 6)), ("test", FRAMES_OF_FILMS)):
        for clip, num_frames in enumerate(numbers):
            path = f"films/{split}-{clip}.mp4"
            picture = np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype("uint8")
            frames = [np.roll(picture, 9 * frame, axis=1) for frame in range(num_frames)]
            write_video(folder / path, frames, frame_rate_hz=20)
            clips.append(Clip(path, CLASSES[clip], split, group=path))
    shards = folder / "shards"
    backbone = load_backbone("filter_bank", image_size=32)
    extract(ClipList(folder, CLASSES, tuple(clips)), shards, backbone, **arguments)
    return shards


def write_tiny_run(
    folder: Path,
    shards: Path,
    name: str = "cham",
    seed: int = 0,
    short_clips: str = "repeat",
    **model,
) -> Run:
    """Writes a run folder with a model of drawn weights, large enough to tell clips apart."""
    if name != "softmax_regression":
        # With recurrent dropout, whose masks have no place in what is served.
        model = {"filters": 4, "head_units": 8, "recurrent_dropout": 0.2, **model}
    settings = RunSettings(
        model=ModelSettings(name=name, **model),
        data=DataSettings(num_frames=NUM_FRAMES, batch_size=4, short_clips=short_clips),
    )
    manifest = read_manifest(shards)
    keras.utils.set_random_seed(seed)
    model = build_model(settings.model, manifest.feature_shape, len(manifest.classes))
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(scale=0.5, size=weight.shape))
    folder.mkdir(parents=True)
    write_settings(folder / SETTINGS_FILE, settings)
    write_manifest(manifest, folder / MANIFEST_FILE)
    model.save(folder / MODEL_FILE)
    return open_run(folder)
