"""How fast `cham extract` is beside its backbone alone, and whether its memory grows.

    python scripts/extraction_speed.py CLIPS WEIGHTS [--backbone mobilenet] [--num-clips N]

CLIPS is a folder that `cham prepare` wrote. In one process: the backbone alone on frames that
are in memory, the whole extraction, the backbone alone again. Leave the machine alone meanwhile.
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

FRAMES_IN_MEMORY = 1024


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
    with tempfile.TemporaryDirectory() as folder, MemoryWatch() as memory:
        start = time.perf_counter()
        manifest = extract(clip_list, Path(folder) / "shards", backbone)
        seconds = time.perf_counter() - start
    alone.append(frames_per_second_alone(backbone, in_memory))
    num_frames = sum(split.frames for split in manifest.splits.values())
    rate = num_frames / seconds
    print(f"backbone alone, before and after: {alone[0]:.1f} and {alone[1]:.1f} frames/s")
    print(f"extraction of {len(clip_list.clips)} clips, {num_frames} frames: {seconds:.1f} s")
    print(f"{rate:.1f} frames/s, {rate / np.mean(alone):.1%} of the backbone alone")
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
