"""Pictures and films: they come out whole, in the right size, and refuse what they cannot show."""

import os

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread

from cham_keras.attention import (
    overlay,
    write_attention_picture,
    write_attention_video,
    write_comparison_picture,
    write_comparison_video,
)
from cham_keras.attention.overlay_video import write_overlay_video
from cham_keras.attention.pictures import evenly_chosen
from cham_keras.attention.video import MOST_BARS, classes_with_bars
from cham_keras.attention.wording import top_class, when, wrapped
from cham_keras.data import FeatureGrid, probe_video, read_frames


@pytest.fixture
def shown(monkeypatch):
    """The captions of all axes that are drawn, in their order."""
    captions = []
    set_xlabel = Axes.set_xlabel

    def noted(self, text, *arguments, **keywords):
        captions.append(text)
        return set_xlabel(self, text, *arguments, **keywords)

    monkeypatch.setattr(Axes, "set_xlabel", noted)
    return captions


def test_a_picture_shows_frames_above_and_what_the_model_thinks_below(
    make_attention, tmp_path, shown
):
    attention = make_attention(20)
    write_attention_picture(attention, tmp_path / "deep" / "a.png", num_columns=4)
    steps = [2, 7, 12, 17]
    assert shown[:4] == [f"frame {3 * step}, {3 * step / 12:.2f} s" for step in steps]
    classes = [attention.classes[attention.probabilities[step].argmax()] for step in steps]
    assert [caption.split("\n")[0] for caption in shown[4:]] == classes
    picture = imread(tmp_path / "deep" / "a.png")
    assert picture.shape[1] > picture.shape[0]
    # Nothing is cut off: a white border is left on all sides.
    for edge in (picture[:5], picture[-5:], picture[:, :5], picture[:, -5:]):
        assert (edge[..., :3] == 1).all()


def test_a_row_more_for_each_model(make_attention, tmp_path):
    heights = []
    for names in (["a"], ["a", "b"], ["a", "b", "c"]):
        rows = {name: make_attention(4) for name in names}
        write_comparison_picture(rows, tmp_path / "rows.png")
        heights.append(imread(tmp_path / "rows.png").shape[0])
    first, second = np.diff(heights)
    assert first > 100
    assert second == pytest.approx(first, rel=0.1)


def test_models_with_other_numbers_of_steps_are_shown_at_the_nearest_frames(
    make_attention, tmp_path, shown
):
    few = make_attention(2, frame_numbers=np.array([2, 6]))
    many = make_attention(8, frame_numbers=np.arange(8))
    write_comparison_picture({"few": few, "many": many}, tmp_path / "a.png")
    expected = [top_class(many, many.probabilities[step], 20) for step in (2, 6)]
    assert shown[-2:] == expected


def test_another_frame_than_the_column_s_is_named_also_where_another_column_has_it(
    make_attention, tmp_path, shown
):
    first = make_attention(3, frame_numbers=np.array([0, 4, 10]))
    other = make_attention(2, frame_numbers=np.array([4, 7]))
    write_comparison_picture({"first": first, "other": other}, tmp_path / "a.png")
    named = [caption.startswith("(frame ") for caption in shown[-3:]]
    assert named == [True, False, True]  # frames 4, 4 and 7 below 0, 4 and 10


