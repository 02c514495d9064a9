"""Features as bytes: float32, float16, or int8 with a scale for each channel.

Comes in: float features of a clip. Goes out: the bytes of each frame, and how far they
are from what came in. `shards.record_of_clip` calls it; `sequential_clips.decode_frames`
is the way back.
"""

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from cham_keras.settings import settings

#: Largest number of int8; -128 is not used, so that scales are the same on both sides.
_LARGEST_INT8 = 127


@settings
class StorageError:
    """How far the stored features are from those that were computed."""

    largest: float
    """Largest difference of one number."""
    relative_rms: float
    """Root of the mean squared difference, over that of the features themselves."""


@dataclass(frozen=True)
class StoredFeatures:
    """A clip's features as they lie in a record.

    Attributes:
        frames: bytes of each frame, height x width x channels numbers, C order, little-endian.
        scales: bytes of each frame's scales, `channels` float32; None unless int8.
        largest_error: largest difference of one number from the features.
        squared_error: sum of the squared differences.
        squared_norm: sum of the squared features.
    """

    frames: list[bytes]
    scales: list[bytes] | None
    largest_error: float
    squared_error: float
    squared_norm: float


def store(features: np.ndarray, dtype: str) -> StoredFeatures:
    """Brings features to the bytes of a dtype.

    Args:
        features: (frames, height, width, channels), a float dtype.
        dtype: "float32", "float16" or "int8"; with int8 a number is a whole number of
            -127 to 127 times the scale of its channel in its frame.

    Raises:
        ValueError: a number is not finite, or not as `dtype`.

    Example:
    >>> stored = store(np.array([[[[1.0, 254.0]], [[0.5, 127.0]]]]), "int8")
    >>> np.frombuffer(stored.frames[0], np.int8).tolist()
    [127, 127, 64, 64]
    >>> np.frombuffer(stored.scales[0], "<f4").tolist()[1]
    2.0
    """
    # Frame by frame: what is at work then stays in the processor's cache.
    frames, scales, errors, norms = [], [], [], []
    largest = 0.0
    for frame in features:
        frame = _single(frame)
        numbers, frame_scales, held = _stored(frame, dtype)
        error = held - frame
        frames.append(numbers.tobytes())
        if frame_scales is not None:
            scales.append(frame_scales.tobytes())
        largest = max(largest, float(np.abs(error).max()))
        errors.append(_sum_of_squares(error))
        norms.append(_sum_of_squares(frame))
    return StoredFeatures(frames, scales or None, largest, math.fsum(errors), math.fsum(norms))


def as_stored(features: np.ndarray, dtype: str) -> np.ndarray:
    """Features as a reader of shards gets them, float32: `store` and back.

    Raises:
        ValueError: a number is not finite, or not as `dtype`.
    """
    return np.stack([_stored(_single(frame), dtype)[2] for frame in features])


def _single(frame: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what became infinite is refused
        return np.asarray(frame, np.float32)


def _sum_of_squares(numbers: np.ndarray) -> float:
    total = float(np.vdot(numbers, numbers))
    # Squares of numbers above 1e19 are beyond what float32 holds.
    return total if math.isfinite(total) else float(np.square(numbers, dtype=np.float64).sum())


def _stored(frame: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """One frame's numbers in the dtype, for int8 its scales, and what a reader makes of them."""
    scales = None
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype == "int8":
            scales = (np.abs(frame).max(axis=(0, 1)) / np.float32(_LARGEST_INT8)).astype("<f4")
            # Scales below have few digits left: a number could be above 127 of them.
            scales[scales < np.finfo(np.float32).tiny] = 0
            divisors = np.where(scales > 0, scales, np.float32(1))
            numbers = np.rint(frame / divisors).astype(np.int8)
            held = numbers * scales
        else:
            # The same numbers as from NumPy's conversions, in a tenth of the time; but not by
            # way of a GPU, which the frame would go to and come back from.
            with tf.device("CPU"):
                numbers = tf.cast(frame, dtype).numpy()
                held = tf.cast(numbers, tf.float32).numpy()
    if not np.isfinite(held).all():
        raise ValueError(f"Features must be finite as {dtype}. Received: {np.abs(frame).max():g}.")
    return numbers.astype(numbers.dtype.newbyteorder("<"), copy=False), scales, held
