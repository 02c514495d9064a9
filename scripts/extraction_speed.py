"""How fast `cham extract` is beside its backbone alone, and whether its memory grows.

    python scripts/extraction_speed.py CLIPS WEIGHTS [--backbone mobilenet] [--num-clips N]

CLIPS is a folder that `cham prepare` wrote. In one process and in turn: the backbone alone on
frames that are in memory, a part of the extraction, the backbone alone again, and so on. Leave the
machine alone meanwhile.
"""

import argparse
import dataclasses
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from cham_keras.data import Backbone, extract, load_backbone, read_clip_list
from cham_keras.data.extraction.extraction import clip_reader, extraction_order

FRAMES_IN_MEMORY = 384
NUM_PARTS = 6


def main() -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("weights")
    parser.add_argument("--backbone", default="mobilenet")
    parser.add_argument("--num-clips", type=int)
    arguments = parser.parse_args()
    clip_list = read_clip_list(arguments.clips)
    if arguments.num_clips:
        order = extraction_order(clip_list)[: arguments.num_clips]
        clip_list = dataclasses.replace(clip_list, clips=tuple(order))
    backbone = load_backbone(arguments.backbone, arguments.weights)
    read = clip_reader(clip_list, backbone, 1, None)
    frames: list[np.ndarray] = []
    for clip in extraction_order(clip_list):
        frames.extend(read(clip)[1])
        if len(frames) >= FRAMES_IN_MEMORY:
            break
    in_memory = np.stack(frames[:FRAMES_IN_MEMORY])
    del frames
    backbone.features_of_resized(in_memory[: backbone.batch_size])  # traces and compiles

    alone = [frames_per_second_alone(backbone, in_memory)]
    seconds, num_frames = [], []
    order = extraction_order(clip_list)
    with tempfile.TemporaryDirectory() as folder, MemoryWatch() as memory:
        for part in range(NUM_PARTS):
            # All for training: a part need not hold every split.
            clips = [dataclasses.replace(c, split="train") for c in order[part::NUM_PARTS]]
            of_part = dataclasses.replace(clip_list, clips=tuple(clips))
            start = time.perf_counter()
            manifest = extract(of_part, Path(folder) / str(part), backbone)
            seconds.append(time.perf_counter() - start)
            num_frames.append(manifest.split("train").frames)
            alone.append(frames_per_second_alone(backbone, in_memory))
    # Each part against the backbone just before and after it.
    shares = [
        n / t / np.mean(alone[part : part + 2])
        for part, (n, t) in enumerate(zip(num_frames, seconds, strict=True))
    ]
    print(f"backbone alone: {', '.join(f'{rate:.1f}' for rate in alone)} frames/s")
    rates = (n / t for n, t in zip(num_frames, seconds, strict=True))
    print(f"extraction: {', '.join(f'{rate:.1f}' for rate in rates)} frames/s")
    print(
        f"{len(order)} clips, {sum(num_frames)} frames in {sum(seconds):.0f} s; of the backbone "
        f"alone: {min(shares):.1%} to {max(shares):.1%}, median {np.median(shares):.1%}"
    )
    print(f"resident memory by tenths of the run, MiB: {memory.by_tenths()}")


def frames_per_second_alone(backbone: Backbone, frames: np.ndarray) -> float:
    """Rate of the backbone on frames in memory."""
    start = time.perf_counter()
    for first in range(0, len(frames), backbone.batch_size):
        backbone.features_of_resized(frames[first : first + backbone.batch_size])
    return len(frames) / (time.perf_counter() - start)


class MemoryWatch:
    """Notes the resident memory of this process, twice a second."""

    def __enter__(self) -> "MemoryWatch":
        """Begins."""
        self.mebibytes: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Ends."""
        self._ended.set()
        self._thread.join()

    def by_tenths(self) -> list[int]:
        """Mean in each tenth of the time."""
        return [round(float(np.mean(part))) for part in np.array_split(self.mebibytes, 10)]

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.mebibytes.append(pages * 4096 / 2**20)


if __name__ == "__main__":
    main()
