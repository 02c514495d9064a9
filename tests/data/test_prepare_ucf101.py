"""UCF101: lists and class folders become the official split, or a sentence on what is wrong."""

import zipfile
from collections import Counter
from pathlib import Path

import pytest
from dataset_layouts_official import UCF101, make_ucf101

from cham_keras.data.prepare import prepare_ucf101
from cham_keras.data.prepare.ucf101 import source_video


@pytest.fixture
def root(tmp_path) -> Path:
    return make_ucf101(tmp_path / "ucf")


def write_list(root: Path, name: str, *lines: str) -> None:
    (root / "ucfTrainTestlist" / name).write_text("".join(f"{line}\n" for line in lines))


def test_the_official_split_is_kept_and_groups_are_class_and_number(root):
    clip_list = prepare_ucf101(root, validation_fraction=0).clip_list
    assert clip_list.root == root / "UCF-101"
    assert clip_list.classes == ("Archery", "HandstandPushups")
    assert {(clip.path, clip.split) for clip in clip_list.clips} == {
        (f"{label}/{name}", side)
        for label, sides in UCF101.items()
        for side, names in sides.items()
        for name in names
    }
    assert Counter(clip.group for clip in clip_list.clips) == {
        "Archery/g08": 2,
        "Archery/g09": 1,
        "Archery/g01": 2,
        "HandstandPushups/g08": 1,
        "HandstandPushups/g10": 1,
        "HandstandPushups/g01": 1,
    }
    assert all(clip_list.path_of(clip).is_file() for clip in clip_list.clips)
    assert source_video("other.avi", "Archery") == "Archery/other.avi"


def test_validation_clips_are_whole_groups_of_training_clips(root):
    clip_list = prepare_ucf101(root, validation_fraction=0.4).clip_list
    splits_of_group: dict[str, set[str]] = {}
    for clip in clip_list.clips:
        splits_of_group.setdefault(clip.group, set()).add(clip.split)
    assert all(len(splits) == 1 for splits in splits_of_group.values())
    assert len(clip_list.clips_of_split("test")) == 3
    assert {clip.label for clip in clip_list.clips_of_split("validation")} == set(UCF101)


@pytest.mark.parametrize(("split", "train", "test"), [(1, 9537, 3783), (2, 9586, 3734)])
def test_deviations_from_the_true_counts_are_told(tmp_path, split, train, test):
    root = make_ucf101(tmp_path / "ucf", split=split)
    assert prepare_ucf101(root, split=split).problems == (
        "There should be 101 classes. Found: 2.",
        "There should be 13320 clips on the disk. Found: 8.",
        f"There should be {train} training clips. Found: 5.",
        f"There should be {test} test clips. Found: 3.",
    )


def test_a_whole_data_set_has_no_problem(tmp_path):
    clips: dict[str, dict[str, list[str]]] = {}
    for number in range(13320):
        label = f"Action{number % 101:03}"
        side = "test" if number < 3696 else "train"
        name = f"v_{label}_g{number // 101:03}_c01.avi"
        clips.setdefault(label, {"train": [], "test": []})[side].append(name)
    root = make_ucf101(tmp_path / "ucf", clips, write=Path.touch, split=3)
    prepared = prepare_ucf101(root, split=3, validation_fraction=0)
    assert len(prepared.clip_list.clips) == 13320
    assert prepared.problems == ()


def test_lists_in_the_archive_or_elsewhere_do_as_well(tmp_path, root):
    expected = prepare_ucf101(root)
    lists = root / "ucfTrainTestlist"
    with zipfile.ZipFile(root / "UCF101TrainTestSplits-RecognitionTask.zip", "w") as archive:
        for path in lists.iterdir():
            archive.write(path, f"ucfTrainTestlist/{path.name}")
    lists.rename(tmp_path / "my lists")
    assert prepare_ucf101(root) == expected
    assert prepare_ucf101(root / "UCF-101") == expected
    (root / "UCF101TrainTestSplits-RecognitionTask.zip").unlink()
    assert prepare_ucf101(root, lists=tmp_path / "my lists") == expected
    with pytest.raises(
        FileNotFoundError, match="must lie in .*ucf or beside it, as ucfTrain.*--li"
    ):
        prepare_ucf101(root)
    with pytest.raises(FileNotFoundError, match=r"must lie in .*nowhere\. Name"):
        prepare_ucf101(root, lists=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="There is no folder .*none"):
        prepare_ucf101(tmp_path / "none")


def test_class_numbers_that_do_not_agree_are_told(root):
    write_list(root, "classInd.txt", "2 Archery", "1 HandstandPushups")
    assert prepare_ucf101(root).problems[0] == (
        "2 class(es) have another number in the lists than in classInd.txt; the name of the "
        "folder was taken: Archery, HandstandPushups."
    )
    (root / "ucfTrainTestlist" / "classInd.txt").unlink()
    assert "no classInd.txt" in prepare_ucf101(root).problems[0]


@pytest.mark.parametrize("line", ["v_Archery_g01_c01.avi 1", "Archery/a.avi one", "a/b/c.avi 1"])
def test_a_line_of_another_form_is_refused(root, line):
    write_list(root, "trainlist01.txt", "Archery/v_Archery_g08_c01.avi 1", line)
    with pytest.raises(ValueError, match=r"Line 2 of .*trainlist01.txt must be as in Archery/v_"):
        prepare_ucf101(root)


def test_unknown_splits_and_missing_lists_are_refused(root):
    with pytest.raises(ValueError, match="`split` of UCF101 must be 1, 2 or 3. Received: 0"):
        prepare_ucf101(root, split=0)
    with pytest.raises(FileNotFoundError, match="There is no list trainlist02.txt"):
        prepare_ucf101(root, split=2)
    with pytest.raises(ValueError, match="`validation_fraction` must be .* below 1. Received: 1.5"):
        prepare_ucf101(root, validation_fraction=1.5)
