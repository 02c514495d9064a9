"""Each measure of attention, held against a slow reference or a known answer."""

import keras
import numpy as np
import pytest
from scipy import stats

from cham_keras.attention.scores.boxes_on_cells import cell_middles, covered_shares
from cham_keras.attention.scores.in_boxes import attention_in_boxes, centre_map, pointing_hits
from cham_keras.attention.scores.removal import area_under, order_of, removal_curves
from cham_keras.attention.scores.shuffled_weights import shuffle_weights
from cham_keras.attention.scores.spread import rank_correlations, relative_entropy_of_maps
from cham_keras.data import FeatureGrid

#: Even cells, those of a ResNet, and those of a MobileNet, for maps of 5 x 7.
GRIDS = [
    FeatureGrid.even(5, 7),
    FeatureGrid((0.0, 0.0), (0.2, 1 / 7)),
    FeatureGrid((0.2, 1 / 7), (0.2, 1 / 7)),
]


def random_maps(steps, height=5, width=7, seed=0):
    maps = np.random.default_rng(seed).random((steps, height, width)) ** 3
    return maps / maps.sum(axis=(1, 2), keepdims=True)


@pytest.mark.parametrize("grid", GRIDS)
def test_covered_shares_are_those_of_counted_pixels(grid):
    rng = np.random.default_rng(1)
    corners = np.sort(rng.uniform(-0.1, 1.1, (4, 2, 2)), axis=1)  # (boxes, low and high, x and y)
    boxes = corners.reshape(4, 4)
    y, x = (np.mgrid[:1000, :1400] + 0.5) / np.array([1000, 1400])[:, None, None]
    inside = np.zeros(y.shape, bool)
    for left, top, right, bottom in boxes:
        inside |= (x > left) & (x < right) & (y > top) & (y < bottom)
    rows, columns = cell_middles(grid, 5, 7)
    of_row = np.abs(y[:, :1] - rows).argmin(axis=1)
    of_column = np.abs(x[0][:, None] - columns).argmin(axis=1)
    expected = np.array(
        [[inside[np.ix_(of_row == i, of_column == j)].mean() for j in range(7)] for i in range(5)]
    )
    assert 0 < expected.mean() < 1
    np.testing.assert_allclose(covered_shares(boxes, grid, 5, 7), expected, atol=0.02)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_box_around_the_frame_covers_all_and_none_covers_nothing(grid):
    np.testing.assert_allclose(covered_shares([[-1, -1, 2, 2]], grid, 5, 7), 1)
    assert covered_shares(np.empty((0, 4)), grid, 5, 7).max() == 0
    assert covered_shares([[0.3, 0.3, 0.3, 0.9]], grid, 5, 7).max() == 0  # without width


def test_boxes_that_overlap_count_once():
    box, larger = [0.1, 0.2, 0.4, 0.6], [0.0, 0.1, 0.5, 0.7]
    both = covered_shares([box, larger, box], FeatureGrid.even(5, 7), 5, 7)
    np.testing.assert_allclose(both, covered_shares([larger], FeatureGrid.even(5, 7), 5, 7))


def test_a_cell_outside_the_frame_is_covered_by_nothing():
    # The third row of cells begins at the frame's lower border.
    covered = covered_shares([[0, 0, 1, 1]], FeatureGrid((0.25, 0.5), (0.5, 1.0)), 3, 1)
    assert covered[:2].min() == 1
    assert covered[2, 0] == 0


def test_pointing_and_attention_in_boxes_are_those_of_a_loop():
    maps = random_maps(6)
    covered = np.random.default_rng(2).random(maps.shape) * (random_maps(6, seed=3) < 0.02)
    for step in range(6):
        i, j = np.unravel_index(maps[step].argmax(), maps[step].shape)
        assert pointing_hits(maps, covered)[step] == (covered[step, i, j] > 0)
        inside = sum(maps[step, i, j] * covered[step, i, j] for i in range(5) for j in range(7))
        assert attention_in_boxes(maps, covered)[step] == pytest.approx(inside)


def test_uniform_maps_score_what_chance_gives():
    covered = np.zeros((1, 5, 7))
    covered[0, 1:3, 2:5] = 0.5
    uniform = np.full((1, 5, 7), 1 / 35)
    assert pointing_hits(uniform, covered)[0] == pytest.approx(6 / 35)
    assert attention_in_boxes(uniform, covered)[0] == pytest.approx(3 / 35)


