"""What is wrong with one record of a shard, by itself.

Comes in: the bytes of a record, and the manifest. Goes out: what the record says of its clip,
and sentences on what is wrong. `verify` calls it, and compares records with one another.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from cham_keras.data.shards import shard_schema as schema
from cham_keras.data.shards.manifest import Manifest

# Key: (field of a tf.train.Feature, number of values or None for any).
_FORM = {
    schema.CLIP_ID: ("bytes_list", 1),
    schema.CLIP_LABEL: ("int64_list", 1),
    schema.CLIP_GROUP: ("bytes_list", 1),
    schema.CLIP_NUM_FRAMES: ("int64_list", 1),
    schema.CLIP_FRAME_RATE_HZ: ("float_list", 1),
    schema.FRAMES_FEATURES: ("bytes_list", None),
}
_FORM_OF_SCALES = {schema.FRAMES_SCALES: ("bytes_list", None)}


@dataclass(frozen=True)
class CheckedRecord:
    """What was found in a record.

    Attributes:
        problems: sentences on what is wrong.
        clip: the clip's id; None, as all that follows, where the record cannot be taken apart.
        group: what must not stand on both sides of a split.
        label: index of the class; it may be out of range.
        num_frames: number of frames that it holds.
    """

    problems: tuple[str, ...]
    clip: str | None = None
    group: str | None = None
    label: int | None = None
    num_frames: int = 0


def check_record(record: bytes, manifest: Manifest) -> CheckedRecord:
    """Checks one record.

    Args:
        record: a serialised `tf.train.Example`.
        manifest: what it must agree with.
    """
    try:
        feature = tf.train.Example.FromString(record).features.feature
    except Exception:  # protobuf's own error; its class differs between implementations
        return CheckedRecord(("is no tf.train.Example.",))
    form = _FORM | _FORM_OF_SCALES if manifest.feature_dtype == "int8" else _FORM
    surplus = sorted(set(feature) - set(form))
    if surplus:
        what = f"holds `{surplus[0]}`, which {manifest.feature_dtype} features do not have."
        return CheckedRecord((what,))
    values: dict[str, Any] = {}
    for key, (kind, num_values) in form.items():
        held = list(getattr(feature[key], kind).value) if key in feature else None
        if held is None or (num_values is not None and len(held) != num_values):
            return CheckedRecord((f"has no proper `{key}`.",))
        values[key] = held[0] if num_values == 1 else held
    return CheckedRecord(
        problems=tuple(_problems(values, manifest)),
        clip=values[schema.CLIP_ID].decode(errors="replace"),
        group=values[schema.CLIP_GROUP].decode(errors="replace"),
        label=values[schema.CLIP_LABEL],
        num_frames=len(values[schema.FRAMES_FEATURES]),
    )


def _problems(values: dict[str, Any], manifest: Manifest) -> Iterator[str]:
    for key in (schema.CLIP_ID, schema.CLIP_GROUP):
        if not _is_text(values[key]):
            yield f"`{key}` must be a text in UTF-8. Received: {values[key]!r}."
    label = values[schema.CLIP_LABEL]
    if not 0 <= label < len(manifest.classes):
        yield f"label {label} must be from 0 to {len(manifest.classes) - 1}."
    rate = values[schema.CLIP_FRAME_RATE_HZ]
    if not (math.isfinite(rate) and rate >= 0):
        yield f"states {rate:g} frames per second, which must be a number of at least 0."
    frames = values[schema.FRAMES_FEATURES]
    if values[schema.CLIP_NUM_FRAMES] != len(frames) or not frames:
        yield f"states {values[schema.CLIP_NUM_FRAMES]} frames and holds {len(frames)}."
    if manifest.max_frames is not None and len(frames) > manifest.max_frames:
        yield f"holds {len(frames)} frames, and {manifest.max_frames} are the most in the manifest."
    yield from _problems_of_frames(frames, manifest)
    if manifest.feature_dtype == "int8":
        yield from _problems_of_scales(values[schema.FRAMES_SCALES], len(frames), manifest)


def _is_text(value: bytes) -> bool:
    try:
        return value.decode() != ""
    except UnicodeDecodeError:
        return False


def _problems_of_frames(frames: list[bytes], manifest: Manifest) -> Iterator[str]:
    dtype = np.dtype(manifest.feature_dtype).newbyteorder("<")
    not_finite = []
    for number, frame in enumerate(frames):
        if len(frame) != manifest.bytes_per_frame:
            yield (
                f"frame {number} has {len(frame)} bytes; {manifest.feature_dtype} of shape "
                f"{manifest.feature_shape} must have {manifest.bytes_per_frame}."
            )
            break  # the others are not right then either
        if dtype.kind == "f" and not _is_finite(frame, dtype):
            not_finite.append(number)
    if not_finite:
        others = f" (and {len(not_finite) - 1} more)" if len(not_finite) > 1 else ""
        yield f"frame {not_finite[0]}{others} holds numbers that are not finite."


def _is_finite(frame: bytes, dtype: np.dtype) -> bool:
    if dtype.itemsize == 2:
        # Ten times as fast as `isfinite` on float16: no finite number has all bits of the exponent.
        return bool((np.frombuffer(frame, "<u2") & 0x7FFF).max(initial=0) < 0x7C00)
    return bool(np.isfinite(np.frombuffer(frame, dtype)).all())


def _problems_of_scales(scales: list[bytes], num_frames: int, manifest: Manifest) -> Iterator[str]:
    if len(scales) != num_frames:
        yield f"holds scales of {len(scales)} frames and features of {num_frames}."
    num_bytes = manifest.feature_shape[-1] * schema.BYTES_OF_SCALE
    for number, of_frame in enumerate(scales):
        if len(of_frame) != num_bytes:
            yield (
                f"the scales of frame {number} have {len(of_frame)} bytes; "
                f"{manifest.feature_shape[-1]} channels must have {num_bytes}."
            )
            return
        numbers = np.frombuffer(of_frame, "<f4")
        # A number that is not finite fails the comparisons too.
        wrong = numbers[~((numbers >= 0) & (numbers < np.inf))]
        if wrong.size:
            yield (
                f"a scale of frame {number} is {wrong[0]:g}; "
                "scales must be finite and not negative."
            )
            return
