"""Points that are followed on drawn squares, their reference points and their patches."""

import numpy as np
import pytest
from moving_squares import draw, texture

from cham_keras.baselines.trajectories import TrackingSettings
from cham_keras.baselines.trajectories.patches import PatchHistograms, PatchMaps, orientation_map
from cham_keras.baselines.trajectories.reference_points import global_reference, relative_motion
from cham_keras.baselines.trajectories.tracking import follow_points
from cham_keras.data import read_frames, write_video

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install 'cham-keras[classic]'")

CORNER, SIZE = np.array([40, 50]), 36  # of the square in the first frame
SHAPES = TrackingSettings(channels=("global", "local"))


def first_block(tmp_path, settings=SHAPES, **drawing):
    """The trajectories of a square's film that start in its first frame."""
    path = tmp_path / "film.mp4"
    write_video(path, draw(settings.num_steps + 1, start=CORNER, size=SIZE, **drawing), 25)
    return next(follow_points(read_frames(path), settings))


def inside(block, margin=9):
    """Which trajectories start in the square, with their whole window."""
    places = block.positions[:, 0] - CORNER
    return ((places >= margin) & (places <= SIZE - margin)).all(axis=1)


def in_both(first, second, chosen):
    """Rows of the two blocks that start at the same point, as far as chosen in the first."""
    row_of_point = {tuple(point): row for row, point in enumerate(second.positions[:, 0])}
    points = [tuple(point) for point in first.positions[:, 0]]
    pairs = [(row, row_of_point[p]) for row, p in enumerate(points) if p in row_of_point]
    kept = np.array([pair for pair in pairs if chosen[pair[0]]])
    return kept[:, 0], kept[:, 1]


@pytest.mark.parametrize("velocity", [(3, 1), (-2, 2), (0, -3)])
def test_the_motion_of_a_square_is_found_to_a_fifth_of_a_pixel(tmp_path, velocity):
    block = first_block(tmp_path, velocity=velocity)
    assert block.positions.shape[1:] == (16, 2)
    of_square = block.displacements[inside(block)]
    assert len(of_square) >= 10
    np.testing.assert_allclose(of_square, np.broadcast_to(velocity, of_square.shape), atol=0.2)
    far = np.abs(block.positions[:, 0] - CORNER - SIZE / 2).max(axis=1) > 75
    assert far.sum() > 10
    np.testing.assert_allclose(block.displacements[far], 0, atol=0.2)


def test_blocks_start_as_often_as_asked_for_and_need_all_their_steps():
    settings = TrackingSettings(channels=("global",), num_steps=4, start_every=3)
    blocks = list(follow_points(draw(12), settings))
    assert [block.start_frame for block in blocks] == [0, 3, 6]  # frame 9 + 4 is not there
    assert not list(follow_points(draw(4), settings))


def test_points_that_leave_the_frame_are_left_out():
    settings = TrackingSettings(channels=("global",), num_steps=10)
    block = next(follow_points(draw(11, camera=(5, 0)), settings))
    starts = block.positions[:, 0, 0]
    assert starts.max() < 160 - 50 + 3  # of those that start further right, all are gone
    assert (block.positions >= 0).all() and (block.positions[..., 0] <= 159).all()


def test_frames_without_texture_give_no_trajectory():
    grey = [np.full((48, 64, 3), 90, np.uint8)] * 20
    (block,) = follow_points(grey, TrackingSettings())
    assert len(block.positions) == 0
    assert {name: values.shape for name, values in block.patches.items()} == {
        "hog": (0, 96),
        "hof": (0, 108),
        "mbh": (0, 192),
    }


def test_larger_frames_are_made_smaller_and_their_motion_with_them():
    settings = TrackingSettings(channels=("global",), longest_side_pixels=80, num_steps=5)
    block = next(follow_points(draw(6, camera=(4, 2)), settings))
    assert block.positions[..., 0].max() < 80 and block.positions[..., 1].max() < 60
    assert np.median(block.displacements, axis=(0, 1)) == pytest.approx([2, 1], abs=0.1)


