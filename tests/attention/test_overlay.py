"""Overlays: where the brightness goes, and what the scale says."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from cham_keras.attention import overlay
from cham_keras.attention.overlay import (
    LEAST_SCALE_TOP,
    add_scale,
    scale_top_of,
    shrunk,
    upsample_map,
)
from cham_keras.data import FeatureGrid

HEIGHT, WIDTH = 60, 140  # neither square nor a multiple of 7


def one_bright_cell(row, column, size=7):
    attention_map = np.zeros((size, size))
    attention_map[row, column] = size * size
    return attention_map


def brightness(picture):
    return picture.astype(float).sum(axis=-1)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 6), (6, 0), (6, 6), (3, 3), (1, 5)])
def test_a_bright_cell_brightens_its_share_of_a_frame_that_is_not_square(row, column):
    frame = np.full((HEIGHT, WIDTH, 3), 120, "uint8")
    gain = brightness(overlay(frame, one_bright_cell(row, column), 49.0))
    gain -= brightness(overlay(frame, np.zeros((7, 7)), 49.0))
    top, bottom = HEIGHT * row / 7, HEIGHT * (row + 1) / 7
    left, right = WIDTH * column / 7, WIDTH * (column + 1) / 7
    y, x = (axis + 0.5 for axis in np.mgrid[:HEIGHT, :WIDTH])
    inside = (y > top) & (y < bottom) & (x > left) & (x < right)
    far = (y < top - HEIGHT / 7) | (y > bottom + HEIGHT / 7)
    far |= (x < left - WIDTH / 7) | (x > right + WIDTH / 7)
    assert inside.flat[gain.argmax()]
    assert gain[inside].mean() > 5 * gain[~inside].mean()
    np.testing.assert_allclose(gain[far], 0, atol=3)


def test_an_edge_cell_is_as_bright_at_the_border_as_in_its_middle():
    weights = upsample_map(one_bright_cell(0, 3), 70, 70)
    assert weights[0, 35] == pytest.approx(49, rel=0.02)


def test_the_weight_at_a_cell_s_middle_is_the_cell_s():
    attention_map = np.random.default_rng(0).random((3, 5)).astype("float32")
    weights = upsample_map(attention_map, 3 * 15, 5 * 9)
    np.testing.assert_allclose(weights[7::15, 4::9], attention_map, atol=1e-6)


@pytest.mark.parametrize("first", [(0.02, 0.03), (0.3, 0.28)])
def test_a_grid_moves_the_cells_middles_and_the_outermost_reach_to_the_border(first):
    # The cells of a ResNet begin at the frame's corner, those of a MobileNet end there.
    attention_map = np.random.default_rng(0).random((3, 4)).astype("float32")
    step = (0.32, 0.22)
    weights = upsample_map(attention_map, 500, 400, FeatureGrid(first, step))
    rows = np.round((first[0] + step[0] * np.arange(3)) * 500 - 0.5).astype(int)
    columns = np.round((first[1] + step[1] * np.arange(4)) * 400 - 0.5).astype(int)
    inside = np.ix_(rows < 500, columns < 400)
    found = weights[np.ix_(rows[rows < 500], columns[columns < 400])]
    np.testing.assert_allclose(found, attention_map[inside], atol=0.01)
    corners = weights[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, attention_map[[0, 0, -1, -1], [0, -1, 0, -1]], atol=0.05)


def test_no_weight_lies_outside_the_map_s_own():
    weights = upsample_map(one_bright_cell(3, 3) + 1, HEIGHT, WIDTH)
    assert weights.min() == 1
    assert weights.max() <= 50


@pytest.mark.parametrize("axis", [0, 1])
def test_mirrored_frames_and_maps_give_mirrored_overlays(axis):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (HEIGHT, WIDTH, 3), "uint8")
    attention_map = rng.random((5, 7)) * 4
    picture = overlay(frame, attention_map, 4.0).astype(int)
    mirrored = overlay(np.flip(frame, axis), np.flip(attention_map, axis), 4.0).astype(int)
    assert np.abs(np.flip(picture, axis) - mirrored).max() <= 1


def test_the_overlay_is_as_bright_at_a_weight_whatever_the_other_weights_are():
    frame = np.full((7, 7, 3), 120, "uint8")
    alone = overlay(frame, np.full((7, 7), 2.0), 8.0)
    beside_others = np.full((7, 7), 2.0)
    beside_others[:, 4:] = 8.0
    np.testing.assert_array_equal(overlay(frame, beside_others, 8.0)[:, 0], alone[:, 0])


def test_more_attention_is_brighter_on_every_shade_of_grey():
    weights = np.linspace(0, 8, 7)[None]
    for grey in (0, 120, 255):
        frame = np.full((1, 7, 3), grey, "uint8")
        luminance = overlay(frame, weights, 8.0)[0] @ np.array([0.299, 0.587, 0.114])
        assert (np.diff(luminance) > 0).all()


def test_the_scale_does_not_stretch_a_map_that_is_nearly_uniform():
    assert scale_top_of(np.full((2, 7, 7), 1.01)) == LEAST_SCALE_TOP
    assert scale_top_of(np.stack([np.ones((7, 7)), one_bright_cell(0, 0)])) == 49


@pytest.mark.parametrize("scale_top", [4.0, 5.37, 28.56, 49.0])
def test_the_drawn_scale_begins_at_nought_marks_uniform_and_ends_at_the_top(scale_top):
    figure = Figure()
    axes = figure.subplots()
    add_scale(figure, scale_top, [49], beside=[axes])
    scale = figure.axes[1]
    ticks = scale.get_yticks()
    assert scale.get_ylim() == (0, scale_top)
    assert ticks[0] == 0
    assert 1 in ticks
    assert scale_top - 0.1 < ticks[-1] <= scale_top
    assert [label.get_text() for label in scale.get_yticklabels()] == [f"{t:g}" for t in ticks]
    assert "1/49" in scale.get_ylabel()


def test_small_frames_are_not_shrunk():
    frame = np.zeros((60, 80, 3), "uint8")
    assert shrunk(frame, 80) is frame
    assert shrunk(frame, 40).shape == (30, 40, 3)
