"""A clip's frames are the same questions, whatever the clip is stored as."""

import logging
from pathlib import Path

import numpy as np
import pytest
from norpix_testing import drawn_pictures, write_norpix
from PIL import Image

from cham_keras.data.frames import clip_frames
from cham_keras.data.frames.clip_frames import CLIP_SUFFIXES, probe_clip, read_clip_frames
from cham_keras.data.frames.video import VIDEO_SUFFIXES, VideoInfo, read_frames, write_video

NUM_FRAMES = 12
FORMS = ["video", "norpix", "folder"]
WITH_TIMES = ["video", "norpix"]


def stored_as(form: str, folder: Path, rate_hz: float = 12.5) -> Path:
    """The drawn pictures as a clip of one of the forms."""
    pictures = drawn_pictures(NUM_FRAMES)
    if form == "video":
        write_video(folder / "clip.mp4", pictures, rate_hz)
        return folder / "clip.mp4"
    if form == "norpix":
        write_norpix(folder / "clip.SEQ", pictures, 2, frame_rate_hz=rate_hz)
        return folder / "clip.SEQ"
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder


def numbers_of(path: Path, **options) -> list[int]:
    """Which of the clip's frames come."""
    every = [frame.tobytes() for frame in read_clip_frames(path)]
    assert len(set(every)) == len(every) == NUM_FRAMES
    return [every.index(frame.tobytes()) for frame in read_clip_frames(path, **options)]


@pytest.mark.parametrize(
    ("form", "tolerance", "rate"), [("video", 8, 12.5), ("norpix", 0, 12.5), ("folder", 0, 0.0)]
)
def test_each_form_of_a_clip_gives_its_frames_and_what_it_states(tmp_path, form, tolerance, rate):
    path = stored_as(form, tmp_path)
    frames = list(read_clip_frames(path))
    assert len(frames) == NUM_FRAMES
    for frame, picture in zip(frames, drawn_pictures(NUM_FRAMES), strict=True):
        assert frame.dtype == np.uint8 and frame.shape == picture.shape
        assert np.abs(frame.astype(int) - picture).mean() <= tolerance
    assert probe_clip(path) == VideoInfo(
        frame_rate_hz=rate, width=40, height=24, num_frames=NUM_FRAMES, rotation_degrees=0
    )
    assert probe_clip(str(path)) == probe_clip(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_stride_and_a_limit_choose_frames_from_the_first_on(tmp_path, form):
    path = stored_as(form, tmp_path)
    assert numbers_of(path, frame_stride=5) == [0, 5, 10]
    assert numbers_of(path, frame_stride=5, max_frames=2) == [0, 5]
    assert numbers_of(path, max_frames=100) == list(range(NUM_FRAMES))


@pytest.mark.parametrize("form", WITH_TIMES)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start_seconds": 0.4}, range(5, 12)),
        ({"start_seconds": 0.41}, range(6, 12)),
        ({"end_seconds": 0.4}, range(5)),
        ({"end_seconds": 0.41}, range(6)),
        ({"start_seconds": 0.16, "end_seconds": 0.48}, range(2, 6)),
        ({"start_seconds": 0, "end_seconds": 0.96}, range(12)),
        ({"start_seconds": 0.9, "end_seconds": 1.04}, range(12, 12)),
        ({"start_seconds": 0.88, "end_seconds": 1.04}, range(11, 12)),
        ({"start_seconds": 0.16, "frame_stride": 3}, range(2, 12, 3)),
        ({"start_seconds": 0.24, "end_seconds": 0.8, "frame_stride": 3}, range(3, 10, 3)),
        ({"start_seconds": 0.24, "frame_stride": 4, "max_frames": 2}, range(3, 8, 4)),
        ({"start_seconds": 0.24, "end_seconds": 0.4, "max_frames": 9}, range(3, 5)),
    ],
)
def test_an_interval_holds_the_frames_from_its_start_to_before_its_end(
    tmp_path, form, options, expected
):
    path = stored_as(form, tmp_path)
    if not expected:
        with pytest.raises(ValueError, match="must begin before its file ends"):
            read_clip_frames(path, **options)
        return
    assert numbers_of(path, **options) == list(expected)


@pytest.mark.parametrize("rate_hz", [30.0, 30000 / 1001, 7.0])
def test_the_time_of_a_frame_means_that_frame_however_it_was_rounded(tmp_path, rate_hz):
    path = stored_as("video", tmp_path, rate_hz)
    rate_hz = probe_clip(path).frame_rate_hz
    for number in range(1, NUM_FRAMES):
        exact = number / rate_hz
        for seconds in (exact, number * (1 / rate_hz), float(f"{exact:.10g}"), exact * (1 + 1e-14)):
            assert numbers_of(path, start_seconds=seconds)[0] == number
            assert numbers_of(path, end_seconds=seconds)[-1] == number - 1


