"""HMDB51: lists and class folders become the official split, or a sentence on what is wrong."""

import zipfile
from collections import Counter
from pathlib import Path

import pytest
from dataset_layouts_official import HMDB51, make_hmdb51, write_hmdb51_lists

from cham_keras.data.prepare import prepare_hmdb51
from cham_keras.data.prepare.hmdb51 import read_hmdb51_lists, source_video

REAL_LISTS = Path(__file__).parents[3] / "shared" / "data" / "splits" / "hmdb51"
needs_real_lists = pytest.mark.skipif(
    not REAL_LISTS.is_dir(), reason=f"needs the real lists in {REAL_LISTS}, which are not here"
)


@pytest.fixture
def root(tmp_path) -> Path:
    """Ten clips of two classes in `root`, and their lists beside it."""
    return make_hmdb51(tmp_path / "hmdb51_org")


def whole_hmdb51(root: Path) -> Path:
    """As many empty files as there are clips in HMDB51, in as many classes and sides."""
    sides = [1] * 70 + [2] * 30
    clips = {}
    for number in range(51):
        label = f"action_{number:02}"
        unused = 32 + (number < 34)  # 51 x 132 + 34 = 6,766
        clips[label] = {
            f"{label}_film{n // 2}_{label}_u_cm_np1_fr_med_{n}.avi": side
            for n, side in enumerate(sides + [0] * unused)
        }
    return make_hmdb51(root, clips, write=Path.touch)


def problem_with(words: str, problems: tuple[str, ...]) -> str:
    """The one problem that has these words."""
    (problem,) = [problem for problem in problems if words in problem]
    return problem


def test_the_official_split_is_kept_to_the_clip(root):
    clip_list = prepare_hmdb51(root, validation_fraction=0).clip_list
    assert clip_list.root == root
    assert clip_list.classes == ("kiss", "shoot_bow")
    assert {clip.path: clip.split for clip in clip_list.clips} == {
        f"{label}/{name}": {1: "train", 2: "test"}[side]
        for label, sides in HMDB51.items()
        for name, side in sides.items()
        if side
    }
    assert all(clip_list.path_of(clip).is_file() for clip in clip_list.clips)
    paths = [clip.path for clip in clip_list.clips]
    assert paths == sorted(paths)


def test_clips_of_one_source_are_one_group_and_a_source_on_both_sides_is_told(root):
    prepared = prepare_hmdb51(root, validation_fraction=0)
    groups = {clip.path.split("/")[1]: clip.group for clip in prepared.clip_list.clips}
    assert groups["#20_Rhett_Kelley_(2nd)_shoot_bow_u_nm_np1_ba_med_0.avi"] == (
        "#20_Rhett_Kelley_(2nd)"
    )
    assert groups["50_FIRST_DATES_kiss_u_cm_np2_fr_med_17.avi"] == "50_FIRST_DATES (train)"
    assert groups["50_FIRST_DATES_kiss_u_cm_np2_le_goo_18.avi"] == "50_FIRST_DATES (train)"
    assert groups["50_FIRST_DATES_shoot_bow_u_cm_np1_fr_goo_30.avi"] == "50_FIRST_DATES (test)"
    assert problem_with("source video(s)", prepared.problems) == (
        "1 of 6 source video(s) have clips on both sides of the official split, none of them "
        "within one class. The split was kept; their clips form one group a side: 50_FIRST_DATES."
    )


def test_a_source_on_both_sides_within_a_class_is_counted(tmp_path):
    clips = {label: dict(sides) for label, sides in HMDB51.items()}
    clips["kiss"]["50_FIRST_DATES_kiss_u_cm_np2_fr_med_3.avi"] = 2
    problems = prepare_hmdb51(make_hmdb51(tmp_path / "root", clips)).problems
    assert "1 of them within one class" in problem_with("source video(s)", problems)
    assert problem_with("source video(s)", problems).endswith(": kiss/50_FIRST_DATES.")


