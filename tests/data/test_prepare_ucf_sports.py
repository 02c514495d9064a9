"""UCF Sports: ten classes out of thirteen folders, its faults, boxes and three protocols."""

import shutil
from collections import Counter

import numpy as np
import pytest
from ucf_sports_testing import (
    FIRST_NUMBER,
    NUM_FRAMES,
    NUM_VIDEOS,
    STEM,
    WITHOUT_AVI,
    WITHOUT_IMAGES,
    make_ucf_sports,
)

from cham_keras.data.frames.image_folder import ImageFolder
from cham_keras.data.frames.video import probe_video
from cham_keras.data.prepare import prepare_ucf_sports
from cham_keras.data.prepare.ucf_sports_protocols import (
    PROTOCOLS,
    TESTED_OF_CLASS,
    VIDEOS_OF_CLASS,
    videos_to_test_on,
)

ALL_LABELS = [label for label, number in VIDEOS_OF_CLASS.items() for _ in range(number)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder `ucf action` of the whole data set; read only."""
    return make_ucf_sports(tmp_path_factory.mktemp("ucf"))


@pytest.fixture
def few(whole, tmp_path):
    """Six videos of each of Lifting and Riding-Horse, to be changed."""
    for folder in ("Lifting", "Riding-Horse"):
        for number in range(1, 7):
            name = f"{folder}/{number:03}"
            shutil.copytree(whole / name, tmp_path / "ucf action" / name)
    return tmp_path / "ucf action"


def split_of(prepared):
    return {clip.group: clip.split for clip in prepared.clip_list.clips}


def test_thirteen_folders_become_ten_classes_of_150_videos(whole):
    clips = prepare_ucf_sports(whole).clip_list.clips
    number = Counter(clip.label for clip in clips)
    assert list(number.values()) == [14, 18, 20, 6, 12, 13, 12, 20, 13, 22]
    assert number == VIDEOS_OF_CLASS
    assert Counter(clip.group.split("/")[0] for clip in clips) == NUM_VIDEOS
    paths = [clip.path for clip in clips]
    assert paths == sorted(paths)


def test_the_images_are_taken_and_the_avi_where_there_are_none(whole):
    prepared = prepare_ucf_sports(whole)
    for clip in prepared.clip_list.clips:
        path = prepared.clip_list.path_of(clip)
        if clip.group in WITHOUT_IMAGES:
            assert path.parent.relative_to(whole).as_posix() == clip.group
            assert path.suffix == ".avi" and probe_video(path).num_frames == NUM_FRAMES
            assert clip.num_frames is None
        else:
            assert clip.path == clip.group
            assert ImageFolder(path).num_frames == clip.num_frames == NUM_FRAMES


def test_the_known_faults_are_told_with_their_counts(whole):
    assert prepare_ucf_sports(whole).problems == (
        "1 video(s) have an AVI shorter than their images; the images are taken: Run-Side/001.",
        f"{len(WITHOUT_AVI)} video(s) have no AVI; the images are taken: Diving-Side/008, "
        "Diving-Side/009, Diving-Side/010 and 4 more.",
        "1 video(s) have no boxes (no folder gt): Walk-Front/001.",
        f"{len(WITHOUT_IMAGES)} video(s) have no images; the AVI is taken: Golf-Swing-Back/001, "
        "Golf-Swing-Back/002, Golf-Swing-Back/003 and 3 more.",
    )


@pytest.mark.parametrize("place", [".", "..", "../.."])
def test_the_folder_may_be_named_from_above(whole, place):
    assert prepare_ucf_sports(whole / place).clip_list.root == whole


def test_boxes_are_numbered_as_the_images(whole):
    prepared = prepare_ucf_sports(whole)
    boxes = {}
    for box in prepared.boxes:
        boxes.setdefault(box.path, []).append(box)
    for number, clip in enumerate(prepared.clip_list.clips, start=1):
        if clip.group in ("Lifting/001", "Walk-Front/001"):
            continue
        found = [(b.frame, b.left, b.top, b.width, b.height) for b in boxes[clip.path]]
        assert found == [(frame, 10 * frame, 20, 30, number) for frame in range(NUM_FRAMES)]
    found = [(b.frame, b.left, b.height) for b in boxes["Lifting/001"]]
    assert found == [(1, 1, 4), (1, 5, 8), (2, 20, 53)]
    assert "Walk-Front/001" not in boxes


def test_an_avi_counts_its_boxes_from_the_number_in_its_name(few):
    video = few / "Lifting/002"
    for image in video.glob("*.jpg"):
        image.unlink()
    # 99, 100 and 101 are there. One before the first frame, one of another source, one without.
    for stem in (f"{STEM}{FIRST_NUMBER - 1:03}", "7608-8_70099", f"{STEM}x"):
        (video / "gt" / f"{stem}.txt").write_text("1 2 3 4 Lifting")
    prepared = prepare_ucf_sports(few)
    frames = [box.frame for box in prepared.boxes if box.path.startswith("Lifting/002/")]
    assert frames == [0, 1, 2]
    assert "3 box(es) of gt belong to no frame; left out, in Lifting/002." in prepared.problems


def test_lines_that_are_no_boxes_are_counted(few):
    gt = few / "Lifting/003/gt"
    lines = ["1 2 3", "a b c d", "1 2 0 4", "1 2 3 -4", "nan 2 3 4", "", "1, 2, 3, 4"]
    (gt / f"{STEM}{FIRST_NUMBER:03}.txt").write_text("\n".join(lines))
    (few / "Riding-Horse/001/gt" / f"{STEM}{FIRST_NUMBER:03}.txt").write_text("?\n")
    prepared = prepare_ucf_sports(few)
    assert (
        "6 line(s) of gt are no box; left out, in Lifting/003, Riding-Horse/001."
        in prepared.problems
    )
    first = [box for box in prepared.boxes if box.path == "Lifting/003" and box.frame == 0]
    assert [(b.left, b.top, b.width, b.height) for b in first] == [(1, 2, 3, 4)]


def test_the_folder_jpeg_is_taken_last_and_an_empty_video_left_out(few):
    for name in ("Lifting/001", "Lifting/002", "Riding-Horse/004"):
        video = few / name
        images = list(video.glob("*.jpg"))
        (video / "jpeg").mkdir()
        for image in images:
            image.rename(video / "jpeg" / image.name)
    for avi in [*(few / "Lifting/001").glob("*.avi"), *(few / "Riding-Horse/004").glob("*.avi")]:
        avi.unlink()
    shutil.rmtree(few / "Riding-Horse/004/jpeg")
    (few / "Riding-Horse/005" / f"{STEM}099.avi").write_bytes(b"RIFF and no more")
    prepared = prepare_ucf_sports(few)
    clip_of_group = {clip.group: clip for clip in prepared.clip_list.clips}
    assert clip_of_group["Lifting/001"].path == "Lifting/001/jpeg"
    assert clip_of_group["Lifting/001"].num_frames == NUM_FRAMES
    assert clip_of_group["Lifting/002"].path == f"Lifting/002/{STEM}099.avi"
    assert "Riding-Horse/004" not in clip_of_group
    assert [b.frame for b in prepared.boxes if b.path == "Lifting/001/jpeg"] == [1, 1, 2]
    for problem in (
        "1 video(s) have neither images nor an AVI; the folder jpeg is taken: Lifting/001.",
        "1 video(s) have no images; the AVI is taken: Lifting/002.",
        "1 video(s) have neither images nor an AVI; they are left out: Riding-Horse/004.",
        "1 video(s) have an AVI that cannot be read: Riding-Horse/005.",
        "1 video(s) have no AVI; the images are taken: Riding-Horse/005.",
        "Riding-Horse holds 6 video(s); the data set has 12.",
        "Walk-Front holds 0 video(s); the data set has 22.",
    ):
        assert problem in prepared.problems


def test_images_without_an_order_and_with_gaps_are_told(few):
    (few / "Lifting/001" / f"{STEM}99.jpg").write_bytes(b"the number 99 again")
    (few / "Lifting/002" / f"{STEM}{FIRST_NUMBER + 1:03}.jpg").unlink()
    (few / "Lifting/002" / f"{STEM}{FIRST_NUMBER + 3:03}.jpg").touch()
    prepared = prepare_ucf_sports(few)
    problems = prepared.problems
    assert "1 video(s) have images whose names give no order: Lifting/001." in problems
    assert "1 video(s) have numbers missing between their images: Lifting/002." in problems
    assert prepared.clip_list.clips[0].path == f"Lifting/001/{STEM}099.avi"


def test_folders_that_are_no_class_are_told_and_a_wrong_root_is_refused(few):
    (few / "Juggling").mkdir()
    assert "1 folder(s) are left out: Juggling." in prepare_ucf_sports(few).problems
    with pytest.raises(FileNotFoundError, match="must hold the folders of UCF Sports"):
        prepare_ucf_sports(few / "Juggling")


def test_a_quarter_of_each_class_is_tested_on_and_validation_leaves_it_alone(whole):
    prepared = prepare_ucf_sports(whole, seed=3)
    number = Counter((clip.label, clip.split) for clip in prepared.clip_list.clips)
    for label, total in VIDEOS_OF_CLASS.items():
        assert abs(number[label, "test"] - 0.25 * total) < 1
        train = total - number[label, "test"]
        assert abs(number[label, "validation"] - 0.15 * train) < 1
    split = split_of(prepared)
    assert split_of(prepare_ucf_sports(whole, seed=3)) == split
    without = split_of(prepare_ucf_sports(whole, seed=3, validation_fraction=0))
    tested = {group for group, side in split.items() if side == "test"}
    assert {group for group, side in without.items() if side == "test"} == tested
    assert set(without.values()) == {"train", "test"}
    other = split_of(prepare_ucf_sports(whole, seed=4))
    assert {group for group, side in other.items() if side == "test"} != tested


def test_leave_one_out_tests_on_the_video_of_the_fold(whole):
    for fold, group in (
        (0, "Diving-Side/001"),
        (14, "Golf-Swing-Back/001"),
        (149, "Walk-Front/022"),
    ):
        split = split_of(prepare_ucf_sports(whole, "leave-one-out", fold))
        assert [name for name, side in split.items() if side == "test"] == [group]
    assert len(split) == 150


def test_103_47_tests_on_the_first_third_of_each_class(whole):
    prepared = prepare_ucf_sports(whole, "103-47", validation_fraction=0)
    clips = prepared.clip_list.clips
    assert Counter(clip.split for clip in clips) == {"train": 103, "test": 47}
    assert Counter(c.label for c in clips if c.split == "test") == TESTED_OF_CLASS
    tested = {clip.group for clip in clips if clip.split == "test"}
    # Golf 1 to 6 are all five of Back and the first of Front, as the numbers are read here.
    golf = {f"Golf-Swing-Back/{number:03}" for number in range(1, 6)} | {"Golf-Swing-Front/001"}
    assert {name for name in tested if name.startswith("Golf")} == golf
    kicking = {f"Kicking-Front/{number:03}" for number in range(1, 7)}
    assert {name for name in tested if name.startswith("Kicking")} == kicking


def test_103_47_as_indices():
    indices = videos_to_test_on(ALL_LABELS, "103-47")
    starts = np.cumsum([0, 14, 18, 20, 6, 12, 13, 12, 20, 13])
    tested = [4, 6, 6, 2, 4, 4, 4, 6, 4, 7]
    expected = [s + k for s, number in zip(starts, tested, strict=True) for k in range(number)]
    assert indices.tolist() == expected and len(indices) == 47


def test_103_47_needs_all_videos(few):
    with pytest.raises(ValueError, match=r"Diving 0 \(not 14\).*choose the protocol stratified"):
        prepare_ucf_sports(few, "103-47")
    with pytest.raises(ValueError, match="another order"):
        videos_to_test_on(ALL_LABELS[::-1], "103-47")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("thirds",), f"must be one of {', '.join(PROTOCOLS)}. Received: thirds"),
        (("leave-one-out",), "`fold` of leave-one-out must be .* 0 to 149. Received: None"),
        (("leave-one-out", 150), "Received: 150"),
        (("leave-one-out", -1), "Received: -1"),
        (("stratified", 3), "`fold` goes with the protocol leave-one-out only. Received: 3"),
        (("103-47", 0), "`fold` goes with"),
        (("stratified", None, 1.0), "`test_fraction` must be"),
    ],
)
def test_protocols_that_mean_nothing_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        videos_to_test_on(ALL_LABELS, *arguments)
