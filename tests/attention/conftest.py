"""What the tests of attention share: a tiny run on tiny films, and made-up attention."""

from collections.abc import Callable

import numpy as np
import pytest
from attention_testing import CLASSES, HEIGHT, WIDTH, TinyRun, make_tiny_run

from cham_keras.attention import ClipAttention


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """A barely trained run on films of 3 to 9 frames; frame stride 2 in the shards."""
    return make_tiny_run(tmp_path_factory.mktemp("tiny_run"))


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
