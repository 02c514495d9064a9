"""Random numbers without a state, frames chosen in NumPy, and half-precision numbers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from cham_keras.data.reading.batch_memory import batch_array
from cham_keras.data.reading.frame_choice import NO_FRAME, FrameChoice
from cham_keras.data.reading.half_floats import convert_half_floats
from cham_keras.data.reading.stateless_random import random_numbers, random_order, random_tensor


def test_random_numbers_are_those_of_splitmix64():
    """The first numbers from the state 1234567, as the generator's other implementations give."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    inverse = 1234567  # of no words the state is 0; the numbers from a state are a row of states
    step = 0x9E3779B97F4A7C15
    values = np.array([inverse + step * k & (1 << 64) - 1 for k in (1, 2, 3)], np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        values = (values ^ values >> np.uint64(shift)) * np.uint64(factor)
    assert values.tolist() == expected
    assert random_numbers((), 2).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


WORDS = [(0,), (0, 0), (1, 2, 3), (-1, 5), ((1 << 63) - 1, -(1 << 63), 7)]


@pytest.mark.parametrize("words", WORDS)
def test_random_numbers_are_the_same_in_tensorflow(words):
    expected = (random_numbers(words, 50) >> np.uint64(1)).astype(np.int64)
    found = random_tensor(tf.constant(words, tf.int64), 50)
    np.testing.assert_array_equal(found, expected)
    dataset = tf.data.Dataset.from_tensors(tf.constant(words, tf.int64))
    (found,) = dataset.map(lambda words: random_tensor(words, 50))
    np.testing.assert_array_equal(found, expected)


def test_other_words_give_other_numbers():
    rows = {tuple(random_numbers(words, 3).tolist()) for words in WORDS}
    assert len(rows) == len(WORDS)
    bits = np.unpackbits(random_numbers((3, 1), 4000).view(np.uint8).reshape(-1, 8), axis=1)
    # Half of 4000 is expected of each of the 64 bits; 5 standard deviations are 158.
    np.testing.assert_allclose(bits.sum(axis=0), 2000, atol=158)


def test_an_order_has_each_number_once():
    np.testing.assert_array_equal(np.sort(random_order((4, 2), 100)), np.arange(100))
    assert random_order((4, 2), 100).tolist() != random_order((4, 3), 100).tolist()


@pytest.mark.parametrize("repeat_last", [True, False])
@pytest.mark.parametrize("sampling", ["random", "uniform", "all_frames"])
def test_frames_chosen_in_numpy_are_those_chosen_in_tensorflow(sampling, repeat_last):
    for wanted in (1, 4, 10):
        choice = FrameChoice(wanted, sampling, repeat_last and sampling != "all_frames", seed=6)
        for num_frames in (1, 3, 10, 11, 29):
            for window in range(-(-num_frames // wanted) if choice.has_windows else 1):
                found = choice.frames(num_frames, 2, 30, window)
                assert found.shape == (wanted,)
                expected = choice.frames_in_graph(tf.constant(num_frames), 2, 30, window)
                np.testing.assert_array_equal(found[: len(expected)], expected)
                assert np.all(found[len(expected) :] == NO_FRAME)


def test_random_frames_are_chosen_equally_often():
    choice = FrameChoice(3, "random", repeat_last=True, seed=0)
    chosen = np.concatenate([choice.frames(8, epoch, 5, 0) for epoch in range(800)])
    # 300 times each is expected; 6 standard deviations of the count are 82.
    np.testing.assert_allclose(np.bincount(chosen, minlength=8), 300, atol=82)


def all_half_floats() -> np.ndarray:
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    return values[np.isfinite(values)]


def test_every_half_float_is_converted_exactly():
    stored = all_half_floats()
    found = np.full(stored.shape, np.nan, np.float32)
    convert_half_floats(stored, found)
    np.testing.assert_array_equal(found.view(np.uint32), stored.astype(np.float32).view(np.uint32))


def test_half_floats_are_converted_exactly_where_subnormal_numbers_count_as_zero():
    """So it is in the threads of TensorFlow, and in those that they begin."""
    stored = all_half_floats()
    flushes = []

    def convert(stored):
        flushes.append(float(np.float32(1e-40) * np.float32(2)) == 0)
        found = np.empty(stored.shape, np.float32)
        convert_half_floats(stored, found)
        return found

    def convert_in_new_thread(stored):
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(convert, stored).result()

    for function in (convert, convert_in_new_thread):
        dataset = tf.data.Dataset.from_tensors(stored).prefetch(1)
        dataset = dataset.map(
            lambda stored, function=function: tf.numpy_function(function, [stored], tf.float32),
            num_parallel_calls=2,
        )
        (found,) = dataset
        np.testing.assert_array_equal(found, stored.astype(np.float32))
    assert any(flushes)  # else this test has shown nothing


def test_memory_is_used_again_only_when_its_array_is_gone():
    first = batch_array((300, 7))
    place = first.ctypes.data
    second = batch_array((300, 7))
    assert not np.shares_memory(first, second)
    del first
    third = batch_array((200, 7))
    assert third.ctypes.data == place
    assert place % 64 == 0
    assert not np.shares_memory(third, second)
    larger = batch_array((400, 7))
    assert not np.shares_memory(third, larger)
    assert larger.shape == (400, 7)