@pytest.mark.parametrize("camera", ["steady", "shaking"])
def test_camera_motion_is_removed_by_the_global_reference_point(tmp_path, camera):
    shaking = 1.5 * np.random.default_rng(0).normal(size=(16, 2))
    added = (1.3, -0.7) if camera == "steady" else shaking
    still = first_block(tmp_path, velocity=(3, 1))
    moved = first_block(tmp_path, velocity=(3, 1), camera=added)
    of_still, of_moved = (relative_motion(each.positions, 3, 32.0, 0) for each in (still, moved))
    rows, rows_moved = in_both(still, moved, inside(still))
    assert len(rows) >= 10
    # Without reference points the two differ by the camera's motion.
    assert np.abs(still.displacements[rows] - moved.displacements[rows_moved]).max() > 0.6
    np.testing.assert_allclose(of_still.to_global[rows], of_moved.to_global[rows_moved], atol=0.25)
    np.testing.assert_allclose(of_still.to_local[rows], of_moved.to_local[rows_moved], atol=0.25)
    rows, rows_moved = in_both(still, moved, of_still.is_kept)
    assert of_moved.is_kept[rows_moved].mean() > 0.9
    both = of_moved.is_kept[rows_moved]
    place = np.cumsum(of_still.is_kept) - 1
    place_moved = np.cumsum(of_moved.is_kept) - 1
    for channel in ("global", "local"):
        first = of_still.descriptors()[channel][place[rows[both]]]
        second = of_moved.descriptors()[channel][place_moved[rows_moved[both]]]
        # Each step is about a fifteenth of the way.
        assert np.quantile(np.abs(first - second), 0.95) < 0.02


def trajectories(displacements, starts):
    """Positions of points that take these steps."""
    steps = np.asarray(displacements, float).cumsum(axis=1)
    starts = np.asarray(starts, float)[:, None]
    return np.concatenate([starts, starts + steps], axis=1).astype(np.float32)


def test_the_reference_is_the_median_of_the_largest_cluster():
    rng = np.random.default_rng(0)
    wall = np.array([2.0, -1.0]) + 0.01 * rng.normal(size=(50, 15, 2))
    object_ = np.array([-3.0, 4.0]) + 0.01 * rng.normal(size=(20, 15, 2))
    strays = rng.normal(scale=30, size=(2, 15, 2))
    displacements = np.concatenate([strays, object_, wall])
    found = global_reference(displacements, num_clusters=4, seed=0)
    np.testing.assert_allclose(found, np.broadcast_to([2.0, -1.0], (15, 2)), atol=0.02)
    # Fewer trajectories than clusters, and none that differ, are no error.
    one = global_reference(displacements[-1:], num_clusters=3, seed=0)
    np.testing.assert_allclose(one, displacements[-1], atol=1e-6)
    assert np.isfinite(global_reference(np.zeros((9, 15, 2)), 3, 0)).all()


def test_the_local_reference_is_the_mean_of_the_neighbours():
    rng = np.random.default_rng(1)
    displacements = 0.3 * rng.normal(size=(12, 15, 2)) + 1
    starts = [(10 * index, 0) for index in range(11)] + [(500, 500)]
    found = relative_motion(trajectories(displacements, starts), 2, 25.0, 0)
    near = displacements[[3, 4, 6, 7]]  # within 25 pixels of point 5
    np.testing.assert_allclose(found.to_local[5], displacements[5] - near.mean(axis=0), atol=1e-4)
    # Who has no neighbours is measured by the global reference point.
    np.testing.assert_allclose(found.to_local[11], found.to_global[11], atol=1e-6)


