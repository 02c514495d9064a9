"""The useful arithmetic, against counting every product one by one."""

import itertools

import pytest
from benchmark_testing import tiny_settings

from cham_keras.benchmark.arithmetic import kernel_works, pairs, useful_operations


def taps_inside(height, width, kernel_size):
    """Counts output positions and taps whose input lies on the map."""
    reach = range(-(kernel_size // 2), kernel_size // 2 + 1)
    return sum(
        0 <= y + dy < height and 0 <= x + dx < width
        for y, x, dy, dx in itertools.product(range(height), range(width), reach, reach)
    )


@pytest.mark.parametrize(
    ("height", "width", "kernel_size"), [(7, 7, 3), (7, 7, 1), (3, 5, 3), (1, 4, 5), (2, 2, 7)]
)
def test_pairs_are_the_taps_inside_the_map(height, width, kernel_size):
    assert pairs(height, width, kernel_size) == taps_inside(height, width, kernel_size)


def test_a_train_step_counts_two_passes_for_features_and_three_for_states():
    settings = tiny_settings()
    taps, positions = taps_inside(3, 4, 3), 3 * 4
    on_features = taps * 5 * (4 * 2) + positions * 5 * 2
    on_states = taps * 2 * (4 * 2) + positions * 2 * 2
    frames = 2 * 3
    assert useful_operations(settings, "hoisted") == {
        "train": 2 * frames * (2 * on_features + 3 * on_states),
        "inference": 2 * frames * (on_features + on_states),
    }


def test_without_attention_its_kernels_are_not_counted():
    kernels = {work.kernel for work in kernel_works(tiny_settings(), "conv_lstm_2d")}
    assert kernels == {"kernel", "recurrent_kernel"}


def test_the_second_layer_counts_at_its_updates_only():
    settings = tiny_settings(steps=5)
    of_both = useful_operations(settings, "cham")
    of_first = useful_operations(settings, "hoisted")
    one_product = 2 * 2 * taps_inside(3, 4, 3) * 2 * (4 * 2)
    updates = 2  # at steps 2 and 4 of 5
    assert of_both["inference"] - of_first["inference"] == updates * 2 * one_product
    assert of_both["train"] - of_first["train"] == updates * 2 * 3 * one_product
