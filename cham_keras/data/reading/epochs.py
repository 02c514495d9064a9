"""Epochs of a data set, and beginning in the middle of one.

Comes in: the number of the first epoch. Goes out: data sets that know which epoch they
are in. `random_access_clips` and `sequential_clips` call it.
"""

import itertools
from collections.abc import Callable

import numpy as np
import tensorflow as tf


def one_epoch_a_pass(
    first: int, of_epoch: Callable[[tf.Tensor, tf.Tensor], tf.data.Dataset], num_skipped: int
) -> tf.data.Dataset:
    """A data set of which each pass is the next epoch.

    This alone has a state, a counter of passes; the epochs themselves have none. A pass
    counts when its first element is asked for, also if it is not run to its end.

    Args:
        first: number of the epoch that the first pass gives.
        of_epoch: from an epoch's number and how many elements it lacks at its beginning,
            both scalar int64, to its elements.
        num_skipped: how many elements the first epoch lacks.

    Example:
    >>> passes = one_epoch_a_pass(3, lambda epoch, skip: tf.data.Dataset.range(skip, epoch), 1)
    >>> [[int(element) for element in passes] for _ in range(2)]
    [[1, 2], [0, 1, 2, 3]]
    """
    counter = itertools.count(first)

    def next_epoch(_: tf.Tensor) -> tf.Tensor:
        epoch = tf.numpy_function(lambda: np.int64(next(counter)), [], tf.int64)
        return tf.ensure_shape(epoch, ())

    def elements(epoch: tf.Tensor) -> tf.data.Dataset:
        return of_epoch(epoch, _skipped(epoch, first, num_skipped))

    return tf.data.Dataset.from_tensors(0).map(next_epoch).flat_map(elements)


def endless_epochs(
    first: int, of_epoch: Callable[[tf.Tensor, tf.Tensor], tf.data.Dataset], num_skipped: int
) -> tf.data.Dataset:
    """A data set of one epoch after the other; each pass begins with the first one.

    Args:
        first: number of the first epoch.
        of_epoch: as in `one_epoch_a_pass`.
        num_skipped: how many elements the first epoch lacks.
    """

    def elements(epoch: tf.Tensor) -> tf.data.Dataset:
        return of_epoch(epoch, _skipped(epoch, first, num_skipped))

    return tf.data.Dataset.range(first, tf.int64.max).flat_map(elements)


def _skipped(epoch: tf.Tensor, first: int, num_skipped: int) -> tf.Tensor:
    return tf.where(epoch == first, tf.constant(num_skipped, tf.int64), 0)
