"""How fast clip data sets read shards, beside a plain `tf.data.TFRecordDataset` on the same files.

    python scripts/reading_speed.py [SHARDS] [--repeats 5] [--model]

Without SHARDS it writes random ones of about 1.6 GB into a temporary folder: 400 clips of 30 to
50 frames, 7x7x1024, float16. Rates are bytes of whole records a second, so a data set that reads
chosen frames only can be above 100 %. Everything comes from the system's cache of files after the
first round. With --model also the wait for input in training steps of a model. Leave the machine
alone meanwhile.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cham_keras import models
from cham_keras.data import ClipFeatures, clip_dataset, read_manifest, write_shards
from cham_keras.data.backbones.backbone_spec import BackboneSpec

FEATURE_SHAPE = (7, 7, 1024)


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--model", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shards = arguments.shards or write_random_shards(Path(folder) / "shards")
        measure(shards, arguments.repeats)
        if arguments.model:
            measure_wait(shards)


def write_random_shards(folder: Path, num_clips: int = 400) -> Path:
    """Writes clips of random features."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(50, *FEATURE_SHAPE)).astype("float32")

    def clips() -> Iterator[ClipFeatures]:
        for number in range(num_clips):
            frames = noise[: rng.integers(30, 51)]
            yield ClipFeatures(f"{number}.mp4", "train", number % 2, str(number), 25.0, frames)

    spec = BackboneSpec("random", "none", None, 224, FEATURE_SHAPE, "none")
    write_shards(folder, clips(), classes=("a", "b"), backbone=spec)
    return folder


def measure(shards: Path, repeats: int) -> None:
    """Reads the training clips in several ways, in turn; prints medians."""
    info = read_manifest(shards).split("train")
    num_bytes = sum(shard.bytes for shard in info.shards)
    plain = tf.data.TFRecordDataset([str(shards / shard.file) for shard in info.shards])
    datasets = {"TFRecordDataset": plain}
    for num_frames, batch_size in ((50, 8), (50, 32), (30, 32), (16, 16)):
        datasets[f"every frame, windows of {num_frames}, batch {batch_size}"] = clip_dataset(
            shards, "train", num_frames, batch_size, sampling="all_frames"
        )
    datasets["16 random frames, shuffled, batch 32"] = clip_dataset(
        shards, "train", 16, 32, sampling="random", shuffle=True
    )
    seconds: dict[str, list[float]] = {name: [] for name in datasets}
    for _ in range(repeats + 1):  # the first round fills the cache
        for name, dataset in datasets.items():
            start = time.perf_counter()
            for _ in dataset:
                pass
            seconds[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(times[1:])) for name, times in seconds.items()}
    for name, median in medians.items():
        share = medians["TFRecordDataset"] / median
        print(f"{name:40s} {num_bytes / median / 1e6:6.0f} MB/s  {share:6.1%}")


def measure_wait(shards: Path, batch_size: int = 8, num_frames: int = 16, steps: int = 20) -> None:
    """Waits for input in training steps of Conv-Attention with 64 filters; prints the share."""
    manifest = read_manifest(shards)
    model = models.conv_attention(
        (num_frames, *manifest.feature_shape), len(manifest.classes), filters=64
    )
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    batches = iter(
        clip_dataset(shards, "train", num_frames, batch_size, "random", shuffle=True, repeat=True)
    )
    inputs, targets = next(batches)
    model.train_on_batch(inputs["features"], targets)
    waits, whole = [], []
    for _ in range(steps):
        start = time.perf_counter()
        inputs, targets = next(batches)
        waits.append(time.perf_counter() - start)
        model.train_on_batch(inputs["features"], targets)
        whole.append(time.perf_counter() - start)
    share = sum(waits) / sum(whole)
    print(
        f"{steps} training steps, batch {batch_size}, {num_frames} frames: "
        f"{1e3 * np.median(whole):.0f} ms a step, {share:.2%} of it waiting for input"
    )


if __name__ == "__main__":
    main()
