"""Reading shards: their records in order, checked and parsed.

Comes in: a folder that `cham extract` wrote. Goes out: records as tensors, each
with the shard and the number it was read from, so that whatever is wrong with one
can be named. `clip_dataset` builds batches on this, `verify` has its own reader.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from cham_keras.data import shard_schema as schema
from cham_keras.data.manifest import Manifest, read_manifest

# Everything that is found wrong with a record begins and ends like this, so that
# `shard_errors_named` can find the sentence in TensorFlow's text.
_SENTENCE = re.compile(r"Shard \S.*?Run `cham verify` on its folder\.", re.DOTALL)

# Shards that are read at the same time in training.
_SHARDS_AT_A_TIME = 4


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


def clips_in_split(shards: Path | str, split: str) -> list[ClipRecord]:
    """The clips of a split, in the order in which an unshuffled data set gives them.

    Reads the files once from beginning to end, but decodes no features.

    Args:
        shards: the folder of shards.
        split: name of the split.

    Raises:
        FileNotFoundError: the folder, its manifest or a shard is missing.
        ValueError: there is no such split, or a record cannot be read.
    """
    manifest = read_manifest(shards)
    records = serialized_records(Path(shards), manifest, split)
    with shard_errors_named():
        return [
            ClipRecord(
                id=clip["id"].decode(),
                label=int(clip["label"]),
                group=clip["group"].decode(),
                num_frames=int(clip["num_frames"]),
                frame_rate_hz=float(clip["frame_rate_hz"]),
            )
            for clip in records.map(parse_facts).as_numpy_iterator()
        ]


def serialized_records(
    folder: Path, manifest: Manifest, split: str, shuffle_seed: int | None = None
) -> tf.data.Dataset:
    """Records of a split as they lie in the shards.

    Args:
        folder: the folder of shards.
        manifest: its manifest.
        split: name of the split.
        shuffle_seed: left out, records come in the order in which they were written;
            else shards come in another random order in each pass, and several are
            read at the same time.

    Returns:
        a data set of (shard's path, number of the record in it, serialised example).
        Where a record is damaged, it and the rest of its shard are empty strings.

    Raises:
        FileNotFoundError: a shard is missing.
        ValueError: there is no such split, or a shard has another size than the
            manifest says.
    """
    info = manifest.split(split)
    for shard in info.shards:
        path = folder / shard.file
        if not path.is_file():
            raise FileNotFoundError(f"There is no shard {path}, which the manifest names.")
        if path.stat().st_size != shard.bytes:
            raise ValueError(
                f"Shard {path} must have the {shard.bytes} bytes that the manifest says. "
                f"Received: {path.stat().st_size} bytes. Run `cham extract` again."
            )
    paths = [str(folder / shard.file) for shard in info.shards]
    counts = tf.constant([shard.clips for shard in info.shards], tf.int64)
    shards = tf.data.Dataset.from_tensor_slices((paths, counts))
    if shuffle_seed is None:
        records = shards.flat_map(_records_of_shard)
    else:
        records = shards.shuffle(len(paths), shuffle_seed, reshuffle_each_iteration=True)
        records = records.interleave(
            _records_of_shard,
            cycle_length=_SHARDS_AT_A_TIME,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    return records.apply(tf.data.experimental.assert_cardinality(info.clips))


def parse_facts(shard: tf.Tensor, number: tf.Tensor, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses a record without its features.

    Returns:
        scalars `id`, `label`, `group`, `num_frames`, `frame_rate_hz`.

    Raises:
        tf.errors.InvalidArgumentError: the record is damaged; `shard_errors_named` makes
            one sentence of it.
    """
    with tf.control_dependencies([_check_readable(shard, number, serialized)]):
        return _named(tf.io.parse_single_example(serialized, _FACTS))


def parse_clip(
    shard: tf.Tensor, number: tf.Tensor, serialized: tf.Tensor, manifest: Manifest
) -> dict[str, tf.Tensor]:
    """Parses a record; its frames stay bytes.

    Args:
        shard: scalar string, the file that the record is from.
        number: scalar int64, the record's number in it.
        serialized: scalar string.
        manifest: what the record must agree with.

    Returns:
        what `parse_facts` returns, and `frames`: (num_frames,) strings.

    Raises:
        tf.errors.InvalidArgumentError: the record is damaged or does not agree with the
            manifest; `shard_errors_named` makes one sentence of it.
    """
    with tf.control_dependencies([_check_readable(shard, number, serialized)]):
        example = tf.io.parse_single_example(serialized, _FACTS | _FRAMES)
    clip = _named(example) | {"frames": example[schema.FRAMES_FEATURES]}
    num_classes = len(manifest.classes)
    frame_bytes = tf.strings.length(clip["frames"])
    checks = [
        _check(
            (clip["label"] >= 0) & (clip["label"] < num_classes),
            shard,
            number,
            ["holds label ", tf.strings.as_string(clip["label"])],
            f"labels must be from 0 to {num_classes - 1}",
        ),
        _check(
            (clip["num_frames"] >= 1) & (clip["num_frames"] == tf.size(clip["frames"])),
            shard,
            number,
            ["holds ", tf.strings.as_string(tf.size(clip["frames"])), " frames"],
            "the number must be what the record itself states, and at least 1",
        ),
        _check(
            tf.reduce_all(frame_bytes == manifest.bytes_per_frame),
            shard,
            number,
            ["holds frames of ", tf.strings.as_string(tf.reduce_max(frame_bytes)), " bytes"],
            f"features of shape {manifest.feature_shape} and dtype {manifest.feature_dtype}, "
            f"which the manifest states, must have {manifest.bytes_per_frame}",
        ),
    ]
    with tf.control_dependencies(checks):
        return {name: tf.identity(value) for name, value in clip.items()}


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


_FACTS = {
    schema.CLIP_ID: tf.io.FixedLenFeature((), tf.string, default_value=""),
    schema.CLIP_LABEL: tf.io.FixedLenFeature((), tf.int64, default_value=-1),
    schema.CLIP_GROUP: tf.io.FixedLenFeature((), tf.string, default_value=""),
    schema.CLIP_NUM_FRAMES: tf.io.FixedLenFeature((), tf.int64, default_value=-1),
    schema.CLIP_FRAME_RATE_HZ: tf.io.FixedLenFeature((), tf.float32, default_value=0.0),
}
_FRAMES = {schema.FRAMES_FEATURES: tf.io.RaggedFeature(tf.string)}


def _named(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {
        "id": example[schema.CLIP_ID],
        "label": tf.cast(example[schema.CLIP_LABEL], tf.int32),
        "group": example[schema.CLIP_GROUP],
        "num_frames": tf.cast(example[schema.CLIP_NUM_FRAMES], tf.int32),
        "frame_rate_hz": example[schema.CLIP_FRAME_RATE_HZ],
    }


def _records_of_shard(path: tf.Tensor, num_records: tf.Tensor) -> tf.data.Dataset:
    # TensorFlow's own error for a damaged record tells neither file nor number. So the
    # reading of the shard just ends there, and what is missing at its end is made up
    # by empty strings, which `_check_readable` refuses by name.
    records = tf.data.TFRecordDataset(path, buffer_size=1 << 20).ignore_errors()
    filled = records.concatenate(tf.data.Dataset.from_tensors(b"").repeat())
    numbers = tf.data.Dataset.range(num_records)
    return tf.data.Dataset.zip(numbers, filled).map(lambda number, record: (path, number, record))


def _check_readable(shard, number, serialized) -> tf.Operation:
    return _check(
        tf.strings.length(serialized) > 0,
        shard,
        number,
        ["cannot be read"],
        "the file is damaged there",
    )


def _check(condition, shard, number, found: list, rule: str) -> tf.Operation:
    words = ["Shard ", shard, ", record ", tf.strings.as_string(number), ", ", *found, ": "]
    sentence = tf.strings.join([*words, f"{rule}. Run `cham verify` on its folder."])
    return tf.debugging.Assert(condition, [sentence])
