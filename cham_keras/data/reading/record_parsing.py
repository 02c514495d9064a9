"""Parsing records inside TensorFlow's graph, with checks that name what is wrong.

Comes in: records as `shard_reader.serialized_records` gives them. Goes out: what they
hold, as tensors. `shard_reader` and `sequential_clips` call it.
"""

import tensorflow as tf

from cham_keras.data.shards import shard_schema as schema
from cham_keras.data.shards.manifest import Manifest

Record = dict[str, tf.Tensor]

_FACTS = {
    schema.CLIP_ID: tf.io.FixedLenFeature((), tf.string, default_value=""),
    schema.CLIP_LABEL: tf.io.FixedLenFeature((), tf.int64, default_value=-1),
    schema.CLIP_GROUP: tf.io.FixedLenFeature((), tf.string, default_value=""),
    schema.CLIP_NUM_FRAMES: tf.io.FixedLenFeature((), tf.int64, default_value=-1),
    schema.CLIP_FRAME_RATE_HZ: tf.io.FixedLenFeature((), tf.float32, default_value=0.0),
}
_FRAMES = {schema.FRAMES_FEATURES: tf.io.RaggedFeature(tf.string)}
_SCALES = {schema.FRAMES_SCALES: tf.io.RaggedFeature(tf.string)}


def parse_facts(record: Record) -> Record:
    """Parses a record without its features.

    Args:
        record: an element of `serialized_records`.

    Returns:
        scalars `clip_index`, `id`, `label`, `group`, `num_frames`, `frame_rate_hz`.

    Raises:
        tf.errors.InvalidArgumentError: the record is damaged; `shard_errors_named` makes
            one sentence of it.
    """
    with tf.control_dependencies([_check_readable(record)]):
        return _named(record, tf.io.parse_single_example(record["serialized"], _FACTS))


def parse_clip(record: Record, manifest: Manifest) -> Record:
    """Parses a record; its frames stay bytes.

    Args:
        record: an element of `serialized_records`.
        manifest: what the record must agree with.

    Returns:
        what `parse_facts` returns, `frames`: (num_frames,) strings, and with int8
        `scales`: (num_frames,) strings.

    Raises:
        tf.errors.InvalidArgumentError: the record is damaged or does not agree with the
            manifest; `shard_errors_named` makes one sentence of it.
    """
    features = _FACTS | _FRAMES
    if manifest.feature_dtype == "int8":
        features = features | _SCALES
    with tf.control_dependencies([_check_readable(record)]):
        example = tf.io.parse_single_example(record["serialized"], features)
    clip = _named(record, example) | {"frames": example[schema.FRAMES_FEATURES]}
    num_classes = len(manifest.classes)
    checks = [
        _check(
            (clip["label"] >= 0) & (clip["label"] < num_classes),
            record,
            ["holds label ", tf.strings.as_string(clip["label"])],
            f"labels must be from 0 to {num_classes - 1}",
        ),
        _check(
            (clip["num_frames"] >= 1) & (clip["num_frames"] == tf.size(clip["frames"])),
            record,
            ["holds ", tf.strings.as_string(tf.size(clip["frames"])), " frames"],
            "the number must be what the record itself states, and at least 1",
        ),
        _check_size(
            clip["frames"],
            manifest.bytes_per_frame,
            record,
            "frames",
            f"features of shape {manifest.feature_shape} and dtype {manifest.feature_dtype}, "
            "which the manifest states,",
        ),
    ]
    if manifest.feature_dtype == "int8":
        clip["scales"] = example[schema.FRAMES_SCALES]
        num_bytes = manifest.feature_shape[-1] * schema.BYTES_OF_SCALE
        # A clip of n frames without its n scales would fail without a name when gathered.
        whole = tf.size(clip["scales"]) == tf.size(clip["frames"])
        found = ["holds ", tf.strings.as_string(tf.size(clip["scales"])), " scales"]
        checks.append(_check(whole, record, found, "each frame must have its own"))
        checks.append(_check_size(clip["scales"], num_bytes, record, "scales", "each"))
    with tf.control_dependencies(checks):
        return {name: tf.identity(value) for name, value in clip.items()}


def _named(record: Record, example: Record) -> Record:
    return {
        "clip_index": record["clip_index"],
        "id": example[schema.CLIP_ID],
        "label": tf.cast(example[schema.CLIP_LABEL], tf.int32),
        "group": example[schema.CLIP_GROUP],
        "num_frames": tf.cast(example[schema.CLIP_NUM_FRAMES], tf.int32),
        "frame_rate_hz": example[schema.CLIP_FRAME_RATE_HZ],
    }


def _check_readable(record: Record) -> tf.Operation:
    readable = tf.strings.length(record["serialized"]) > 0
    return _check(readable, record, ["cannot be read"], "the file is damaged there")


def _check_size(values, num_bytes: int, record, name: str, rule: str) -> tf.Operation:
    sizes = tf.strings.length(values)
    found = [f"holds {name} of ", tf.strings.as_string(tf.reduce_max(sizes)), " bytes"]
    return _check(tf.reduce_all(sizes == num_bytes), record, found, f"{rule} must have {num_bytes}")


def _check(condition, record: Record, found: list, rule: str) -> tf.Operation:
    # The words of `shard_file.record_error`.
    words = ["Shard ", record["shard"], ", record ", tf.strings.as_string(record["number"])]
    sentence = tf.strings.join(
        [*words, ", ", *found, f": {rule}. Run `cham verify` on its folder."]
    )
    return tf.debugging.Assert(condition, [sentence])
