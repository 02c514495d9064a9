"""Which frames of a clip are used: pure functions from a number of frames to indices.

Comes in: the clip's number of frames n, and how many frames T are wanted. Goes
out: sorted indices, all different, at most T; all n of them where n <= T.
`frame_choice` calls them inside `map`, and they work eagerly too, as the preparation of
videos for a model calls them.
"""

import tensorflow as tf

from cham_keras.data.reading.stateless_random import random_tensor


def random_subset(num_frames: tf.Tensor, num_samples: int, seed: tf.Tensor) -> tf.Tensor:
    """A sorted random subset without replacement, as in the paper's training.

    Args:
        num_frames: scalar integer n.
        num_samples: T.
        seed: (n,) integers; the same ones give the same subset.

    Returns:
        (min(n, T),) int32.

    Example:
    >>> random_subset(tf.constant(3), 5, seed=(0, 1)).numpy().tolist()
    [0, 1, 2]
    """
    num_frames = tf.cast(num_frames, tf.int32)
    priorities = random_tensor(seed, num_frames)
    chosen = tf.math.top_k(priorities, tf.minimum(num_frames, num_samples), sorted=False).indices
    return tf.sort(chosen)


def uniform(num_frames: tf.Tensor, num_samples: int) -> tf.Tensor:
    """Uniformly spaced frames, as in the paper's test: the middle of each of T equal parts.

    Args:
        num_frames: scalar integer n.
        num_samples: T.

    Returns:
        (min(n, T),) int32.

    Example:
    >>> uniform(tf.constant(10), 3).numpy().tolist()
    [1, 5, 8]
    """
    num_frames = tf.cast(num_frames, tf.int64)
    parts = tf.minimum(num_frames, num_samples)
    number = tf.range(parts, dtype=tf.int64)
    return tf.cast((2 * number + 1) * num_frames // (2 * parts), tf.int32)


def num_windows(num_frames: tf.Tensor, num_samples: int) -> tf.Tensor:
    """Number W of windows of at most T frames that cover a clip of n frames: n / T, rounded up."""
    num_frames = tf.cast(num_frames, tf.int32)
    return (num_frames + num_samples - 1) // num_samples


def window(num_frames: tf.Tensor, num_samples: int, number: tf.Tensor) -> tf.Tensor:
    """One of W interleaved windows: frames w, w + W, w + 2 W, ...

    Together the windows hold every frame exactly once, and each spans the clip.

    Args:
        num_frames: scalar integer n.
        num_samples: T, the most frames that a window holds.
        number: scalar integer w, from 0 to W - 1.

    Returns:
        (at most T,) int32.

    Example:
    >>> [window(tf.constant(5), 2, w).numpy().tolist() for w in range(3)]
    [[0, 3], [1, 4], [2]]
    """
    step = num_windows(num_frames, num_samples)
    return tf.range(tf.cast(number, tf.int32), tf.cast(num_frames, tf.int32), step)


def repeat_last(indices: tf.Tensor, num_samples: int) -> tf.Tensor:
    """Fills indices of a short clip up to T by repeating the last one.

    Args:
        indices: (1 to T,) int32.
        num_samples: T.

    Returns:
        (T,) int32.

    Example:
    >>> repeat_last(tf.constant([0, 1, 2]), 5).numpy().tolist()
    [0, 1, 2, 2, 2]
    """
    missing = num_samples - tf.size(indices)
    filled = tf.concat([indices, tf.repeat(indices[-1:], missing)], axis=0)
    return tf.ensure_shape(filled, (num_samples,))
