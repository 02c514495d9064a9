"""The trajectory-based method on films of moving squares."""

import dataclasses
import json
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from moving_squares import draw

from cham_keras.baselines.trajectories import (
    TrackingSettings,
    TrajectorySettings,
    clip_descriptors,
    trajectory_baseline,
)
from cham_keras.baselines.trajectories.clip_descriptors import (
    UnreadableClipError,
    descriptor_file,
    read_clip_descriptors,
    write_clip_descriptors,
)
from cham_keras.data import Clip, ClipList, write_clip_list, write_video
from cham_keras.evaluation import read_results
from cham_keras.paths import as_path

pytest.importorskip("cv2", reason="needs OpenCV: pip install 'cham-keras[classic]'")

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("across", "down")
SETTINGS = TrajectorySettings(
    tracking=TrackingSettings(num_steps=8, start_every=4, grid_pixels=6), num_words=12, num_folds=3
)


def write_film(path, label, seed, num_frames=13):
    rng = np.random.default_rng((seed, label == "down"))
    speed = rng.uniform(2, 4)
    frames = draw(
        num_frames,
        velocity=(speed, 0) if label == "across" else (0, speed),
        camera=rng.uniform(-2, 2, 2),
        start=rng.integers((20, 10), (60, 40)),
        seed=int(rng.integers(1000)),
    )
    write_video(path, frames, 25)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A clip list of two motions before a camera that moves; each film is its own group."""
    root = tmp_path_factory.mktemp("films")
    clips = []
    for label in CLASSES:
        for split, count in (("train", 6), ("validation", 1), ("test", 3)):
            for index in range(count):
                path = f"{label}/{split}{index}.mp4"
                write_film(root / path, label, seed=10 * len(split) + index)
                clips.append(Clip(path, label, split, path))
    clip_list = ClipList(root, CLASSES, clips)
    write_clip_list(clip_list, root / "clips.json")
    return clip_list


@pytest.fixture(scope="module")
def made(films, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "trajectories"
    return out, trajectory_baseline(films, out, SETTINGS)


def with_clip(films, root, path):
    """The list with one more clip, in a folder of its own."""
    root.mkdir(exist_ok=True)
    for clip in films.clips:
        place = root / clip.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.hardlink_to(films.root / clip.path)
    return ClipList(root, CLASSES, (*films.clips, Clip(path, "down", "test", path)))


def test_two_motions_are_told_apart_though_the_camera_moves(made):
    _, results = made
    assert results.scores["clip_accuracy"] == 1
    assert results.clip_ids == tuple(
        f"{label}/test{index}.mp4" for label in CLASSES for index in range(3)
    )


def test_the_folder_holds_an_evaluation_as_a_run_does(made):
    out, results = made
    assert sorted(path.name for path in out.iterdir()) == [
        "descriptors",
        "evaluation",
        "method.json",
        "settings.toml",
    ]
    read = read_results(out)
    np.testing.assert_allclose(read.probabilities, results.probabilities, atol=1e-12)
    method = json.loads((out / "method.json").read_text())
    assert (method["method"], method["clips_fitted_on"]) == ("trajectories", 12)
    assert {"opencv-python-headless", "scikit-learn"} <= set(method["versions"])


def test_a_second_call_follows_no_points_and_gives_the_same(made, films, monkeypatch):
    out, results = made

    def refuse(*_):
        raise RuntimeError("followed again")

    monkeypatch.setattr(clip_descriptors, "follow_points", refuse)
    again = trajectory_baseline(films, out, SETTINGS)
    np.testing.assert_array_equal(again.probabilities, results.probabilities)


def test_another_split_of_the_same_clips_shares_the_descriptors(made, films, tmp_path, monkeypatch):
    out, _ = made
    sides = {"train": "train", "test": "validation", "validation": "test"}
    clips = [dataclasses.replace(clip, split=sides[clip.split]) for clip in films.clips]
    divided = ClipList(films.root, CLASSES, tuple(clips))
    kept = tmp_path / "kept"
    shutil.copytree(out / "descriptors", kept)
    write_clip_descriptors(films, films.clips, kept, SETTINGS.tracking)
    alone = trajectory_baseline(divided, tmp_path / "alone", SETTINGS)

    def refuse(*_):
        raise RuntimeError("followed again")

    monkeypatch.setattr(clip_descriptors, "follow_points", refuse)
    for _ in range(2):  # the folder is known again without descriptors of its own
        shared = trajectory_baseline(
            divided, tmp_path / "shared", SETTINGS, descriptors=kept, pictures=False
        )
        np.testing.assert_array_equal(shared.probabilities, alone.probabilities)
    assert not (tmp_path / "shared" / "descriptors").exists()
    assert not list((tmp_path / "shared").rglob("*.png"))


def test_the_same_seed_gives_the_same_from_the_beginning(made, films, tmp_path):
    _, results = made
    again = trajectory_baseline(films, tmp_path / "out", SETTINGS)
    np.testing.assert_array_equal(again.probabilities, results.probabilities)


def test_a_killed_run_goes_on_with_the_clips_that_are_missing(made, films, tmp_path, monkeypatch):
    out, results = made
    program = f"""
        from cham_keras.baselines.trajectories import *
        from cham_keras.data import read_clip_list
        settings = TrajectorySettings(
            tracking=TrackingSettings(num_steps=8, start_every=4, grid_pixels=6),
            num_words=12, num_folds=3)
        clips = read_clip_list({str(films.root)!r})
        trajectory_baseline(clips, {str(tmp_path / "out")!r}, settings)
    """
    killed = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT)
    folder = tmp_path / "out" / "descriptors"
    try:
        while killed.poll() is None and len(list(folder.glob("[!.]*.npz"))) < 3:
            time.sleep(0.005)
    finally:
        killed.kill()
        killed.wait()
    finished = {path.name for path in folder.glob("[!.]*.npz")}
    assert 3 <= len(finished) <= 18
    followed = []
    follow = clip_descriptors.follow_points

    def counting(frames, settings):
        followed.append(1)
        return follow(frames, settings)

    monkeypatch.setattr(clip_descriptors, "follow_points", counting)
    after = trajectory_baseline(films, tmp_path / "out", SETTINGS)
    assert len(followed) == 18 - len(finished)
    np.testing.assert_array_equal(after.probabilities, results.probabilities)
    for path in (out / "descriptors").iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_an_unreadable_clip_is_named_and_can_be_skipped(films, made, tmp_path):
    clip_list = with_clip(films, tmp_path / "films", "down/broken.mp4")
    (clip_list.root / "down" / "broken.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"readable and longer .*down/broken\.mp4.*--skip-unread"):
        trajectory_baseline(clip_list, tmp_path / "out", SETTINGS)
    results = trajectory_baseline(clip_list, tmp_path / "out", SETTINGS, skip_unreadable=True)
    assert results.clip_ids == made[1].clip_ids
    (listed,) = json.loads((tmp_path / "out" / "method.json").read_text())["unreadable"]
    assert listed["path"] == "down/broken.mp4"


@pytest.mark.parametrize(
    ("film", "sentence"),
    [
        (
            draw(8),
            r"more frames than a trajectory has steps, 8\. Received: 8 frames of down/0\.mp4",
        ),
        (
            [np.zeros((24, 64, 3), np.uint8)] * 12,
            r"at least 32 pixels high and wide\. Received: 24 x 64 pixels",
        ),
        (None, r"0\.mp4"),
    ],
    ids=["short", "small", "missing"],
)
def test_a_clip_that_will_not_do_is_listed_with_its_reason(tmp_path, film, sentence):
    (tmp_path / "down").mkdir()
    if film is not None:
        write_video(tmp_path / "down" / "0.mp4", film, 25)
    clip_list = ClipList(tmp_path, CLASSES, (Clip("down/0.mp4", "down", "train", "0"),))
    found = write_clip_descriptors(clip_list, clip_list.clips, tmp_path / "out", SETTINGS.tracking)
    assert [clip.path for clip in found] == ["down/0.mp4"]
    with pytest.raises(ValueError, match=sentence):
        raise ValueError(found[0].reason)
    assert not list(tmp_path.glob("out/*"))


def test_an_error_that_is_no_matter_of_the_clip_is_not_taken_for_one(films, tmp_path, monkeypatch):
    def broken(*_):
        raise ValueError("cannot reshape")

    monkeypatch.setattr(clip_descriptors, "relative_motion", broken)
    with pytest.raises(ValueError, match="cannot reshape"):
        write_clip_descriptors(films, films.clips[:1], tmp_path, SETTINGS.tracking)


def test_a_remote_clip_gives_the_same_and_its_fault_bears_its_own_name(films):
    local = clip_descriptors.clip_descriptors(films, films.clips[0], SETTINGS.tracking)
    root = as_path("ram://films")
    (root / films.clips[0].path).upload(films.root / films.clips[0].path)
    remote = ClipList(root, CLASSES, films.clips[:1])
    found = clip_descriptors.clip_descriptors(remote, films.clips[0], SETTINGS.tracking)
    for name, values in local.items():
        np.testing.assert_array_equal(found[name], values)
    (root / "down").mkdir()
    (root / films.clips[0].path).upload(ROOT / "LICENSE")
    with pytest.raises(UnreadableClipError, match=r"ram://films/across/train0\.mp4"):
        clip_descriptors.clip_descriptors(remote, films.clips[0], SETTINGS.tracking)


def test_descriptors_are_kept_to_half_precision_and_drawn_by_the_clips_name(films, tmp_path):
    clip = films.clips[0]
    whole = clip_descriptors.clip_descriptors(films, clip, SETTINGS.tracking)
    number = len(whole["global"])
    few = TrackingSettings(num_steps=8, start_every=4, grid_pixels=6, trajectories_per_clip=20)
    assert number > 20
    assert write_clip_descriptors(films, [clip], tmp_path, few) == []
    kept = read_clip_descriptors(descriptor_file(tmp_path, films, clip, few))
    rows = [
        int(np.abs(whole["hog"] - row).max(axis=1).argmin()) for row in kept["hog"]
    ]  # where they are from
    assert len(set(rows)) == 20 and rows == sorted(rows)
    for name, values in kept.items():
        np.testing.assert_allclose(values, whole[name][rows], atol=1e-3)
    with_seed = dataclasses.replace(few, seed=1)
    others = clip_descriptors.clip_descriptors(films, clip, with_seed)
    again = clip_descriptors.clip_descriptors(films, clip, with_seed)
    assert (others["hog"] != whole["hog"][rows]).any()
    np.testing.assert_array_equal(others["hog"], again["hog"])


def test_a_replaced_film_is_followed_anew(films, tmp_path):
    clip_list = with_clip(films, tmp_path / "films", "down/new.mp4")
    clip = clip_list.clips[-1]
    write_film(clip_list.root / clip.path, "down", seed=1)
    first = descriptor_file(tmp_path, clip_list, clip, SETTINGS.tracking)
    write_film(clip_list.root / clip.path, "down", seed=2)
    assert descriptor_file(tmp_path, clip_list, clip, SETTINGS.tracking) != first


def test_opencv_missing_is_said_in_one_sentence(films, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ValueError, match=r"opencv-python-headless\. Install it: .*\[classic\]"):
        trajectory_baseline(films, tmp_path / "out", SETTINGS)


def test_a_folder_of_something_else_is_refused(films, tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"new, empty, or of trajectories\. Received"):
        trajectory_baseline(films, tmp_path, SETTINGS)
    (tmp_path / "settings.toml").write_text("epochs = 3  # of a run")
    with pytest.raises(FileExistsError, match=r"new, empty, or of trajectories\. Received"):
        trajectory_baseline(films, tmp_path, SETTINGS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"split": "train"}, r"one that is not fitted on \(train\)"),
        ({"split": "validation", "add_validation": True}, r"\(train, validation\)"),
        ({"split": "trial"}, r"`split` must be one of"),
    ],
)
def test_arguments_that_break_a_rule_are_refused(films, tmp_path, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        trajectory_baseline(films, tmp_path / "out", SETTINGS, **arguments)