@pytest.mark.parametrize("form", WITH_TIMES)
def test_intervals_that_do_not_lie_in_the_file_are_refused(tmp_path, form):
    path = stored_as(form, tmp_path)  # 12 frames, 0.96 seconds
    with pytest.raises(ValueError, match=r"at least one frame.*Received: 0.41 to 0.47 seconds at "):
        read_clip_frames(path, start_seconds=0.41, end_seconds=0.47)
    with pytest.raises(ValueError, match=r"at least one frame"):
        read_clip_frames(path, start_seconds=0.5, end_seconds=0.2)
    with pytest.raises(ValueError, match=r"begin before .*Received: 0.96 to the end .*12 frames"):
        read_clip_frames(path, start_seconds=0.96)
    assert numbers_of(path, end_seconds=1.04)[-1] == 11  # a frame more is let pass
    with pytest.raises(ValueError, match=r"at most a frame later.*0 to 1.05 seconds.*12 frames"):
        read_clip_frames(path, end_seconds=1.05)


@pytest.mark.parametrize("stated", [None, 40])
def test_a_video_that_states_no_length_or_a_wrong_one_is_held_against_its_frames(
    tmp_path, monkeypatch, stated
):
    path = stored_as("video", tmp_path)
    true = clip_frames.probe_video(path)
    monkeypatch.setattr(
        clip_frames,
        "probe_video",
        lambda path: VideoInfo(true.frame_rate_hz, true.width, true.height, stated, 0),
    )
    assert numbers_of(path, start_seconds=0.8, end_seconds=1.04) == [10, 11]
    frames = read_clip_frames(path, start_seconds=0.8, end_seconds=1.2)
    assert len([next(frames), next(frames)]) == 2
    with pytest.raises(ValueError, match=r"at most a frame later.*has 12 frames"):
        next(frames)
    with pytest.raises(ValueError, match=r"begin before its file ends.*has 12 frames"):
        next(read_clip_frames(path, start_seconds=1.2))


@pytest.mark.parametrize("name", ["start_seconds", "end_seconds"])
def test_a_folder_of_images_has_no_times(tmp_path, name):
    path = stored_as("folder", tmp_path)
    with pytest.raises(ValueError, match="must be a file that states a frame rate"):
        read_clip_frames(path, **{name: 0.5})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame_stride": 0}, "`frame_stride` must be at least 1. Received: 0"),
        ({"max_frames": 0}, "`max_frames` must be at least 1. Received: 0"),
        ({"start_seconds": -1}, "`start_seconds` must be from 0 to 1000000000. Received: -1"),
        ({"end_seconds": float("nan")}, "`end_seconds` must be from 0 .* Received: nan"),
        ({"end_seconds": 1e308}, r"`end_seconds` must be from 0 .* Received: 1e\+308"),
    ],
)
def test_arguments_out_of_range_are_refused_at_the_call(tmp_path, form, options, message):
    with pytest.raises(ValueError, match=message):
        read_clip_frames(stored_as(form, tmp_path), **options)


@pytest.mark.parametrize("name", ["none.mp4", "none.seq", "none"])
def test_a_clip_that_is_not_there_is_named_at_the_call(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=name):
        read_clip_frames(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=name):
        probe_clip(tmp_path / name)


def test_a_part_of_a_video_is_decoded_no_further_than_it_needs(tmp_path, monkeypatch):
    path = stored_as("video", tmp_path)
    asked = []

    def spied(path, frame_stride, max_frames, *others):
        asked.append((frame_stride, max_frames))
        return read_frames(path, frame_stride, max_frames, *others)

    monkeypatch.setattr(clip_frames, "read_frames", spied)
    options = {"frame_stride": 2, "start_seconds": 0.16}
    assert len(list(read_clip_frames(path, max_frames=3, **options))) == 3
    assert len(list(read_clip_frames(path, end_seconds=0.64, **options))) == 3
    assert asked == [(1, 7), (1, 8)]


def test_what_a_clip_lacks_is_one_warning_when_it_is_read(tmp_path, caplog):
    sequence = stored_as("norpix", tmp_path)
    sequence.write_bytes(sequence.read_bytes()[:-500])
    folder = tmp_path / "folder"
    folder.mkdir()
    stored_as("folder", folder)
    (folder / "4.png").unlink()
    (folder / "notes.doc").write_bytes(b"1")
    num_whole = probe_clip(sequence).num_frames
    assert num_whole < NUM_FRAMES and probe_clip(folder).num_frames == NUM_FRAMES - 1
    assert not caplog.records
    assert len(list(read_clip_frames(sequence))) == num_whole
    assert len(list(read_clip_frames(folder))) == NUM_FRAMES - 1
    of_sequence, of_folder = caplog.records
    assert of_sequence.levelno == of_folder.levelno == logging.WARNING
    assert f"{NUM_FRAMES - num_whole} of 12 frames are missing" in of_sequence.message
    assert "1 file(s) are no images, such as notes.doc" in of_folder.message
    assert "1 image(s) are missing" in of_folder.message


def test_clip_suffixes_are_those_of_videos_and_of_norpix():
    assert set(CLIP_SUFFIXES) - set(VIDEO_SUFFIXES) == {".seq"}
    assert len(CLIP_SUFFIXES) == len(VIDEO_SUFFIXES) + 1
