"""A tiny run with attention on tiny films, for the tests of what shows it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cham_keras.data import Clip, ClipList, extract, load_backbone, write_video
from cham_keras.runs import DataSettings, ModelSettings, Run, RunSettings
from cham_keras.training import train

CLASSES = ("hop", "run", "skip")
HEIGHT, WIDTH = 48, 80
FRAME_RATE_HZ = 10.0
STEPS = 4


@dataclass(frozen=True)
class TinyRun:
    """A run, the shards that it was trained on, and the folder of the films."""

    run: Run
    shards: Path
    clips: Path


def make_tiny_run(folder: Path) -> TinyRun:
    """A barely trained run on films of 3 to 9 frames; frame stride 2 in the shards."""
    rng = np.random.default_rng(0)
    clips = []
    for split, label, number in [
        *[("train", label, 0) for label in CLASSES],
        *[("test", label, number) for number in (1, 2) for label in CLASSES],
    ]:
        path = f"{label}/{number}.mp4"
        num_frames = 3 if path == "skip/2.mp4" else 9 + 2 * number
        coarse = rng.integers(0, 256, (num_frames, HEIGHT // 8, WIDTH // 8, 3), "uint8")
        (folder / "clips" / label).mkdir(parents=True, exist_ok=True)
        frames = coarse.repeat(8, axis=1).repeat(8, axis=2)
        write_video(folder / "clips" / path, frames, FRAME_RATE_HZ)
        clips.append(Clip(path=path, label=label, split=split, group=path))
    clip_list = ClipList(root=folder / "clips", classes=CLASSES, clips=tuple(clips))
    extract(clip_list, folder / "shards", load_backbone("filter_bank"), frame_stride=2)
    settings = RunSettings(
        epochs=1,
        model=ModelSettings(name="conv_attention", filters=4, attention_scale=49.0, head_units=4),
        data=DataSettings(num_frames=STEPS, batch_size=3),
    )
    run = train(folder / "shards", folder / "run", settings)
    return TinyRun(run, folder / "shards", folder / "clips")