def test_still_and_erratic_trajectories_are_dropped_relative_to_the_reference():
    wall = np.tile([4.0, 0.0], (30, 15, 1))
    moving = np.tile([4.0, 1.0], (1, 15, 1))
    slow = np.tile([4.0, 0.2], (1, 15, 1))
    lost = np.tile([4.0, 15.0], (1, 15, 1))
    jumping = wall[:1] + np.eye(15)[7][None, :, None] * [0.0, 40.0]
    displacements = np.concatenate([wall, moving, slow, lost, jumping])
    starts = [(5 * index, 0) for index in range(len(displacements))]
    found = relative_motion(trajectories(displacements, starts), 5, 32.0, 0)
    assert found.is_kept.tolist() == [False] * 30 + [True, False, False, False]
    descriptors = found.descriptors()
    assert descriptors["global"].shape == descriptors["local"].shape == (1, 30)
    np.testing.assert_allclose(descriptors["global"][0], np.tile([0, 1 / 15], 15), atol=1e-5)


def test_a_block_of_still_trajectories_has_empty_descriptors():
    still = relative_motion(trajectories(np.zeros((5, 15, 2)), np.eye(5)[:, :2]), 3, 32.0, 0)
    assert {name: each.shape for name, each in still.descriptors().items()} == {
        "global": (0, 30),
        "local": (0, 30),
    }


def orientations_by_hand(x, y):
    """One vector's length, shared out between the two of eight orientations beside its own."""
    bins = np.zeros(8)
    place = np.arctan2(y, x) % (2 * np.pi) / (np.pi / 4)
    bins[int(place) % 8] += np.hypot(x, y) * (1 - place % 1)
    bins[(int(place) + 1) % 8] += np.hypot(x, y) * (place % 1)
    return bins


def test_orientations_equal_those_by_hand():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 6, 7)).astype("float32")
    found = orientation_map(cv2, x, y)
    for place in np.ndindex(6, 7):
        np.testing.assert_allclose(
            found[place], orientations_by_hand(x[place], y[place]), atol=2e-3
        )
    with_still = orientation_map(cv2, x, y, least=0.8)
    still = np.hypot(x, y) < 0.8
    assert still.any() and not still.all()
    np.testing.assert_array_equal(with_still[..., 8], still)
    np.testing.assert_allclose(with_still[..., :8], found * ~still[..., None])


def test_gradient_histograms_equal_those_by_hand():
    frames = [texture(60, 80, seed).astype(np.uint8) for seed in range(3)]
    maps, histograms = PatchMaps(("hog",)), PatchHistograms(("hog",), 1, num_steps=3)
    point = np.array([[40.0, 30.0]], np.float32)
    expected = np.zeros((3, 4, 8))
    for step, frame in enumerate(frames):
        histograms.add(maps.of_step(frame, frame), point, step)
        grey = frame.astype(float)
        for cell, (right, down) in enumerate([(-8, -8), (8, -8), (-8, 8), (8, 8)]):
            for row in range(30 + down - 8, 30 + down + 8):
                for column in range(40 + right - 8, 40 + right + 8):
                    x = grey[row, column + 1] - grey[row, column - 1]
                    y = grey[row + 1, column] - grey[row - 1, column]
                    expected[step, cell] += orientations_by_hand(x, y)
    found = histograms.normalised(np.array([True]))["hog"]
    expected = expected.reshape(1, -1) / np.linalg.norm(expected)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_flow_of_a_moving_camera_is_still_and_has_no_borders():
    wall = texture(120, 160, 5)
    frame, following = wall.astype(np.uint8), np.roll(wall, 3, axis=1).astype(np.uint8)
    maps = PatchMaps(("hof", "mbh")).of_step(frame, following)
    middle = (slice(30, 90), slice(40, 120))
    assert (maps["hof"][middle][..., 8] > 0.95 * 256).all()
    # A square that moves otherwise is seen by both.
    following[40:76, 60:96] = np.roll(frame, -4, axis=1)[40:76, 60:96]
    with_square = PatchMaps(("hof", "mbh")).of_step(frame, following)
    assert with_square["hof"][58, 78, 8] < 0.2 * 256
    assert with_square["hof"][58, 78].argmax() == 4  # to the left
    assert with_square["mbh"][58, 60].sum() > 5 * maps["mbh"][58, 60].sum()
