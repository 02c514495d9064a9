"""Short videos whose frames can be told apart, and small networks on frames, for tests."""

from pathlib import Path

import keras
import numpy as np
from keras import layers

from cham_keras.data.clip_list import Clip, ClipList, write_clip_list
from cham_keras.data.frames.video import write_video

CLASSES = ("left", "right")
IMAGE_SIZE = 32


def drawn_frames(label: str, clip: int, num_frames: int) -> list[np.ndarray]:
    """A light square that goes to the right or to the left over a ground of its own."""
    frames = []
    for number in range(num_frames):
        frame = np.full((48, 64, 3), 20 + 10 * clip, np.uint8)
        frame[:, :, 1] += np.arange(64, dtype=np.uint8)
        step = 44 * number // max(1, num_frames - 1)
        start = 4 + step if label == "right" else 48 - step
        frame[16:32, start : start + 12] = 230
        frames.append(frame)
    return frames


def make_clips(folder: Path, clips_of_split=None) -> ClipList:
    """Writes clips of 6 to 9 frames in two classes, and their list."""
    listed = []
    for split, number in (clips_of_split or {"train": 3, "validation": 1, "test": 2}).items():
        for label in CLASSES:
            for clip in range(number):
                path = f"{label}/{split}{clip}.mp4"
                frames = drawn_frames(label, clip, 6 + clip % 4)
                write_video(folder / path, frames, frame_rate_hz=10)
                listed.append(Clip(path, label, split, path))
    clip_list = ClipList(folder, CLASSES, tuple(listed))
    write_clip_list(clip_list, folder / "clips.json")
    return clip_list


def small_network(path: Path | None = None) -> keras.Model:
    """A small network with batch normalisation and dropout, saved where a path is given."""
    keras.utils.set_random_seed(0)
    frames = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3))
    maps = layers.Rescaling(1 / 127.5, -1)(frames)
    maps = layers.Conv2D(4, 3, strides=4, padding="same", name="first")(maps)
    maps = layers.ReLU()(layers.BatchNormalization(name="normalise")(maps))
    maps = layers.Conv2D(6, 3, strides=2, padding="same", name="second")(maps)
    maps = layers.Dropout(0.5)(layers.ReLU()(maps))
    model = keras.Model(frames, maps)
    if path is not None:
        model.save(path)
    return model