def test_validation_clips_are_whole_groups_of_training_clips(root):
    without = prepare_hmdb51(root, validation_fraction=0).clip_list
    clip_list = prepare_hmdb51(root, validation_fraction=0.4).clip_list
    assert clip_list == prepare_hmdb51(root, validation_fraction=0.4).clip_list
    for before, after in zip(without.clips, clip_list.clips, strict=True):
        assert (before.split == "test") == (after.split == "test")
    validation = {clip.group for clip in clip_list.clips_of_split("validation")}
    assert validation
    assert validation.isdisjoint(clip.group for clip in clip_list.clips_of_split("train"))
    assert {clip.label for clip in clip_list.clips_of_split("validation")} == set(HMDB51)


def test_another_seed_chooses_other_validation_clips_and_the_same_test_clips(tmp_path):
    clips = {
        label: {f"film{n}_{label}_u_cm_np1_fr_med_{n}.avi": 1 if n < 6 else 2 for n in range(8)}
        for label in ("kiss", "wave")
    }
    root = make_hmdb51(tmp_path / "root", clips)
    lists = [prepare_hmdb51(root, seed=seed).clip_list for seed in range(4)]
    assert len({found.clips_of_split("validation") for found in lists}) > 1
    assert len({found.clips_of_split("test") for found in lists}) == 1


def test_a_whole_data_set_has_no_problem_but_its_unused_clips(tmp_path):
    root = whole_hmdb51(tmp_path / "hmdb51_org")
    prepared = prepare_hmdb51(root, validation_fraction=0.15, seed=1)
    number = Counter(clip.split for clip in prepared.clip_list.clips)
    assert number["train"] + number["validation"] == 3570
    assert abs(number["validation"] - 0.15 * 3570) < 52
    assert number["test"] == 1530
    assert len(prepared.clip_list.classes) == 51
    (problem,) = prepared.problems
    assert problem.startswith("1666 clip(s) are on neither side of this official split")


def test_deviations_from_the_true_counts_are_told(root):
    problems = prepare_hmdb51(root).problems
    assert "There should be 51 classes. Found: 2." in problems
    assert "There should be 6766 clips on the disk. Found: 10." in problems
    assert "There should be 3570 training clips. Found: 6." in problems
    assert "There should be 1530 test clips. Found: 3." in problems
    assert problem_with("Every class", problems) == (
        "Every class should have 70 training and 30 test clips. 2 have others: kiss 3/1, "
        "shoot_bow 3/2."
    )
    assert problem_with("neither side", problems).startswith("1 clip(s) are on neither side")


def test_differences_between_lists_and_disk_are_counted_and_named(root):
    (root / "kiss" / "50_FIRST_DATES_kiss_u_cm_np2_fr_med_17.avi").unlink()
    (root / "kiss" / "extra_kiss_u_cm_np1_fr_med_0.avi").touch()
    (root / "shoot_bow" / "Thumbs.db").touch()
    (root / "shoot_bow" / ".DS_Store").touch()
    prepared = prepare_hmdb51(root, validation_fraction=0)
    assert len(prepared.clip_list.clips) == 8
    assert problem_with("missing on the disk", prepared.problems) == (
        "1 of 10 clip(s) in the lists are missing on the disk: "
        "kiss/50_FIRST_DATES_kiss_u_cm_np2_fr_med_17.avi."
    )
    assert problem_with("in no list", prepared.problems) == (
        "1 clip(s) on the disk stand in no list and were left out: "
        "kiss/extra_kiss_u_cm_np1_fr_med_0.avi."
    )
    assert problem_with("no .avi files", prepared.problems).endswith(
        "were left out: shoot_bow/Thumbs.db."
    )


def test_the_split_that_is_asked_for_is_read(tmp_path):
    root = make_hmdb51(tmp_path / "root")
    turned = {
        label: {name: {1: 2, 2: 1, 0: 0}[side] for name, side in sides.items()}
        for label, sides in HMDB51.items()
    }
    write_hmdb51_lists(tmp_path / "testTrainMulti_7030_splits", turned, split=2)
    first = prepare_hmdb51(root, split=1, validation_fraction=0).clip_list
    second = prepare_hmdb51(root, split=2, validation_fraction=0).clip_list
    assert [clip.split for clip in second.clips] == [
        {"train": "test", "test": "train"}[clip.split] for clip in first.clips
    ]
    with pytest.raises(ValueError, match="`split` of HMDB51 must be 1, 2 or 3. Received: 4"):
        prepare_hmdb51(root, split=4)
    with pytest.raises(FileNotFoundError, match="no list <class>_test_split3.txt in"):
        prepare_hmdb51(root, split=3)


