"""Short clips to extract, and what a kill would leave at each moment of an extraction."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cham_keras.data.backbones.backbones import Backbone, load_backbone
from cham_keras.data.clip_list import Clip, ClipList
from cham_keras.data.extraction.extraction import extraction_order
from cham_keras.data.frames.video import write_video

FRAMES_OF_CLIPS = {"train": (5, 9, 1, 6, 4, 7), "validation": (3, 4), "test": (8, 2)}
#: Where the clip that breaks off stands in the order of extraction.
PLACE_OF_DAMAGED_CLIP = 3


def make_clips(root: Path) -> ClipList:
    """Ten short videos in three splits, and one in their midst that breaks off."""
    rng = np.random.default_rng(0)
    clips = []
    for split, numbers in FRAMES_OF_CLIPS.items():
        for clip, num_frames in enumerate(numbers):
            label = ("hop", "run")[clip % 2]
            path = f"{label}/{split}-{clip}.mp4"
            picture = np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype("uint8")
            frames = [np.roll(picture, 5 * frame, axis=1) for frame in range(num_frames)]
            write_video(root / path, frames, frame_rate_hz=20)
            clips.append(Clip(path, label, split, group=path))
    number = 0
    while True:  # until the checksum of its name gives it the place
        damaged = Clip(f"run/damaged-{number}.avi", "run", "train", "damaged")
        listed = ClipList(root, ("hop", "run"), (*clips, damaged))
        if extraction_order(listed)[PLACE_OF_DAMAGED_CLIP] == damaged:
            break
        number += 1
    # Noise, so that the frames are most of the file and its header is left whole.
    frames = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3)).astype("uint8")
    path = root / damaged.path
    write_video(path, frames, frame_rate_hz=20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return listed


class RowBackbone(Backbone):
    """A backbone whose features tell the row of the batch in which a frame was."""

    def features_of_resized(self, frames: np.ndarray) -> np.ndarray:
        """Features and a quarter for each row above."""
        rows = np.arange(len(frames), dtype=np.float32)[:, None, None, None]
        return super().features_of_resized(frames) + rows / 4


def small_backbone() -> Backbone:
    """A backbone whose batches hold frames of several clips."""
    loaded = load_backbone("filter_bank", image_size=32)
    return RowBackbone(loaded.model, lambda frames: frames, loaded.spec, batch_size=4)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """All files below a folder and what is in them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def call_at_each_change(monkeypatch, act: Callable[[], None]) -> None:
    """Has `act` called after each change to files, and amid each write.

    A kill leaves on the disk what the operating system had been given by then, so a copy
    that `act` takes is what a kill at that moment would leave.
    """
    lock = threading.Lock()

    def changed() -> None:
        # What `act` itself changes does not count, nor what decoders open.
        if threading.current_thread().name != "decoder" and lock.acquire(blocking=False):
            try:
                act()
            finally:
                lock.release()

    def then_told(function: Callable) -> Callable:
        def call(*arguments, **keywords):
            result = function(*arguments, **keywords)
            changed()
            return result

        return call

    for name in ("fsync", "mkdir", "rename", "replace", "rmdir", "unlink"):
        monkeypatch.setattr(os, name, then_told(getattr(os, name)))
    monkeypatch.setattr(Path, "open", then_told(Path.open))
    # The next process has another number, and so other temporary names.
    monkeypatch.setattr(os, "getpid", lambda: 2**30)

    def write_all(file, data: bytes) -> None:
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            file.write(part)
            changed()

    def write_text(path: Path, text: str) -> None:
        with path.open("wb", buffering=0) as file:
            write_all(file, text.encode())

    for module in ("journal", "tfrecord_file"):
        monkeypatch.setattr(f"cham_keras.data.shards.{module}.write_all", write_all)
    monkeypatch.setattr(Path, "write_text", write_text)
