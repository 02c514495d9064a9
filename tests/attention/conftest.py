"""What the tests of attention share: a tiny run on tiny films, and made-up attention."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cham_keras.attention import ClipAttention
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


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """A barely trained run on films of 3 to 9 frames; frame stride 2 in the shards."""
    folder = tmp_path_factory.mktemp("tiny_run")
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


@pytest.fixture
def make_attention() -> Callable[..., ClipAttention]:
    """A function that makes attention out of chance: any number of steps, any size."""

    def make(
        num_steps: int = 5,
        frame_size: tuple[int, int] = (HEIGHT, WIDTH),
        classes: tuple[str, ...] = CLASSES,
        label: int | None = 1,
        **values,
    ) -> ClipAttention:
        rng = np.random.default_rng(0)
        maps = rng.random((num_steps, 7, 7)) ** 4
        probabilities = rng.random((num_steps, len(classes)))
        made = {
            "frames": rng.integers(0, 256, (num_steps, *frame_size, 3), "uint8"),
            "maps": maps / maps.sum(axis=(1, 2), keepdims=True),
            "probabilities": probabilities / probabilities.sum(axis=1, keepdims=True),
            "frame_numbers": 3 * np.arange(num_steps),
            "frame_rate_hz": 12.0,
            "name": "run/001.mp4",
        }
        return ClipAttention(classes=classes, label=label, **(made | values))

    return make
