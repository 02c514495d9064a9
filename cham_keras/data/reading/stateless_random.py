"""Random numbers without a state: a pure function of some whole numbers.

Comes in: words, such as seed, epoch and clip. Goes out: numbers of 64 random bits, the
same ones in NumPy and in TensorFlow, on every machine and in every version of them.
`frame_sampling`, `frame_choice` and the orders of epochs are drawn with it.

It is the generator SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
number generators", 2014), begun at a state that is mixed from the words by the same function.
"""

import numpy as np
import tensorflow as tf

_STEP = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
# Shift right, exclusive or, multiply; three times, the last one without the product.
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))


def random_numbers(words: tuple[int, ...], number: int) -> np.ndarray:
    """Random numbers in NumPy.

    Args:
        words: whole numbers of at most 64 bits; others give other random numbers.
        number: how many are wanted.

    Returns:
        (number,) uint64.

    Example:
    >>> random_numbers((0, 7), 2).tolist() == random_numbers((0, 7), 3)[:2].tolist()
    True
    """
    state = 0
    for word in words:
        state = _mixed_int((state ^ (word & _MASK)) + _STEP & _MASK)
    values = np.arange(1, number + 1, dtype=np.uint64) * np.uint64(_STEP) + np.uint64(state)
    for shift, factor in _ROUNDS:
        values ^= values >> np.uint64(shift)
        values *= np.uint64(factor)
    return values


def random_order(words: tuple[int, ...], number: int) -> np.ndarray:
    """A permutation of 0 to number - 1: (number,) int64.

    Example:
    >>> sorted(random_order((0, 7), 4).tolist())
    [0, 1, 2, 3]
    """
    return np.argsort(random_numbers(words, number), kind="stable")


def random_tensor(words: tf.Tensor, number: tf.Tensor | int) -> tf.Tensor:
    """The numbers of `random_numbers` in TensorFlow, for words that are tensors.

    Args:
        words: (n,) int64.
        number: scalar integer.

    Returns:
        (number,) int64, not negative: the upper 63 bits of each.
    """
    words = tf.bitcast(tf.cast(words, tf.int64), tf.uint64)
    step = tf.constant(_STEP, tf.uint64)
    state = tf.constant(0, tf.uint64)
    for word in tf.unstack(words):
        state = _mixed_tensor(tf.bitwise.bitwise_xor(state, word) + step)
    counts = tf.cast(tf.range(1, number + 1), tf.uint64)
    values = _mixed_tensor(counts * step + state)
    return tf.bitcast(tf.bitwise.right_shift(values, tf.constant(1, tf.uint64)), tf.int64)


def random_order_tensor(words: tf.Tensor, number: tf.Tensor | int) -> tf.Tensor:
    """A permutation of 0 to number - 1 in TensorFlow: (number,) int32."""
    return tf.argsort(random_tensor(words, number), stable=True)


def _mixed_int(value: int) -> int:
    for shift, factor in _ROUNDS:
        value = (value ^ value >> shift) * factor & _MASK
    return value


def _mixed_tensor(value: tf.Tensor) -> tf.Tensor:
    for shift, factor in _ROUNDS:
        shifted = tf.bitwise.right_shift(value, tf.constant(shift, tf.uint64))
        value = tf.bitwise.bitwise_xor(value, shifted) * tf.constant(factor, tf.uint64)
    return value
