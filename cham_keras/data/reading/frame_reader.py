"""Frames of clips, read from their places in the shards, and nothing else.

Comes in: which frames of which clips. Goes out: one array for a whole batch, filled
by several threads. `random_access_clips` calls it from within tf.data.
"""

import functools
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import numpy as np

from cham_keras.data.reading.batch_memory import batch_array
from cham_keras.data.reading.example_layout import header_of_value
from cham_keras.data.reading.frame_choice import NO_FRAME
from cham_keras.data.reading.half_floats import convert_half_floats
from cham_keras.data.reading.shard_file import ShardFile, record_error
from cham_keras.data.reading.shard_index import ClipPlace
from cham_keras.data.shards.manifest import Manifest
from cham_keras.data.shards.shard_schema import BYTES_OF_SCALE

# More threads than these wait for the memory, not for the disk.
_MOST_THREADS = 8


class FrameReader:
    """Reads frames of one split.

    Args:
        shards: the shards, with random access.
        places: where the clips lie in them.
        manifest: how the frames are stored.
    """

    def __init__(
        self, shards: Sequence[ShardFile], places: Sequence[ClipPlace], manifest: Manifest
    ) -> None:
        self.feature_shape = manifest.feature_shape
        self._shards = shards
        self._places = places
        self._dtype = np.dtype(manifest.feature_dtype).newbyteorder("<")
        self._header = header_of_value(manifest.bytes_per_frame)
        self._distance = len(self._header) + manifest.bytes_per_frame
        self._scales_header = header_of_value(self.feature_shape[-1] * BYTES_OF_SCALE)
        self._threads = _threads()

    def read(
        self, clips: np.ndarray, frames: np.ndarray, mirrored: np.ndarray | None = None
    ) -> np.ndarray:
        """Reads the frames of a batch.

        Args:
            clips: (batch,) integers, positions in `places`.
            frames: (batch, time) integers, -1 for a frame of zeros.
            mirrored: (batch,) bool, whether a clip's maps are flipped left to right; None
                for none.

        Returns:
            (batch, time, height, width, channels) float32, a `batch_array`.

        Raises:
            ValueError: a frame cannot be read; names the shard and the record.
        """
        features = batch_array((*frames.shape, *self.feature_shape))
        flips = np.zeros(len(clips), bool) if mirrored is None else mirrored
        reading = self._threads.map(
            self._read_clip, clips.tolist(), frames.tolist(), features, flips.tolist()
        )
        for _ in reading:  # waits, and raises what a thread raised
            pass
        return features

    def _read_clip(
        self, clip: int, frames: list[int], features: np.ndarray, is_mirrored: bool
    ) -> None:
        """Fills the features (time, height, width, channels) of one clip."""
        place = self._places[clip]
        shard = self._shards[place.shard]
        stored = np.empty(self.feature_shape, self._dtype)  # small: stays in the cache
        try:
            with shard.opened() as file:
                for position, frame in enumerate(frames):
                    if frame == NO_FRAME:
                        features[position] = 0
                    elif position and frame == frames[position - 1]:
                        features[position] = features[position - 1]
                    else:
                        self._read_frame(file, place, frame, stored, features[position])
                        if is_mirrored:
                            # (height, width, channels); NumPy copies what overlaps
                            features[position] = features[position, :, ::-1]
        except (OSError, _DamageError) as error:
            raise record_error(shard.path, place.number, "cannot be read", str(error)) from error

    def _read_frame(
        self,
        file: BinaryIO,
        place: ClipPlace,
        frame: int,
        stored: np.ndarray,
        features: np.ndarray,
    ) -> None:
        """Fills the features (height, width, channels) of one frame."""
        direct = self._dtype == features.dtype
        offset = place.frames_offset + frame * self._distance
        _read_value(file, offset, self._header, features if direct else stored)
        if place.scales_offset is not None:
            scales = np.empty(self.feature_shape[-1], "<f4")
            offset = place.scales_offset + frame * (len(self._scales_header) + scales.nbytes)
            _read_value(file, offset, self._scales_header, scales)
            np.multiply(stored, scales, out=features)
        elif self._dtype == np.float16:
            convert_half_floats(stored, features)
        elif not direct:  # float32 on a machine whose numbers begin with the high byte
            np.copyto(features, stored)


class _DamageError(Exception):
    """The bytes at a place are not those that the index expects there."""


def _read_value(file: BinaryIO, offset: int, header: bytes, value: np.ndarray) -> None:
    """Fills an array with one value of a list of byte strings; its header must stand there."""
    file.seek(offset)
    as_expected = file.read(len(header)) == header
    content = value.reshape(-1).view(np.uint8)
    if not as_expected or file.readinto(content) != value.nbytes:  # type: ignore[attr-defined]
        raise _DamageError("the file is damaged there")


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """The threads that read, the same ones for all data sets."""
    number = min(_MOST_THREADS, os.cpu_count() or 1)
    threads = ThreadPoolExecutor(number, thread_name_prefix="frame_reader")
    # They begin now, in the caller's thread: begun by one of TensorFlow's, they would take
    # subnormal numbers for zero, as those do, and `convert_half_floats` would be slow.
    everyone = threading.Barrier(number)
    list(threads.map(lambda _: everyone.wait(), range(number)))
    return threads
