"""Where the frames lie in shards, found without reading them.

Comes in: shards. Goes out: for each clip what its record says of it, and the place of
its first frame. A record is an uncompressed TFRecord with a `tf.train.Example` whose
frames all have the same size, so frame k lies k distances behind frame 0.
`clip_dataset` and `shard_reader.clips_in_split` ask for it; `frame_reader` reads there.

What is read of a record is some hundred bytes before its frames and behind them. Its
checksum covers the frames, so it is passed over: `cham verify` checks that one.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from cham_keras.data.reading.example_layout import ExampleLayout, UnusualRecordError
from cham_keras.data.reading.shard_file import ShardFile, record_error
from cham_keras.data.shards import shard_schema as schema
from cham_keras.data.shards.manifest import Manifest

# A TFRecord: uint64 length, uint32 checksum of it, the record, uint32 checksum of that.
_BEFORE_RECORD = 12
_AFTER_RECORD = 4

# As much is read at a time; the facts of a clip and the first frame's header fit in.
_BUFFER_SIZE = 512


@dataclass(frozen=True)
class ClipRecord:
    """What a record says of its clip, without the features.

    Attributes:
        id: the clip's path, as in the clip list.
        label: index of its class.
        group: what must not stand on both sides of a split.
        num_frames: number of frames in the shard.
        frame_rate_hz: frames per second.
    """

    id: str
    label: int
    group: str
    num_frames: int
    frame_rate_hz: float


@dataclass(frozen=True)
class ClipPlace:
    """Where a clip's frames lie.

    Attributes:
        clip: what the record says of the clip.
        shard: position of the shard in the list of shards.
        number: number of the record in the shard, from 0.
        frames_offset: byte of the file at which the header of frame 0 begins; after
            it come the frame's numbers, then the header of frame 1, ...
        scales_offset: the same for the scales of an int8 clip, else None.
    """

    clip: ClipRecord
    shard: int
    number: int
    frames_offset: int
    scales_offset: int | None = None


def index_shards(shards: Sequence[ShardFile], manifest: Manifest) -> list[ClipPlace]:
    """Finds the clips of shards, in their order; those that belong to the split only.

    Args:
        shards: the shards, with random access.
        manifest: what the records must agree with.

    Raises:
        ValueError: a record ends behind its file, or does not agree with the manifest.
        UnusualRecordError: a record's frames cannot be found in this way; the record may
            be damaged, or well but of another form than `cham extract` writes.
    """
    places = []
    for position, shard in enumerate(shards):
        chosen = frozenset(shard.record_numbers)
        with shard.opened(_BUFFER_SIZE) as file:
            begin = 0
            for number in range(shard.num_records):
                end = _end_of_record(file, begin, shard, number)
                try:
                    if number in chosen:
                        example = ExampleLayout(file, begin + _BEFORE_RECORD, end)
                        places.append(_place(example, shard, position, number, manifest))
                except UnusualRecordError as error:
                    raise UnusualRecordError(
                        f"Shard {shard.path}, record {number}, must have the form that "
                        f"`cham extract` writes, but {error}."
                    ) from error
                begin = end + _AFTER_RECORD
        if begin != shard.num_bytes:
            raise UnusualRecordError(
                f"Shard {shard.path} must end behind its record {shard.num_records - 1}. "
                f"Received: {shard.num_bytes - begin} more bytes."
            )
    return places


def _end_of_record(file: BinaryIO, begin: int, shard: ShardFile, number: int) -> int:
    file.seek(begin)
    header = file.read(_BEFORE_RECORD)
    if len(header) == _BEFORE_RECORD:
        end = begin + _BEFORE_RECORD + struct.unpack("<Q", header[:8])[0]
        if end + _AFTER_RECORD <= shard.num_bytes:
            return end
    raise record_error(shard.path, number, "cannot be read", "the file is damaged there")


def _place(
    example: ExampleLayout, shard: ShardFile, position: int, number: int, manifest: Manifest
) -> ClipPlace:
    clip = ClipRecord(
        id=example.string(schema.CLIP_ID),
        label=example.whole_number(schema.CLIP_LABEL),
        group=example.string(schema.CLIP_GROUP),
        num_frames=example.whole_number(schema.CLIP_NUM_FRAMES),
        frame_rate_hz=example.real_number(schema.CLIP_FRAME_RATE_HZ),
    )
    offset, num_frames, frame_bytes = example.values_of_one_size(schema.FRAMES_FEATURES)
    if problem := _disagreement(clip, num_frames, frame_bytes, manifest):
        raise record_error(shard.path, number, *problem)
    scales_offset = None
    if manifest.feature_dtype == "int8":
        scales_offset, *scales = example.values_of_one_size(schema.FRAMES_SCALES)
        expected = [num_frames, manifest.feature_shape[-1] * schema.BYTES_OF_SCALE]
        if scales != expected:
            found = f"holds {scales[0]} times {scales[1]} bytes of scales"
            rule = f"each of its {expected[0]} frames must have {expected[1]}"
            raise record_error(shard.path, number, found, rule)
    return ClipPlace(clip, position, number, offset, scales_offset)


def _disagreement(
    clip: ClipRecord, num_frames: int, frame_bytes: int, manifest: Manifest
) -> tuple[str, str] | None:
    """What a record holds that it must not, and the rule, as `parse_clip` says them."""
    last_label = len(manifest.classes) - 1
    if not 0 <= clip.label <= last_label:
        return f"holds label {clip.label}", f"labels must be from 0 to {last_label}"
    if clip.num_frames < 1 or clip.num_frames != num_frames:
        return (
            f"holds {num_frames} frames",
            "the number must be what the record itself states, and at least 1",
        )
    if frame_bytes != manifest.bytes_per_frame:
        return (
            f"holds frames of {frame_bytes} bytes",
            f"features of shape {manifest.feature_shape} and dtype {manifest.feature_dtype}, "
            f"which the manifest states, must have {manifest.bytes_per_frame}",
        )
    return None