def test_the_centre_map_has_its_top_in_the_middle_of_the_frame():
    even = centre_map(*cell_middles(FeatureGrid.even(5, 7), 5, 7))
    assert np.unravel_index(even.argmax(), even.shape) == (2, 3)
    np.testing.assert_allclose(even, np.flip(even))
    assert even.sum() == pytest.approx(1)
    moved = centre_map(*cell_middles(FeatureGrid((0.5, 0.0), (0.2, 1 / 7)), 5, 7))
    assert np.unravel_index(moved.argmax(), moved.shape)[0] == 0


def test_entropy_is_that_of_scipy():
    maps = random_maps(4)
    maps[0, 0, 0] = 0
    maps[0] /= maps[0].sum()
    expected = [stats.entropy(of.ravel(), base=35) for of in maps]
    np.testing.assert_allclose(relative_entropy_of_maps(maps), expected)
    np.testing.assert_allclose(relative_entropy_of_maps(maps[None])[0], expected)


def test_rank_correlation_is_spearman_s_with_ties_too():
    maps, others = random_maps(4), random_maps(4, seed=1).round(2)
    expected = [stats.spearmanr(a.ravel(), b.ravel())[0] for a, b in zip(maps, others, strict=True)]
    np.testing.assert_allclose(rank_correlations(maps, others), expected)
    assert rank_correlations(maps, np.ones_like(maps)).tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(rank_correlations(maps, -maps), -1)


def test_the_order_of_cells_begins_with_the_largest_weight():
    order = order_of(np.array([[[0.1, 0.4], [0.1, 0.4]]]))
    assert order.tolist() == [[[2, 0], [3, 1]]]


def test_removal_curves_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 3, 2, 4, 5)).astype("float32")
    lengths = np.array([3, 2])
    order = order_of(rng.random((2, 3, 2, 4)))
    weights = rng.normal(size=(2, 4, 5, 3))
    shares = np.array([0, 0.3, 0.7, 1])

    def predict(shown):  # places count, so that it matters which cells are shown
        scores = np.exp(np.einsum("bthwc,hwck->btk", shown, weights))
        return scores / scores.sum(axis=-1, keepdims=True)

    deletion, insertion = removal_curves(predict, features, lengths, order, shares)
    for clip in range(2):
        steps = lengths[clip]
        valid = features[clip : clip + 1, :steps]
        mean = valid.mean(axis=(0, 1, 2, 3))
        chosen = predict(valid)[0].mean(axis=0).argmax()
        for point, cells in enumerate((0, 2, 6, 8)):
            without, only = valid.copy(), np.broadcast_to(mean, valid.shape).copy()
            for t in range(steps):
                for i in range(2):
                    for j in range(4):
                        if order[clip, t, i, j] < cells:
                            without[0, t, i, j] = mean
                            only[0, t, i, j] = valid[0, t, i, j]
            for curve, shown in ((deletion, without), (insertion, only)):
                expected = predict(shown)[0, :, chosen].mean()
                assert curve[clip, point] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(deletion[:, 0], insertion[:, -1])
    np.testing.assert_allclose(deletion[:, -1], insertion[:, 0])


def test_the_area_under_a_curve_is_its_mean_height():
    assert area_under(np.array([0.25, 0.25, 0.25]), np.array([0, 0.1, 1])) == 0.25
    assert area_under(np.array([0.0, 1.0]), np.array([0, 1])) == 0.5
    assert area_under(np.array([0.0, 1.0, 1.0]), np.array([0, 0.2, 1])) == pytest.approx(0.9)


def test_shuffling_keeps_the_numbers_and_what_is_not_trained():
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.BatchNormalization(), keras.layers.Dense(4)]
    )
    rng = np.random.default_rng(0)
    before = [rng.normal(size=weight.shape).astype("float32") for weight in model.weights]
    model.set_weights(before)
    shuffle_weights(model, seed=1)
    for weight, old, new in zip(model.weights, before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(np.sort(new.ravel()), np.sort(old.ravel()))
        assert (new == old).all() == (not weight.trainable), weight.path
    again = keras.models.clone_model(model)
    again.set_weights(before)
    shuffle_weights(again, seed=1)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="`part` must be in the name of a weight.*'attention'"):
        shuffle_weights(model, seed=0, part="attention")
