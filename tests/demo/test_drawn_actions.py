"""The drawn clips: the class lies in where the actor is and in the order of its poses."""

import itertools

import numpy as np
import pytest

from cham_keras.data.clip_list import read_clip_list
from cham_keras.data.frames.video import probe_video, read_frames
from cham_keras.data.prepare import read_boxes
from cham_keras.demo import drawn_actions, figure
from cham_keras.demo.drawn_actions import (
    ACTIONS,
    CANVAS_SIZE,
    SUB_ACTIONS,
    Timing,
    draw_clip,
    sub_action_amounts,
    write_drawn_actions,
)


def orange_pixels(frame):
    red, green, blue = np.moveaxis(frame.astype(int), -1, 0)
    return (red - blue > 100) & (red - green > 50)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "clips"
    return folder, write_drawn_actions(folder, {"train": 2, "test": 1}, seed=3)


def test_classes_are_all_ordered_pairs_of_different_sub_actions():
    pairs = [tuple(action.split("-then-")) for action in ACTIONS]
    assert set(pairs) == set(itertools.permutations(SUB_ACTIONS, 2))
    assert len(ACTIONS) == 6
    assert list(ACTIONS) == sorted(ACTIONS)


def test_same_seed_gives_the_same_clip_and_another_seed_another():
    frames, boxes = draw_clip("squat-then-raise", np.random.default_rng(5))
    again, boxes_again = draw_clip("squat-then-raise", np.random.default_rng(5))
    other, _ = draw_clip("squat-then-raise", np.random.default_rng(6))
    np.testing.assert_array_equal(frames, again)
    np.testing.assert_array_equal(boxes, boxes_again)
    assert (frames != other).any()


@pytest.mark.parametrize("action", ACTIONS)
def test_only_the_actor_is_orange_and_its_box_fits_it(action):
    frames, boxes = draw_clip(action, np.random.default_rng(11))
    for frame, (x0, y0, x1, y1) in zip(frames, boxes, strict=True):
        rows, columns = np.nonzero(orange_pixels(frame))
        extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        # A pixel at the edge is orange only where the figure covers most of it.
        np.testing.assert_allclose(extent, [x0, y0, x1, y1], atol=1.6)


def test_figures_stay_on_the_canvas_and_never_touch():
    for number in range(12):
        rng = np.random.default_rng(number)
        _, boxes = drawn_actions._draw_clip_and_all_boxes(ACTIONS[number % 6], rng)
        assert boxes.shape == (3, 24, 4)
        assert boxes.min() >= 0
        assert boxes.max() <= CANVAS_SIZE
        for one, other in itertools.combinations(boxes, 2):
            overlap = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
            assert (overlap.min(axis=1) < 0).all()


def test_actor_stands_anywhere_on_the_canvas():
    boxes = [draw_clip(ACTIONS[0], np.random.default_rng(seed))[1][0] for seed in range(40)]
    middles = np.array([[(x0 + x1) / 2, (y0 + y1) / 2] for x0, y0, x1, y1 in boxes])
    assert (np.ptp(middles, axis=0) > CANVAS_SIZE / 3).all()
    quadrants = {tuple(middle > CANVAS_SIZE / 2) for middle in middles}
    assert len(quadrants) == 4


def test_a_clip_played_backwards_is_a_clip_of_the_other_order():
    lead, first, pause, second = 3.2, 7.9, 1.1, 9.0
    tail = drawn_actions.NUM_FRAMES - 1 - lead - first - pause - second
    amounts = sub_action_amounts(Timing(lead, first, pause, second))
    backwards = sub_action_amounts(Timing(tail, second, pause, first))
    joints = figure.joints_over_time("raise", "squat", amounts)
    joints_backwards = figure.joints_over_time("squat", "raise", backwards)
    np.testing.assert_allclose(joints, joints_backwards[::-1], atol=1e-12)


def test_order_leaves_no_trace_in_single_frames():
    # What a bag of frames sees of the actor is, on average, the same for both orders.
    def mean_amounts(order, seed):
        rng = np.random.default_rng(seed)
        clips = [sub_action_amounts(drawn_actions._random_timing(rng)) for _ in range(3000)]
        histograms = np.apply_along_axis(
            lambda amounts: np.histogram(amounts, bins=5, range=(0, 1))[0],
            0,
            np.concatenate(clips)[:, order],
        )
        return histograms / len(clips)

    # Frames of 24 by amount of (raise, squat), for raise-then-squat and squat-then-raise.
    np.testing.assert_allclose(mean_amounts([0, 1], 0), mean_amounts([1, 0], 1), atol=0.1)


