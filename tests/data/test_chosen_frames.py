"""Chosen frames of clips of each kind, and the parts that are cut out of them."""

import numpy as np
import pytest
from PIL import Image

from cham_keras.data.frames.chosen_frames import read_chosen_frames
from cham_keras.data.frames.clip_frames import read_clip_frames
from cham_keras.data.frames.cropping import Crop, ten_crops
from cham_keras.data.frames.resizing import Resizing
from cham_keras.data.frames.video import write_video

NUM_FRAMES = 10
RESIZING = Resizing(16)


@pytest.fixture(scope="module")
def pictures():
    """A smooth picture that moves, so that a lossy film still tells its frames apart."""
    rows, columns = np.mgrid[0:48, 0:64]
    return [
        np.stack([columns * 3, rows * 4, np.full_like(rows, 20 * number)], -1).astype("uint8")
        for number in range(NUM_FRAMES)
    ]


@pytest.fixture(scope="module")
def clips(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write_video(folder / "film.mp4", pictures, frame_rate_hz=10)
    (folder / "images").mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / "images" / f"{number:02}.png")
    return {"video": folder / "film.mp4", "images": folder / "images"}


@pytest.mark.parametrize("kind", ["video", "images"])
@pytest.mark.parametrize("stride", [1, 3])
def test_chosen_frames_are_those_that_reading_all_gives(clips, kind, stride):
    every = np.stack(list(read_clip_frames(clips[kind], stride, resizing=RESIZING)))
    numbers = [0, 2, 2, 3] if stride == 3 else [1, 4, 4, 4, 9]
    chosen = read_chosen_frames(clips[kind], numbers, RESIZING, frame_stride=stride)
    np.testing.assert_array_equal(chosen[0], every[numbers])


def test_a_part_of_a_file_is_counted_from_its_own_beginning(clips):
    every = np.stack(list(read_clip_frames(clips["video"], resizing=RESIZING)))
    chosen = read_chosen_frames(clips["video"], [0, 2], RESIZING, start_seconds=0.4)
    np.testing.assert_array_equal(chosen[0], every[[4, 6]])


@pytest.mark.parametrize("kind", ["video", "images"])
def test_a_crop_is_cut_out_before_the_resizing(clips, kind):
    crops = (Crop(0.5, 0.25, down=1.0, right=1.0), Crop(0.5, 0.25, 1.0, 1.0, mirrored=True))
    frames = np.stack(list(read_clip_frames(clips[kind])))
    parts = frames[[2, 7], 24:, 48:]
    chosen = read_chosen_frames(clips[kind], [2, 7], RESIZING, crops)
    np.testing.assert_array_equal(chosen[0], RESIZING(parts))
    np.testing.assert_array_equal(chosen[1], RESIZING(parts[:, :, ::-1]))


def test_a_whole_frame_can_be_mirrored(clips):
    whole, mirrored = read_chosen_frames(
        clips["video"], [3], RESIZING, (Crop(), Crop(mirrored=True))
    )
    np.testing.assert_array_equal(mirrored, whole[:, :, ::-1])


def test_ten_crops_are_the_corners_the_centre_and_their_mirror_images():
    frame = np.arange(80 * 160).reshape(80, 160, 1)
    parts = [crop(frame) for crop in ten_crops(0.875)]
    assert {part.shape for part in parts} == {(70, 140, 1)}
    firsts = [(int(part[0, 0, 0]) // 160, int(part[0, 0, 0]) % 160) for part in parts[:5]]
    assert firsts == [(0, 0), (0, 20), (10, 0), (10, 20), (5, 10)]
    for part, mirrored in zip(parts[:5], parts[5:], strict=True):
        np.testing.assert_array_equal(mirrored, part[:, ::-1])


@pytest.mark.parametrize("kind", ["video", "images"])
def test_a_frame_behind_the_last_one_is_named(clips, kind):
    with pytest.raises(ValueError, match=r"must have a frame 10 .*It ends before"):
        read_chosen_frames(clips[kind], [8, 10], RESIZING)


@pytest.mark.parametrize("numbers", [[], [3, 2], [-1, 2]])
def test_numbers_must_be_some_and_ascend(clips, numbers):
    with pytest.raises(ValueError, match="`numbers` must be at least one, ascending"):
        read_chosen_frames(clips["video"], numbers, RESIZING)


@pytest.mark.parametrize("values", [{"height": 0.0}, {"width": 1.5}, {"down": -0.1}])
def test_a_crop_outside_the_frame_is_refused(values):
    with pytest.raises(ValueError, match=f"`{next(iter(values))}` of a crop must be"):
        Crop(**values)
