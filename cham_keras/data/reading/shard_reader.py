"""Reading shards: what is in them, and their records from beginning to end.

Comes in: a folder of shards, or its files. Goes out: the clips of a split, or its
records, each with the shard and the number it was read from, so that whatever is wrong
with one can be named. `clip_dataset` and `sequential_clips` build on this; `verify` has
its own reader.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from cham_keras.data.reading.example_layout import UnusualRecordError
from cham_keras.data.reading.record_parsing import parse_facts
from cham_keras.data.reading.shard_file import ShardFile, shard_files
from cham_keras.data.reading.shard_index import ClipPlace, ClipRecord, index_shards
from cham_keras.data.shards.manifest import Manifest, read_manifest
from cham_keras.paths import AnyPath

_log = logging.getLogger(__name__)

# Everything that is found wrong with a record begins and ends like this, so that
# `shard_errors_named` can find the sentence in TensorFlow's text.
_SENTENCE = re.compile(r"Shard \S.*?Run `cham verify` on its folder\.", re.DOTALL)

# Stands in the place of a clip where a record belongs to another split.
_NO_CLIP = -1

# Shards that are read at the same time where their order is random.
_SHARDS_AT_A_TIME = 4


def clips_in_split(shards: AnyPath | str, split: str) -> list[ClipRecord]:
    """The clips of a split, in the order in which an unshuffled data set gives them.

    Reads what the records say of their clips and passes over the features; on a store
    without random access it reads the files once from beginning to end.

    Args:
        shards: the folder of shards.
        split: name of the split.

    Raises:
        FileNotFoundError: the folder, its manifest or a shard is missing.
        ValueError: there is no such split, or a record cannot be read or does not agree
            with the manifest.
    """
    manifest = read_manifest(shards)
    return clips_in_shards(shard_files(shards, manifest, split), manifest)


def clips_in_shards(files: Sequence[ShardFile], manifest: Manifest) -> list[ClipRecord]:
    """As `clips_in_split`, for the shards of a split that `shard_files` gave.

    Args:
        files: the shards.
        manifest: what the records must agree with.

    Raises:
        ValueError: a record cannot be read or does not agree with the manifest.
    """
    places = places_of_clips(files, manifest)
    if places is not None:
        return [place.clip for place in places]
    with shard_errors_named():
        return [
            ClipRecord(
                id=clip["id"].decode(),
                label=int(clip["label"]),
                group=clip["group"].decode(),
                num_frames=int(clip["num_frames"]),
                frame_rate_hz=float(clip["frame_rate_hz"]),
            )
            for clip in serialized_records(files).map(parse_facts).as_numpy_iterator()
        ]


def places_of_clips(shards: Sequence[ShardFile], manifest: Manifest) -> list[ClipPlace] | None:
    """Where the clips of shards lie, or None where the shards must be read in order.

    Args:
        shards: the shards of a split.
        manifest: what the records must agree with.

    Raises:
        ValueError: a record ends behind its file, or does not agree with the manifest.
    """
    if not all(shard.has_random_access for shard in shards):
        return None
    try:
        return index_shards(shards, manifest)
    except UnusualRecordError as error:
        # Damage, too, looks like this; who reads in order checks each record, and names it.
        _log.warning("%s The shards are read from beginning to end.", error)
        return None


def serialized_records(
    shards: Sequence[ShardFile], order: tf.Tensor | None = None
) -> tf.data.Dataset:
    """Records as they lie in the shards, those that belong to the split.

    Args:
        shards: the shards of a split.
        order: left out, records come in the order in which they were written. Else
            (number of shards,) integers, the order of the shards, of which several
            are then read at the same time.

    Returns:
        a data set of `shard`, its path, `number` of the record in it, `clip_index` in
        the split, and `serialized`. Where a record is damaged, it and the rest of its
        shard are empty strings.
    """
    # Behind the last record that belongs to the split, a shard need not be read.
    counts = np.array([shard.record_numbers[-1] + 1 for shard in shards], np.int64)
    first = np.cumsum(counts) - counts
    parts = {
        "shard": tf.constant([shard.path for shard in shards]),
        "num_records": tf.constant(counts),
        "first_record": tf.constant(first),
    }
    clip_of_record = None
    if any(shard.records is not None for shard in shards):
        # (records of all shards,) position of each record's clip in the split, -1 for none
        table = np.full(counts.sum(), _NO_CLIP, np.int64)
        chosen = [
            number + start
            for shard, start in zip(shards, first, strict=True)
            for number in shard.record_numbers
        ]
        table[chosen] = np.arange(len(chosen))
        clip_of_record = tf.constant(table)

    def records_of_shard(part: dict[str, tf.Tensor]) -> tf.data.Dataset:
        return _records_of_shard(part, clip_of_record)

    if order is None:
        return tf.data.Dataset.from_tensor_slices(parts).flat_map(records_of_shard)
    parts = {name: tf.gather(part, order) for name, part in parts.items()}
    return tf.data.Dataset.from_tensor_slices(parts).interleave(
        records_of_shard,
        cycle_length=_SHARDS_AT_A_TIME,
        num_parallel_calls=_SHARDS_AT_A_TIME,
        deterministic=True,
    )


@contextmanager
def shard_errors_named() -> Iterator[None]:
    """Turns what TensorFlow raises while shards are read into one sentence.

    Put it around `model.fit` and every other loop over a data set of shards.

    Raises:
        ValueError: a record could not be read; names the shard and the record.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError) as error:
        sentence = _SENTENCE.search(str(error))
        if sentence is None:
            raise
        raise ValueError(sentence.group()) from error


def _records_of_shard(
    part: dict[str, tf.Tensor], clip_of_record: tf.Tensor | None
) -> tf.data.Dataset:
    # TensorFlow's own error for a damaged record tells neither file nor number. So the
    # reading of the shard just ends there, and what is missing at its end is made up
    # by empty strings, which `record_parsing` refuses by name.
    records = tf.data.TFRecordDataset(part["shard"], buffer_size=1 << 20).ignore_errors()
    filled = records.concatenate(tf.data.Dataset.from_tensors(b"").repeat())
    numbers = tf.data.Dataset.range(part["num_records"])

    def with_place(number: tf.Tensor, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        clip_index = part["first_record"] + number
        if clip_of_record is not None:
            clip_index = clip_of_record[clip_index]
        place = {"shard": part["shard"], "number": number, "clip_index": clip_index}
        return place | {"serialized": serialized}

    records = tf.data.Dataset.zip(numbers, filled).map(with_place)
    if clip_of_record is None:
        return records
    return records.filter(lambda record: record["clip_index"] != _NO_CLIP)
