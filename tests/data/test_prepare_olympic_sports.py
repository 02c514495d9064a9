"""Olympic Sports: lists and class folders become the official split, or a sentence on faults."""

from pathlib import Path

import pytest
from dataset_layouts_official import OLYMPIC_SPORTS, make_olympic_sports

from cham_keras.data.prepare import prepare_olympic_sports
from cham_keras.data.prepare.olympic_sports import source_video

REAL_NAMES = Path(__file__).parents[3] / "shared" / "data" / "splits" / "olympic_sports_clips.list"
needs_real_names = pytest.mark.skipif(
    not REAL_NAMES.is_file(), reason=f"needs the real names in {REAL_NAMES}, which are not here"
)


@pytest.fixture
def root(tmp_path) -> Path:
    return make_olympic_sports(tmp_path / "OlympicSports")


def test_the_official_split_is_kept_and_the_class_is_spelt_right(root):
    clip_list = prepare_olympic_sports(root, validation_fraction=0).clip_list
    assert clip_list.root == root
    assert clip_list.classes == ("clean_and_jerk", "diving_platform_10m")
    assert {(clip.path, clip.split) for clip in clip_list.clips} == {
        (f"{label}/{name}.seq", side)
        for label, sides in OLYMPIC_SPORTS.items()
        for side, names in sides.items()
        for name in names
    }
    assert {clip.label for clip in clip_list.clips if "platfrom" in clip.path} == {
        "diving_platform_10m"
    }
    assert all(clip_list.path_of(clip).is_file() for clip in clip_list.clips)


@pytest.mark.parametrize("corrected", ["folder", "lists", "both"])
def test_both_spellings_are_known_in_folders_and_lists(root, corrected):
    expected = prepare_olympic_sports(root).clip_list
    if corrected in ("folder", "both"):
        (root / "diving_platfrom_10m").rename(root / "diving_platform_10m")
    if corrected in ("lists", "both"):
        for path in root.rglob("diving_platfrom_10m.txt"):
            path.rename(path.with_name("diving_platform_10m.txt"))
    found = prepare_olympic_sports(root).clip_list
    assert found.classes == expected.classes
    assert [(Path(clip.path).name, clip.split, clip.group) for clip in found.clips] == [
        (Path(clip.path).name, clip.split, clip.group) for clip in expected.clips
    ]


def test_groups_are_source_videos_and_one_on_both_sides_is_told(root):
    prepared = prepare_olympic_sports(root, validation_fraction=0)
    groups = {Path(clip.path).stem: clip.group for clip in prepared.clip_list.clips}
    assert groups["-2dg_CM4cMC_02278_02732"] == groups["-2dg_CM4cMC_03001_03100"] == "-2dg_CM4cMC"
    assert groups["_uFJRfPZY58_00001_00040"] == "_uFJRfPZY58 (train)"
    assert groups["_uFJRfPZY58_13198_13422"] == "_uFJRfPZY58 (test)"
    assert prepared.problems == (
        "There should be 16 classes. Found: 2.",
        "There should be 783 clips on the disk. Found: 7.",
        "There should be 649 training clips. Found: 5.",
        "There should be 134 test clips. Found: 2.",
        "1 of 5 source video(s) have clips on both sides of the official split, none of them "
        "within one class. The split was kept; their clips form one group a side: _uFJRfPZY58.",
    )
    assert source_video("my_clip") == "my_clip"


def test_validation_clips_are_whole_groups_of_training_clips(root):
    clip_list = prepare_olympic_sports(root, validation_fraction=0.4).clip_list
    validation = {clip.group for clip in clip_list.clips_of_split("validation")}
    assert validation.isdisjoint(clip.group for clip in clip_list.clips_of_split("train"))
    assert len(clip_list.clips_of_split("test")) == 2
    assert {clip.label for clip in clip_list.clips_of_split("validation")} == set(clip_list.classes)


def test_names_in_lists_may_have_their_folder_and_suffix(root):
    expected = prepare_olympic_sports(root)
    path = root / "train_test_split" / "train" / "clean_and_jerk.txt"
    lines = [f"clean_and_jerk/{line}.seq \n" for line in path.read_text().split()]
    path.write_text("\n".join(lines))
    assert prepare_olympic_sports(root) == expected
    path.write_text("one two\n")
    with pytest.raises(ValueError, match=r"Line 1 of .*clean_and_jerk.txt must be the name of one"):
        prepare_olympic_sports(root)


def test_folders_above_the_classes_and_lists_elsewhere_do_as_well(tmp_path, root):
    expected = prepare_olympic_sports(root)
    assert prepare_olympic_sports(tmp_path) == expected
    (root / "train_test_split").rename(tmp_path / "lists")
    assert prepare_olympic_sports(root, lists=tmp_path / "lists") == expected
    with pytest.raises(FileNotFoundError, match="in the folder train_test_split. .*--lists"):
        prepare_olympic_sports(root)
    with pytest.raises(FileNotFoundError, match=r"no list <class>.txt in .*OlympicSports.train"):
        prepare_olympic_sports(root, lists=root)
    with pytest.raises(FileNotFoundError, match="There is no folder .*nowhere"):
        prepare_olympic_sports(tmp_path / "nowhere")


def test_other_files_and_a_clip_in_both_folders_of_a_class_are_told(root):
    (root / "clean_and_jerk" / "h8TifTlWVw8_00713_00885.avi").touch()
    (root / "diving_platform_10m").mkdir()
    (root / "diving_platform_10m" / "4zcNO_QyWaw_00479_00616.seq").touch()
    problems = prepare_olympic_sports(root).problems
    assert problems[0].startswith("1 entries of class folders are no .seq files")
    assert problems[1] == (
        "1 clip(s) lie in two folders of one class; the second was left out: "
        "diving_platfrom_10m/4zcNO_QyWaw_00479_00616.seq."
    )


@needs_real_names
def test_the_real_names_give_sixteen_classes_and_their_source_videos(tmp_path):
    by_class: dict[str, list[str]] = {}
    for line in REAL_NAMES.read_text().split():
        label, name = line.split("/")
        by_class.setdefault(label, []).append(name.removesuffix(".seq"))
    names = [name for names in by_class.values() for name in names]
    assert len(names) == len(set(names)) == 783
    assert all(len(source_video(name)) == 11 for name in names)  # as ids on YouTube are
    # The official split is not at hand; any 134 clips to test on have the right counts.
    tested = set(sorted(names)[:134])
    clips = {
        label: {
            "train": [name for name in names if name not in tested],
            "test": [name for name in names if name in tested],
        }
        for label, names in by_class.items()
    }
    root = make_olympic_sports(tmp_path / "root", clips, write=Path.touch)
    prepared = prepare_olympic_sports(root)
    assert len(prepared.clip_list.clips) == 783
    assert len(prepared.clip_list.classes) == 16
    assert [problem for problem in prepared.problems if "source video(s)" not in problem] == []
