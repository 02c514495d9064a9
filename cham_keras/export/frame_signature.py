"""The signature of frames: JPEG pictures in, scores out, so that a client needs no CNN.

Comes in: the function of clips, and the backbone that a run's features came from. Goes out:
the function of `jpeg_frames`. `signatures` adds it to an export where it is asked to.
"""

from collections.abc import Callable

import tensorflow as tf

from cham_keras.data import Backbone
from cham_keras.export.clip_signature import Tensors, checks_of_lengths

FRAMES_SIGNATURE = "jpeg_frames"

_LARGEST_INT8 = 127.0


def frames_function(
    serve: Callable[..., Tensors], backbone: Backbone, feature_dtype: str
) -> Callable[..., Tensors]:
    """What the signature `jpeg_frames` computes.

    Frames of the backbone's size go in as they are; others are brought to it here, by
    TensorFlow's bicubic filter with antialiasing, which is close to what `cham extract`
    does (FFmpeg's scaler) and not the same.

    Args:
        serve: the function of clips.
        backbone: what computes the features.
        feature_dtype: features are rounded to this type, as they were in the shards.

    Returns:
        a function of `frames` (batch, time) strings, JPEG files, and `lengths` (batch,)
        int32 to what `serve` gives. Strings behind a clip's length are not looked at.
    """
    size = backbone.spec.image_size

    def picture(jpeg: tf.Tensor) -> tf.Tensor:
        decoded = tf.io.decode_jpeg(jpeg, channels=3)
        fits = tf.reduce_all(tf.shape(decoded)[:2] == size)
        resized = tf.cond(fits, lambda: decoded, lambda: _resized(decoded, size))
        return tf.ensure_shape(resized, (size, size, 3))

    def padding() -> tf.Tensor:
        return tf.zeros((size, size, 3), tf.uint8)

    def serve_frames(frames: tf.Tensor, lengths: tf.Tensor) -> Tensors:
        with tf.control_dependencies(checks_of_lengths(frames, lengths)):
            batch, time = tf.unstack(tf.shape(frames))
        valid = tf.reshape(tf.sequence_mask(lengths, time), [-1])  # (batch * time,)
        pictures = tf.map_fn(
            lambda one: tf.cond(one[1], lambda: picture(one[0]), padding),
            (tf.reshape(frames, [-1]), valid),
            fn_output_signature=tf.TensorSpec((size, size, 3), tf.uint8),
        )
        prepared = backbone.preprocess(tf.cast(pictures, tf.float32))
        features = tf.cast(backbone.model(prepared, training=False), tf.float32)
        features = _rounded(features, feature_dtype)
        # (batch * time, height, width, channels) -> (batch, time, height, width, channels)
        features = tf.reshape(features, tf.stack([batch, time, *backbone.spec.feature_shape]))
        return serve(features, lengths)

    return serve_frames


def _resized(picture: tf.Tensor, size: int) -> tf.Tensor:
    resized = tf.image.resize(picture, (size, size), method="bicubic", antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)


def _rounded(features: tf.Tensor, dtype: str) -> tf.Tensor:
    """Features as a reader of shards gets them, as `stored_features.as_stored` rounds them."""
    if dtype == "int8":
        # (frames, height, width, channels) -> (frames, 1, 1, channels)
        scales = tf.reduce_max(tf.abs(features), axis=(1, 2), keepdims=True) / _LARGEST_INT8
        scales = tf.where(scales < 2.0**-126, tf.zeros_like(scales), scales)
        divisors = tf.where(scales > 0, scales, tf.ones_like(scales))
        return tf.round(features / divisors) * scales
    return tf.cast(tf.cast(features, dtype), tf.float32)
