"""The signature of clips: features and lengths in, everything that a model says out.

Comes in: the inference model of a run. Goes out: the function of `serving_default`, on
which the signatures of examples and of frames stand. `signatures` adds it to an export.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

#: The signature that a client gets who names none.
SIGNATURE = "serving_default"

#: `top_classes` and `top_scores` hold so many of a clip's classes, or all where there are fewer.
NUM_TOP_CLASSES = 5

Tensors = dict[str, tf.Tensor]


def clip_function(model: keras.Model, classes: tuple[str, ...]) -> Callable[..., Tensors]:
    """What the signature `serving_default` computes.

    Args:
        model: as `inference.inference_model` gives it.
        classes: names of the classes.

    Returns:
        a function of the tensors `features` (batch, time, height, width, channels) float32
        and `lengths` (batch,) int32; see `saved_model.export_saved_model`.
    """
    num_top_classes = min(NUM_TOP_CLASSES, len(classes))

    def serve(features: tf.Tensor, lengths: tf.Tensor) -> Tensors:
        checks = [*checks_of_lengths(features, lengths), check_of_numbers(features)]
        with tf.control_dependencies(checks):
            features, lengths = tf.identity(features), tf.identity(lengths)
        outputs = model({"features": features, "lengths": lengths}, training=False)
        outputs = {name: tf.cast(output, tf.float32) for name, output in outputs.items()}
        valid = tf.sequence_mask(lengths, tf.shape(features)[1], tf.float32)  # (batch, time)
        # (batch, time, classes) -> (batch, classes)
        clip_probabilities = tf.reduce_sum(
            outputs["probabilities"] * valid[..., None], axis=1
        ) / tf.reduce_sum(valid, axis=1, keepdims=True)
        top_scores, top_indices = tf.math.top_k(clip_probabilities, num_top_classes)
        return {
            **outputs,
            "clip_probabilities": clip_probabilities,
            # A constant, and no table that is filled from the file of labels: tables have
            # names that two models in one process would share.
            "top_classes": tf.gather(tf.constant(classes), top_indices),
            "top_scores": top_scores,
        }

    return serve


def check_of_numbers(features: tf.Tensor) -> tf.Operation:
    """Refuses features that are not numbers, or not finite, in the graph, for every client.

    Args:
        features: what was sent, padding included: of zero times NaN remains NaN.
    """
    return tf.debugging.Assert(
        tf.reduce_all(tf.math.is_finite(features)),
        [
            "`features` must be finite numbers. Received: NaN or infinity in features of shape",
            tf.shape(features),
        ],
        summarize=8,
    )


def checks_of_lengths(clips: tf.Tensor, lengths: tf.Tensor) -> list[tf.Operation]:
    """Refuses lengths that do not go with the clips, in the graph, for every client.

    Args:
        clips: (batch, time, ...) features or frames.
        lengths: what was sent for them.
    """
    batch, time = tf.unstack(tf.shape(clips)[:2])
    some_clips = tf.debugging.Assert(
        batch >= 1, ["A request must hold at least one clip. Received: none, with lengths", lengths]
    )
    one_a_clip = tf.debugging.Assert(
        tf.equal(tf.size(lengths), batch),
        [
            "`lengths` must hold one number for each clip. Received:",
            *(tf.size(lengths), "numbers for", batch, "clips."),
        ],
    )
    within_time = tf.debugging.Assert(
        tf.reduce_all((lengths >= 1) & (lengths <= time)),
        [
            "`lengths` must be from 1 to the number of steps. Received:",
            *(lengths, "for", time, "steps."),
        ],
        summarize=8,
    )
    return [some_clips, one_a_clip, within_time]