def test_the_folder_above_the_class_folders_and_lists_elsewhere_do_as_well(tmp_path, root):
    expected = prepare_hmdb51(root).clip_list
    assert prepare_hmdb51(tmp_path).clip_list == expected
    beside = tmp_path / "testTrainMulti_7030_splits"
    beside.rename(tmp_path / "my lists")
    with pytest.raises(FileNotFoundError, match="must lie in .*hmdb51_org or beside it.*--lists"):
        prepare_hmdb51(root)
    assert prepare_hmdb51(root, lists=tmp_path / "my lists").clip_list == expected
    with zipfile.ZipFile(tmp_path / "test_train_splits.zip", "w") as archive:
        for path in (tmp_path / "my lists").iterdir():
            archive.write(path, f"testTrainMulti_7030_splits/{path.name}")
    assert prepare_hmdb51(root).clip_list == expected
    with pytest.raises(FileNotFoundError, match="no folder or archive of lists .*nowhere"):
        prepare_hmdb51(root, lists=tmp_path / "nowhere")


@pytest.mark.parametrize("line", ["a_kiss_u_cm_np1_fr_med_0.avi", "a.avi 3", "a.avi one", "1"])
def test_a_line_that_is_no_name_and_side_is_refused(root, line):
    path = root.parent / "testTrainMulti_7030_splits" / "kiss_test_split1.txt"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=r"Line 5 of .*kiss_test_split1.txt must be .* 0, 1 or 2"):
        prepare_hmdb51(root)


def test_a_clip_on_both_sides_is_refused_and_a_repeated_one_told(root):
    path = root.parent / "testTrainMulti_7030_splits" / "kiss_test_split1.txt"
    name = "50_FIRST_DATES_kiss_u_cm_np2_fr_med_17.avi"
    text = path.read_text()
    path.write_text(f"{text}{name} 1\n")
    assert problem_with("more than once", prepare_hmdb51(root).problems) == (
        f"1 clip(s) stand in the lists more than once: kiss/{name}."
    )
    path.write_text(f"{text}{name} 2\n")
    with pytest.raises(ValueError, match="Received: kiss/50_.* for train and for test"):
        prepare_hmdb51(root)


def test_a_folder_without_class_folders_or_clips_is_refused(tmp_path, root):
    lists = tmp_path / "testTrainMulti_7030_splits"
    with pytest.raises(
        FileNotFoundError, match=r"must hold class folders, such as kiss, shoot_bow"
    ):
        prepare_hmdb51(lists, lists=lists)
    with pytest.raises(FileNotFoundError, match="no folder or archive .*nowhere"):
        prepare_hmdb51(tmp_path / "nowhere")
    for path in root.rglob("*.avi"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="None of the 10 clips in the lists lies in"):
        prepare_hmdb51(root)


def test_a_name_of_another_form_is_its_own_source():
    assert source_video("my clip.avi", "kiss") == "kiss/my clip.avi"
    # The class's name may stand in the source's name too.
    assert source_video("x_wave_wave_y_wave_h_nm_np12_ri_bad_0.avi", "wave") == "x_wave_wave_y"


@needs_real_lists
@pytest.mark.parametrize("split", [1, 2, 3])
def test_the_real_lists_have_the_counts_that_the_owners_state(split):
    listed = read_hmdb51_lists(REAL_LISTS, split)
    assert len({clip.key for clip in listed}) == len(listed) == 6766
    assert Counter(clip.side for clip in listed) == {"train": 3570, "test": 1530, None: 1666}
    of_class = Counter((clip.label, clip.side) for clip in listed if clip.side)
    assert len({label for label, _ in of_class}) == 51
    assert {
        side: {of_class[key] for key in of_class if key[1] == side} for _, side in of_class
    } == {
        "train": {70},
        "test": {30},
    }
    # The owners keep a source on one side within a class; films do stand on both with two classes.
    sides: dict[tuple[str, str], set] = {}
    for clip in listed:
        assert clip.source != f"{clip.label}/{clip.name}"  # every name is of the known form
        if clip.side:
            sides.setdefault((clip.label, clip.source), set()).add(clip.side)
    assert all(len(found) == 1 for found in sides.values())
