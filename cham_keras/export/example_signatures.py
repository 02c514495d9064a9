"""The signatures of examples: records as they lie in shards in, scores out.

Comes in: the function of clips, and what a run's records look like. Goes out: the functions
of `predict_examples` and `classify`. Of each clip the frames are taken that `cham evaluate`
takes. `signatures` adds them to an export.
"""

from collections.abc import Callable

import tensorflow as tf

from cham_keras.data import Manifest
from cham_keras.data.reading.sequential_clips import decode_frames
from cham_keras.data.shards.shard_schema import (
    BYTES_OF_SCALE,
    FRAMES_FEATURES,
    FRAMES_SCALES,
)
from cham_keras.export.clip_signature import Tensors

EXAMPLES_SIGNATURE = "predict_examples"
CLASSIFY_SIGNATURE = "classify"

#: What TensorFlow Serving's Classify API asks of a signature.
CLASSIFY_INPUT = "inputs"
CLASSIFY_METHOD = "tensorflow/serving/classify"


def examples_function(
    serve: Callable[..., Tensors],
    manifest: Manifest,
    num_frames: int,
    short_clips: str,
) -> Callable[[tf.Tensor], Tensors]:
    """What the signature `predict_examples` computes.

    Args:
        serve: the function of clips.
        manifest: of the shards that the run was trained on; the examples are such records.
        num_frames: so many evenly spaced frames of a clip are looked at.
        short_clips: what a shorter clip gets, `"repeat"` its last frame or `"pad"`.

    Returns:
        a function of `examples` (batch,) serialized `tf.train.Example`, of which only the
        frames are read, to what `serve` gives and `lengths` (batch,), the valid steps.
    """

    def serve_examples(examples: tf.Tensor) -> Tensors:
        frames, scales = _parsed(examples, manifest)
        indices, lengths = evenly_spaced(
            tf.cast(frames.row_lengths(), tf.int32), num_frames, short_clips
        )
        # (batch, time) strings; ragged rows are filled up, and never looked at there
        chosen = tf.gather(frames.to_tensor(b""), indices, batch_dims=1)
        chosen_scales = None
        if scales is not None:
            chosen_scales = tf.gather(scales.to_tensor(b""), indices, batch_dims=1)
        features = decode_frames(
            chosen, manifest.feature_shape, manifest.feature_dtype, chosen_scales
        )
        return {**serve(features, lengths), "lengths": lengths}

    return serve_examples


def classify_function(
    serve_examples: Callable[[tf.Tensor], Tensors], classes: tuple[str, ...]
) -> Callable[[tf.Tensor], Tensors]:
    """What the signature `classify` computes, for the Classify API.

    Args:
        serve_examples: as `examples_function` gives it.
        classes: names of the classes.

    Returns:
        a function of `inputs` (batch,) serialized examples to `classes` (batch, classes)
        strings, in the order of the labels, and their `scores` (batch, classes) float32.
    """

    def classify(inputs: tf.Tensor) -> Tensors:
        scores = serve_examples(inputs)["clip_probabilities"]
        names = tf.broadcast_to(tf.constant(classes)[None], tf.shape(scores))
        return {"classes": names, "scores": scores}

    return classify


def evenly_spaced(
    clip_lengths: tf.Tensor, num_frames: int, short_clips: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Evenly spaced frames of each clip of a batch, as `frame_sampling.uniform` takes them.

    Args:
        clip_lengths: (batch,) int32, the frames that each clip has, at least one.
        num_frames: T.
        short_clips: `"repeat"` or `"pad"`.

    Returns:
        indices (batch, time) int32, the last one again where a clip has no more; and the
        valid steps (batch,) int32. With `"repeat"` all T steps are valid.

    Example:
    >>> indices, lengths = evenly_spaced(tf.constant([10, 2]), 3, "pad")
    >>> indices.numpy().tolist(), lengths.numpy().tolist()
    ([[1, 5, 8], [0, 1, 1]], [3, 2])
    """
    parts = tf.minimum(clip_lengths, num_frames)
    time = tf.constant(num_frames) if short_clips == "repeat" else tf.reduce_max(parts)
    # (batch, time); 64 bits, for a long clip's number of frames is squared here
    parts_of_steps = tf.cast(parts, tf.int64)[:, None]
    number = tf.minimum(tf.range(tf.cast(time, tf.int64))[None], parts_of_steps - 1)
    frames = tf.cast(clip_lengths, tf.int64)[:, None]
    indices = tf.cast((2 * number + 1) * frames // (2 * parts_of_steps), tf.int32)
    lengths = tf.fill(tf.shape(parts), num_frames) if short_clips == "repeat" else parts
    return indices, lengths


def _parsed(
    examples: tf.Tensor, manifest: Manifest
) -> tuple[tf.RaggedTensor, tf.RaggedTensor | None]:
    """The frames' bytes of each example, and with int8 their scales."""
    wanted = {FRAMES_FEATURES: tf.io.RaggedFeature(tf.string)}
    if manifest.feature_dtype == "int8":
        wanted[FRAMES_SCALES] = tf.io.RaggedFeature(tf.string)
    parsed = tf.io.parse_example(examples, wanted)
    frames, scales = parsed[FRAMES_FEATURES], parsed.get(FRAMES_SCALES)
    checks = [
        tf.debugging.Assert(
            tf.reduce_all(frames.row_lengths() >= 1),
            [f"Every example must hold one frame or more in {FRAMES_FEATURES}."],
        ),
        _check_sizes(frames.flat_values, manifest.bytes_per_frame, FRAMES_FEATURES),
    ]
    if scales is not None:
        num_bytes = manifest.feature_shape[-1] * BYTES_OF_SCALE
        checks.append(_check_sizes(scales.flat_values, num_bytes, FRAMES_SCALES))
        checks.append(
            tf.debugging.Assert(
                tf.reduce_all(scales.row_lengths() == frames.row_lengths()),
                [f"Every frame must have its {FRAMES_SCALES}."],
            )
        )
    with tf.control_dependencies(checks):
        return _held(frames), None if scales is None else _held(scales)


def _held(ragged: tf.RaggedTensor) -> tf.RaggedTensor:
    """The same, of which nothing is there before what the graph waits for here."""
    values, splits = tf.identity(ragged.flat_values), tf.identity(ragged.row_splits)
    return tf.RaggedTensor.from_row_splits(values, splits, validate=False)


def _check_sizes(values: tf.Tensor, num_bytes: int, name: str) -> tf.Operation:
    sizes = tf.strings.length(values)
    return tf.debugging.Assert(
        tf.reduce_all(sizes == num_bytes),
        [
            f"Each value of {name} must have {num_bytes} bytes. Received: one of",
            *(tf.reduce_max(sizes), "bytes at most and", tf.reduce_min(sizes), "at least."),
        ],
    )