def test_a_name_of_bytes_that_are_no_text_is_drawn(make_attention, tmp_path):
    attention = make_attention(name=os.fsdecode(b"bad\xff.mp4"))
    write_attention_picture(attention, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_each_repeated_frame_of_a_short_clip_is_shown_with_its_own_step(
    make_attention, tmp_path, shown
):
    attention = make_attention(4, frame_numbers=np.array([0, 1, 1, 1]))
    write_attention_picture(attention, tmp_path / "a.png")
    assert shown[4:] == [top_class(attention, row, 20) for row in attention.probabilities]


def test_a_comparison_of_different_clips_is_refused(make_attention, tmp_path):
    rows = {"a": make_attention(), "b": make_attention(name="other.mp4")}
    with pytest.raises(ValueError, match="same clip. Received: name 'run/001.mp4' of a and 'oth"):
        write_comparison_picture(rows, tmp_path / "a.png")
    with pytest.raises(ValueError, match="at least one model"):
        write_comparison_picture({}, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_only_png_pictures_are_written(make_attention, tmp_path):
    with pytest.raises(ValueError, match="must end in .png. Received: .*a.jpg"):
        write_attention_picture(make_attention(), tmp_path / "a.jpg")


@pytest.mark.parametrize("frame_size", [(48, 80), (90, 50), (720, 1280), (31, 33)])
def test_a_film_has_a_picture_a_step_and_an_even_size(make_attention, tmp_path, frame_size):
    path = tmp_path / "a.mp4"
    write_attention_video(make_attention(3, frame_size), path, frame_rate_hz=2)
    frames = list(read_frames(path))
    info = probe_video(path)
    assert len(frames) == 3
    assert info.frame_rate_hz == 2
    assert info.width % 2 == info.height % 2 == 0
    assert 800 < info.width < 1500
    assert 300 < info.height < 800


def test_the_bars_of_a_film_grow_with_the_scores(make_attention, tmp_path):
    def blue_pixels(frame):
        return (np.abs(frame.astype(int) - [0, 114, 178]).max(axis=-1) < 40).sum()

    attention = make_attention(
        2,
        probabilities=np.array([[0.4, 0.3, 0.3], [1.0, 0.0, 0.0]]),
        frames=np.zeros((2, 48, 80, 3), "uint8"),
    )
    write_attention_video(attention, tmp_path / "a.mp4")
    first, second = (blue_pixels(frame) for frame in read_frames(tmp_path / "a.mp4"))
    assert second == pytest.approx(first * 2.5, rel=0.1)


def test_of_many_classes_the_likeliest_and_the_true_one_get_bars(make_attention):
    classes = tuple(f"class_{index:02d}" for index in range(30))
    probabilities = np.linspace(0, 2 / 30, 30)[None]
    with_label = make_attention(1, classes=classes, probabilities=probabilities, label=3)
    assert classes_with_bars(with_label) == [3, *range(21, 30)]
    without = make_attention(1, classes=classes, probabilities=probabilities, label=None)
    assert classes_with_bars(without) == list(range(20, 30))
    assert len(classes_with_bars(without)) == MOST_BARS


def test_steps_are_evenly_chosen():
    assert evenly_chosen(60, 4).tolist() == [7, 22, 37, 52]
    assert evenly_chosen(3, 8).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="`num_columns` must be at least 1. Received: 0"):
        evenly_chosen(3, 0)


def test_words_mark_what_is_right_and_what_is_repeated(make_attention):
    attention = make_attention(3, label=1, frame_numbers=np.array([0, 6, 6]))
    assert top_class(attention, np.array([0.1, 0.7, 0.2]), 20) == "run\n70% ✓"
    assert top_class(attention, np.array([0.7, 0.1, 0.2]), 20, in_one_line=True) == "hop, 70%"
    assert [when(attention, step) for step in range(3)] == [
        "frame 0, 0.00 s",
        "frame 6, 0.50 s",
        "frame 6 again, 0.50 s",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run", "run"),
        ("", ""),
        ("diving_springboard_3m", "diving_\nspringboard_"[:-1] + "…"),
        ("a-b-c-d-e-f-g-h", "a-b-c-d-e-f-\ng-h"),
    ],
)
def test_long_names_are_broken_where_they_may_be(text, expected):
    assert wrapped(text, 12) == expected


@pytest.mark.parametrize(
    "write",
    [
        lambda attention, path: write_attention_picture(attention, path.with_suffix(".png")),
        lambda attention, path: write_attention_video(attention, path),
        lambda attention, path: write_overlay_video(attention, path),
        lambda attention, path: write_comparison_video({"one": attention}, path),
    ],
    ids=["picture", "video", "overlay video", "comparison video"],
)
def test_every_picture_lays_the_map_where_the_grid_says(
    make_attention, tmp_path, write, monkeypatch
):
    grids = []

    def noted(frame, relative_map, scale_top, grid=None):
        grids.append(grid)
        return overlay(frame, relative_map, scale_top, grid)

    for module in ("pictures", "video", "overlay_video", "comparison_video"):
        monkeypatch.setattr(f"cham_keras.attention.{module}.overlay", noted)
    grid = FeatureGrid((0.0, 0.0), (1 / 7, 1 / 7))
    write(make_attention(grid=grid), tmp_path / "film.mp4")
    assert grids
    assert set(grids) == {grid}
