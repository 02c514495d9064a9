"""Features as bytes: float32, float16, or int8 with a scale for each channel.

Comes in: float features of a clip. Goes out: the bytes of each frame, and how far they
are from what came in. `shards.record_of_clip` calls it; `clip_dataset.decode_frames`
is the way back.
"""

import math
from dataclasses import dataclass

import numpy as np

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
    features = np.asarray(features, np.float32)
    numbers, scales = _stored(features, dtype)
    error = _numbers((numbers, scales)) - features
    return StoredFeatures(
        frames=[frame.tobytes() for frame in numbers],
        scales=None if scales is None else [s.astype("<f4").tobytes() for s in scales],
        largest_error=float(np.abs(error).max(initial=0.0)),
        squared_error=_sum_of_squares(error),
        squared_norm=_sum_of_squares(features),
    )


def _stored(features: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Numbers of the dtype, and for int8 the scales, (frames, 1, 1, channels)."""
    scales = None
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype == "int8":
            scales = np.abs(features).max(axis=(1, 2), keepdims=True) / np.float32(_LARGEST_INT8)
            divisors = np.where(scales > 0, scales, np.float32(1))
            numbers = np.rint(features / divisors).astype(np.int8)
        else:
            numbers = features.astype(np.dtype(dtype).newbyteorder("<"))
    if not np.isfinite(numbers if scales is None else scales).all():
        raise ValueError(
            f"Features must be finite as {dtype}. Received: {np.abs(features).max():g}."
        )
    return numbers, scales


def _numbers(stored: tuple[np.ndarray, np.ndarray | None]) -> np.ndarray:
    numbers, scales = stored
    return numbers.astype(np.float32) if scales is None else numbers * scales


def as_stored(features: np.ndarray, dtype: str) -> np.ndarray:
    """Features as a reader of shards gets them, float32: `store` and back.

    Raises:
        ValueError: a number is not finite, or not as `dtype`.
    """
    return _numbers(_stored(np.asarray(features, np.float32), dtype))


def _sum_of_squares(numbers: np.ndarray) -> float:
    # Frame by frame in float32, then exactly: the same on every way of cutting clips.
    return math.fsum(float(np.vdot(frame, frame)) for frame in numbers)