def test_every_sub_action_reaches_its_extreme_and_begins_and_ends_neutral():
    for seed in range(50):
        timing = drawn_actions._random_timing(np.random.default_rng(seed))
        amounts = sub_action_amounts(timing)
        assert ((amounts > 0.95).sum(axis=0) >= 2).all()
        assert (np.argmax(amounts[:, 0]) < np.argmax(amounts[:, 1])).all()
        assert amounts[0].max() == 0
        assert amounts[-1].max() == 0
        assert (amounts.min(axis=1) == 0).all()


def test_poses_can_be_told_apart_in_cells_of_16_pixels():
    # By where the ink lies alone; features see the limbs' directions beside it.
    poses = {"neutral": figure.NEUTRAL, **figure.EXTREMES}
    for x, ground in itertools.product(range(48, 64, 4), range(80, 96, 4)):
        actor = figure.Figure(x, ground, height=43, colour=(0, 0, 0))
        cells = {
            name: figure.draw_mask(actor, joints, CANVAS_SIZE).reshape(7, 16, 7, 16).mean((1, 3))
            for name, joints in poses.items()
        }
        for one, other in itertools.combinations(poses, 2):
            difference = np.abs(cells[one] - cells[other]).sum()
            assert difference > 0.15 * cells[one].sum(), (one, other, x, ground)


def test_written_clips_hold_the_drawn_frames(written):
    folder, clip_list = written
    path = folder / "raise-then-squat" / "001.mp4"
    frames = np.stack(list(read_frames(path)))
    drawn, _ = draw_clip("raise-then-squat", np.random.default_rng((3, 0, 1)))
    assert ACTIONS[0] == "raise-then-squat"
    assert frames.shape == drawn.shape
    assert np.abs(frames.astype(float) - drawn).mean() < 5
    assert probe_video(path).frame_rate_hz == 12
    assert len(list(folder.rglob("*.mp4"))) == 18 == len(clip_list.clips)


def test_clip_list_on_disk_is_the_one_returned_and_can_move(written):
    folder, clip_list = written
    assert read_clip_list(folder) == clip_list
    assert '"root": "."' in (folder / "clips.json").read_text()
    assert clip_list.classes == ACTIONS
    for split, number in (("train", 12), ("validation", 0), ("test", 6)):
        assert len(clip_list.clips_of_split(split)) == number
    assert all(clip_list.path_of(clip).is_file() for clip in clip_list.clips)


def test_boxes_files_hold_the_actor_and_the_others_of_each_frame(written):
    folder, clip_list = written
    actors, others = read_boxes(folder), read_boxes(folder / "other_boxes.csv")
    assert len(actors) == len(clip_list.clips) * 24
    assert len(others) == 2 * len(actors)
    path = "raise-then-squat/001.mp4"
    rng = np.random.default_rng((3, 0, 1))
    _, boxes = drawn_actions._draw_clip_and_all_boxes("raise-then-squat", rng)
    for stated, expected in ((actors, boxes[:1]), (others, boxes[1:])):
        of_clip = [box for box in stated if box.path == path]
        edges = [(b.left, b.top, b.left + b.width, b.top + b.height) for b in of_clip]
        by_frame = expected.swapaxes(0, 1).reshape(-1, 4)
        np.testing.assert_allclose(edges, by_frame, atol=0.011)
        frames = [box.frame for box in of_clip]
        assert frames == np.repeat(np.arange(24), len(expected)).tolist()


def test_unknown_action_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"one of raise-then-squat.*Received: 'jump'"):
        draw_clip("jump", np.random.default_rng(0))


@pytest.mark.parametrize(
    ("clips_per_class", "seed", "message"),
    [
        ({"train": 1, "test": 0}, 0, r"1 or more.*Received: test=0"),
        ({"train": 1, "exam": 1}, 0, r"`split` must be one of.*'exam'"),
        ({"test": 1}, 0, r"one clip must be for training"),
        ({"train": 1}, -1, r"`seed` must be 0 or more.*-1"),
    ],
)
def test_bad_numbers_are_errors_that_leave_nothing_behind(tmp_path, clips_per_class, seed, message):
    with pytest.raises(ValueError, match=message):
        write_drawn_actions(tmp_path / "clips", clips_per_class, seed)
    assert not list(tmp_path.iterdir())


def test_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="must be new or empty"):
        write_drawn_actions(tmp_path, {"train": 1}, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
