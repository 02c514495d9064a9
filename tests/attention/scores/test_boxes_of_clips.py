"""Boxes of files meet the frames of clips: parts of files, mirrored clips, odd boxes."""

import numpy as np
import pytest

from cham_keras.attention.scores.boxes_of_clips import covered_cells
from cham_keras.data import ClipRecord, FeatureGrid, write_video
from cham_keras.data.prepare import Box

GRID = FeatureGrid.even(2, 4)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A film of 20 frames, 10 a second, 80 x 40 pixels."""
    folder = tmp_path_factory.mktemp("films")
    write_video(folder / "a.mp4", np.zeros((20, 40, 80, 3), "uint8"), 10.0)
    return folder


def covered(root, boxes, *ids, frames=(0, 2)):
    clips = [ClipRecord(clip_id, 0, "a", len(frames), 10.0) for clip_id in ids]
    numbers = {clip.id: np.array(frames) for clip in clips}
    return covered_cells(clips, numbers, boxes, root, GRID, (2, 4))


def test_a_box_covers_the_cells_of_its_frame_and_others_are_nan(root):
    found = covered(root, [Box("a.mp4", 2, 0, 0, 30, 20)], "a.mp4")["a.mp4"]
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], [[1, 0.5, 0, 0], [0, 0, 0, 0]])


def test_boxes_of_a_part_are_counted_in_the_frames_of_its_file(root):
    boxes = [Box("a.mp4", 2, 0, 0, 80, 40), Box("a.mp4", 12, 0, 0, 20, 20)]
    found = covered(root, boxes, "a.mp4#t=1,1.8", "a.mp4")
    np.testing.assert_allclose(found["a.mp4#t=1,1.8"][1], [[1, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(found["a.mp4"][1], np.ones((2, 4)))
    # A part begins at the first frame at its time or later: 0.95 s is before frame 10.
    found = covered(root, [Box("a.mp4", 10, 0, 0, 80, 40)], "a.mp4#t=0.95")
    assert np.isfinite(found["a.mp4#t=0.95"][0]).all()


@pytest.mark.parametrize("twin", ["a.mp4#mirrored", "a.mp4#t=0,1.8,mirrored"])
def test_mirrored_clips_have_mirrored_boxes(root, twin):
    found = covered(root, [Box("a.mp4", 0, 0, 0, 30, 20)], twin)[twin]
    np.testing.assert_allclose(found[0], [[0, 0, 0.5, 1], [0, 0, 0, 0]])


def test_clips_without_a_box_in_the_frames_that_are_seen_are_left_out(root):
    boxes = [Box("a.mp4", 2, 0, 0, 30, 20), Box("gone.mp4", 1, 0, 0, 1, 1)]
    assert covered(root, boxes, "a.mp4", "b.mp4", "a.mp4#t=1").keys() == {"a.mp4"}


def test_a_box_may_reach_over_the_border_and_not_lie_beyond_it(root):
    found = covered(root, [Box("a.mp4", 0, -20, 20, 40, 90)], "a.mp4")["a.mp4"]
    np.testing.assert_allclose(found[0], [[0, 0, 0, 0], [1, 0, 0, 0]])
    for beyond in ((80, 0), (0, 40), (-30, 0), (0, -30)):
        with pytest.raises(ValueError, match=r"must lie in its frame, 80 x 40 pixels in a.mp4"):
            covered(root, [Box("a.mp4", 0, *beyond, 30, 30)], "a.mp4")


def test_boxes_that_meet_nothing_are_told_with_both_sides(root):
    with pytest.raises(ValueError, match=r"1 boxes of other paths, such as 'b.mp4'.* 'a.mp4'"):
        covered(root, [Box("b.mp4", 0, 0, 0, 1, 1)], "a.mp4")
    boxes = [Box("a.mp4", frame, 0, 0, 1, 1) for frame in (3, 7)]
    sentence = r"those of 'a.mp4' are of frames 3 to 7, and the model sees 0, 2 \(from 0\)"
    with pytest.raises(ValueError, match=sentence):
        covered(root, boxes, "a.mp4")
    with pytest.raises(FileNotFoundError, match=r"There is no video .*gone.mp4.*--clips-root"):
        covered(root, [Box("gone.mp4", 0, 0, 0, 1, 1)], "gone.mp4")
