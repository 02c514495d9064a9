"""Tables and class folders become clip lists, or a clear error."""

import csv
import logging
from collections import Counter
from pathlib import Path

import pytest

from cham_keras.data.prepare import prepare_csv, prepare_folder

REAL_CLIPS = Path(__file__).parents[3] / "shared" / "data"
needs_real_clips = pytest.mark.skipif(
    not REAL_CLIPS.is_dir(), reason=f"needs the real clips in {REAL_CLIPS}, which are not here"
)


def make_files(root: Path, *names: str) -> None:
    """Files that stand for clips: preparing looks at names only."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def make_csv(folder: Path, text: str, encoding="utf-8") -> Path:
    path = folder / "clips.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture
def videos(tmp_path) -> Path:
    """Twelve clips of two classes in class folders, and a CSV with groups of three."""
    names = [f"{label}/{n:02}.mp4" for label in ("run", "hop") for n in range(12)]
    make_files(tmp_path, *names)
    rows = [f"{name},{name[:3]},{name[:3]}{int(name[4:6]) // 3}" for name in names]
    make_csv(tmp_path, "\r\n".join(["path,label,group", *rows, ""]))
    return tmp_path


def test_a_csv_is_split_by_groups(videos):
    clip_list = prepare_csv(videos / "clips.csv", seed=1)
    assert clip_list.classes == ("hop", "run")
    assert clip_list.root == videos
    assert [clip.path for clip in clip_list.clips][:2] == ["run/00.mp4", "run/01.mp4"]
    # Four groups of three a class: the fractions 0.15 and 0.25 come to one group each.
    assert Counter((clip.label, clip.split) for clip in clip_list.clips) == {
        (label, split): number
        for label in ("hop", "run")
        for split, number in (("train", 6), ("validation", 3), ("test", 3))
    }
    assert prepare_csv(videos / "clips.csv", seed=1) == clip_list


def test_splits_that_a_csv_states_are_taken_as_they_are(videos):
    path = make_csv(
        videos, "label,split,path\nrun,test,run/00.mp4\nhop,train,hop/00.mp4\nrun,val,run/01.mp4\n"
    )
    clip_list = prepare_csv(path)
    assert [clip.split for clip in clip_list.clips] == ["test", "train", "validation"]
    assert [clip.group for clip in clip_list.clips] == ["run/00.mp4", "hop/00.mp4", "run/01.mp4"]


def test_groups_that_stated_splits_cut_are_refused(videos):
    path = make_csv(
        videos,
        "path,label,split,group\nrun/00.mp4,run,train,a\nhop/00.mp4,hop,train,\nrun/01.mp4,run,test,a\n",
    )
    with pytest.raises(ValueError, match="group 'a' in train and in test"):
        prepare_csv(path)


def test_spaces_and_the_mark_that_spreadsheets_write_do_no_harm(videos):
    path = make_csv(
        videos, "path, label ,split\nrun/00.mp4, run,train\n ./hop/00.mp4,hop , test\n", "utf-8-sig"
    )
    clips = prepare_csv(path).clips
    assert [(clip.path, clip.label) for clip in clips] == [
        ("run/00.mp4", "run"),
        ("hop/00.mp4", "hop"),
    ]


def test_paths_count_from_the_root_where_one_is_given(videos, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    text = f"path,label,split\nrun/00.mp4,run,train\n{videos}/hop/00.mp4,hop,test\n"
    clip_list = prepare_csv(make_csv(elsewhere, text), root=videos)
    assert clip_list.root == videos
    assert [clip.path for clip in clip_list.clips] == ["run/00.mp4", "hop/00.mp4"]
    with pytest.raises(ValueError, match=r"must lie under .*elsewhere.*--root"):
        prepare_csv(make_csv(elsewhere, f"path,label\n{videos}/hop/00.mp4,hop\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Missing: path, label. Columns there: none"),
        ("file,label\na.mp4,run\n", "Missing: path. Columns there: file, label"),
        ("path,label,gruop\na.mp4,run,x\n", "and no other. Columns there: path, label, gruop"),
        ("path,label,label\na.mp4,run,run\n", "once, and no other"),
        ("path,label\n", "must name at least one clip"),
        ("path,label\nrun/00.mp4,run\nrun/01.mp4\n", "Line 3 of .* as many cells"),
        ("path,label\nrun/00.mp4,run,more\n", "Line 2 of .* as many cells"),
        ("path,label\nrun/00.mp4, \n", "`label` in line 2 of .* must not be empty"),
        ("path,label\nrun/00.mp4,run\nrun/01.mp4,run\n", r"at least two classes.*\['run'\]"),
        ("path,label,split\nrun/00.mp4,run,dev\nhop/00.mp4,hop,train\n", "run/00.mp4.*'dev'"),
        ("path,label,split\nrun/00.mp4,run,\nhop/00.mp4,hop,train\n", "Received: ''"),
        ("path,label,split\nrun/00.mp4,run,train\nhop/../run/00.mp4,hop,train\n", "twice: run/00"),
        ("path,label\nrun/00.mp4,run\nhop/00.mp4,hop\n", "'hop' would be missing in .* 1 group"),
        ('path,label\n"run/00.mp4,run\n', "must be a CSV file in UTF-8"),
    ],
)
def test_a_csv_that_breaks_a_rule_is_refused(videos, text, message):
    with pytest.raises(ValueError, match=message):
        prepare_csv(make_csv(videos, text))


def test_a_csv_in_another_encoding_is_refused(videos):
    with pytest.raises(ValueError, match=r"clips.csv must be a CSV file in UTF-8"):
        prepare_csv(make_csv(videos, "path,label\nrün/00.mp4,run\n", "latin-1"))


def test_clips_that_do_not_exist_are_counted_and_the_first_named(videos):
    for number in range(6):
        (videos / "hop" / f"{number:02}.mp4").unlink()
    with pytest.raises(FileNotFoundError, match="6 of 24 clips .* do not exist.*hop/00.mp4") as e:
        prepare_csv(videos / "clips.csv")
    assert "hop/04.mp4, …" in str(e.value) and "hop/05.mp4" not in str(e.value)
    with pytest.raises(FileNotFoundError, match=r"no CSV file .*nowhere.csv"):
        prepare_csv(videos / "nowhere.csv")


def test_class_folders_are_split(videos):
    clip_list = prepare_folder(videos, test_fraction=0.25, validation_fraction=0.25)
    assert clip_list.classes == ("hop", "run")
    assert Counter((clip.label, clip.split) for clip in clip_list.clips) == {
        (label, split): number
        for label in ("hop", "run")
        for split, number in (("train", 6), ("validation", 3), ("test", 3))
    }
    assert all(clip.path.startswith(clip.label) for clip in clip_list.clips)
    assert all(clip.group == clip.path for clip in clip_list.clips)
    paths = [clip.path for clip in clip_list.clips]
    assert paths == sorted(paths)


def test_folders_of_splits_are_taken_as_they_are(tmp_path):
    names = ["train/run/1 [a].MP4", "train/hop/1.avi", "val/run/2.mkv", "test/hop/3.mp4"]
    make_files(tmp_path, *names)
    clip_list = prepare_folder(tmp_path)
    assert {(clip.path, clip.label, clip.split) for clip in clip_list.clips} == {
        ("train/run/1 [a].MP4", "run", "train"),
        ("train/hop/1.avi", "hop", "train"),
        ("val/run/2.mkv", "run", "validation"),
        ("test/hop/3.mp4", "hop", "test"),
    }


def test_hidden_files_are_passed_over_and_others_reported(videos, caplog):
    make_files(videos, "hop/.DS_Store", ".git/x.mp4", "__MACOSX/hop/00.mp4", "hop/._00.mp4")
    make_files(videos, "run/notes.txt", "run/list.xml")
    with caplog.at_level(logging.WARNING):
        assert len(prepare_folder(videos).clips) == 24
    assert [record.getMessage() for record in caplog.records] == [
        f"{videos / 'run'}: left out 2 file(s) that are no videos, such as list.xml."
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "must hold one folder a class.*It holds none"),
        (["run/1.mp4", "run/2.mp4"], r"at least two classes.*\['run'\]"),
        (
            ["run/1.mp4", "hop/notes.txt"],
            r"class folder .*hop must hold at least one video.*1 other",
        ),
        (["run/1.mp4", "2.mp4"], r"in a folder of their class.*such as 2.mp4"),
        (["run/1.mp4", "hop/deep/2.mp4"], "must hold clips, not folders. Received: .*deep"),
        (["train/run/1.mp4", "hop/2.mp4"], "not both. Received: train beside hop"),
        (["train/1.mp4", "test/2.mp4"], "in a folder of their class.*such as 2.mp4"),
        (["train/run/1.mp4", "test/.keep"], "test must hold one folder a class"),
        (["test/run/1.mp4", "test/hop/1.mp4"], "At least one clip must be for training"),
        (["run/1.mp4", "hop/1.mp4"], "would be missing in .* 1 group"),
    ],
)
def test_folders_that_break_a_rule_are_refused(tmp_path, names, message):
    make_files(tmp_path, *names)
    with pytest.raises(ValueError, match=message):
        prepare_folder(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        prepare_folder(tmp_path / "nowhere")


@needs_real_clips
def test_the_real_surveillance_clips_are_split_by_source_video():
    path = REAL_CLIPS / "surv_fight" / "clips.csv"
    clip_list = prepare_csv(path, seed=0)
    assert clip_list.classes == ("fight", "no_fight")
    assert all(clip_list.path_of(clip).is_file() for clip in clip_list.clips)
    with path.open(newline="") as file:
        source = {row["path"]: row["group"] for row in csv.DictReader(file)}
    splits_of_source = {}
    for clip in clip_list.clips:
        splits_of_source.setdefault(source[clip.path], set()).add(clip.split)
    assert len(clip_list.clips) == 300
    assert all(len(splits) == 1 for splits in splits_of_source.values())
    for label in clip_list.classes:
        found = Counter(clip.split for clip in clip_list.clips if clip.label == label)
        assert abs(found["test"] / 150 - 0.25) < 0.05
        assert abs(found["validation"] / 150 - 0.15) < 0.05
