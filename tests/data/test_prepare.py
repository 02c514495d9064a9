"""Tables and class folders become clip lists, or a clear error."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from cham_keras.data.prepare import prepare_csv, prepare_folder

REAL_CLIPS = Path(__file__).parents[3] / "shared" / "data"
needs_real_clips = pytest.mark.skipif(
    not REAL_CLIPS.is_dir(), reason=f"needs the real clips in {REAL_CLIPS}, which are not here"
)

TIMES = "path,label,split,start,end\n"


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
    clip_list = prepare_csv(videos / "clips.csv", seed=1).clip_list
    assert clip_list.classes == ("hop", "run")
    assert clip_list.root == videos
    assert [clip.path for clip in clip_list.clips][:2] == ["run/00.mp4", "run/01.mp4"]
    # Four groups of three a class: the fractions 0.15 and 0.25 come to one group each.
    assert Counter((clip.label, clip.split) for clip in clip_list.clips) == {
        (label, split): number
        for label in ("hop", "run")
        for split, number in (("train", 6), ("validation", 3), ("test", 3))
    }
    assert prepare_csv(videos / "clips.csv", seed=1).clip_list == clip_list


def test_splits_that_a_csv_states_are_taken_as_they_are(videos):
    path = make_csv(
        videos, "label,split,path\nrun,test,run/00.mp4\nhop,train,hop/00.mp4\nrun,val,run/01.mp4\n"
    )
    clip_list = prepare_csv(path).clip_list
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
    clips = prepare_csv(path).clip_list.clips
    assert [(clip.path, clip.label) for clip in clips] == [
        ("run/00.mp4", "run"),
        ("hop/00.mp4", "hop"),
    ]


def test_paths_count_from_the_root_where_one_is_given(videos, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    text = f"path,label,split\nrun/00.mp4,run,train\n{videos}/hop/00.mp4,hop,test\n"
    clip_list = prepare_csv(make_csv(elsewhere, text), root=videos).clip_list
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
        (
            "path,label,start\nrun/00.mp4,run,soon\nhop/00.mp4,hop,\n",
            "`start` must be a number.*'soon' for run/00",
        ),
        (
            f"{TIMES}run/00.mp4,run,train,4,4\nhop/00.mp4,hop,test,,\n",
            "clips.csv: `end_seconds` of a clip",
        ),
        (
            f"{TIMES}run/00.mp4,run,train,nan,\nhop/00.mp4,hop,test,,\n",
            "clips.csv: `start_seconds` of a clip",
        ),
    ],
)
def test_a_csv_that_breaks_a_rule_is_refused(videos, text, message):
    with pytest.raises(ValueError, match=message):
        prepare_csv(make_csv(videos, text))


def test_parts_of_a_file_are_clips_of_one_group(videos):
    rows = [
        f"{name},{name[:3]},,4.5\n{name},{name[:3]},4.5," for name in ("run/00.mp4", "hop/00.mp4")
    ]
    rows += [f"{name},{name[:3]},," for name in ("run/01.mp4", "hop/01.mp4")]
    path = make_csv(videos, "\n".join(["path,label,start,end", *rows]))
    clips = prepare_csv(path, test_fraction=0.3, validation_fraction=0).clip_list.clips
    assert [(c.start_seconds, c.end_seconds) for c in clips] == [(None, 4.5), (4.5, None)] * 2 + [
        (None, None)
    ] * 2
    assert [clip.id for clip in clips][:2] == ["run/00.mp4#t=0,4.5", "run/00.mp4#t=4.5"]
    assert all(clip.group == clip.path for clip in clips)
    for name in ("run/00.mp4", "hop/00.mp4"):
        assert len({clip.split for clip in clips if clip.path == name}) == 1


def test_parts_of_a_file_may_have_groups_of_their_own_if_all_have_them(videos):
    text = (
        "path,label,group,split,start,end\n"
        "run/00.mp4,run,{},train,0,4\nrun/00.mp4,run,b,test,4,8\nhop/00.mp4,hop,,train,,\n"
    )
    clips = prepare_csv(make_csv(videos, text.format("a"))).clip_list.clips
    assert [clip.group for clip in clips] == ["a", "b", "hop/00.mp4"]
    with pytest.raises(ValueError, match="all parts of a file or for none.*run/00.mp4.* and b"):
        prepare_csv(make_csv(videos, text.format("")))


def test_a_csv_may_name_folders_of_images(videos):
    make_files(videos, *(f"run/images/{n}.jpg" for n in (1, 2, 4)), "run/empty/notes.txt")
    text = "path,label,split,end\nrun/images,run,train,\nhop/00.mp4,hop,test,\n"
    prepared = prepare_csv(make_csv(videos, text))
    assert [clip.num_frames for clip in prepared.clip_list.clips] == [3, None]
    gap = "1 folder(s) of images miss numbers; the images that are there are used: "
    assert prepared.problems == (f"{gap}run/images.",)
    # How many frames a part has nobody knows before its times are known.
    clips = prepare_csv(make_csv(videos, text.replace("train,", "train,2"))).clip_list.clips
    assert clips[0].num_frames is None
    with pytest.raises(ValueError, match=r"1 folder\(s\) in .* hold none: run/empty"):
        prepare_csv(make_csv(videos, text.replace("images", "empty")))


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
    clip_list = prepare_folder(videos, test_fraction=0.25, validation_fraction=0.25).clip_list
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
    clip_list = prepare_folder(tmp_path).clip_list
    assert {(clip.path, clip.label, clip.split) for clip in clip_list.clips} == {
        ("train/run/1 [a].MP4", "run", "train"),
        ("train/hop/1.avi", "hop", "train"),
        ("val/run/2.mkv", "run", "validation"),
        ("test/hop/3.mp4", "hop", "test"),
    }


def test_hidden_files_are_passed_over_and_others_reported(videos):
    make_files(videos, "hop/.DS_Store", ".git/x.mp4", "__MACOSX/hop/00.mp4", "hop/._00.mp4")
    make_files(videos, "run/notes.txt", "run/list.xml")
    prepared = prepare_folder(videos)
    assert len(prepared.clip_list.clips) == 24
    assert prepared.problems == (
        "2 file(s) are no clips and were left out: run/list.xml, run/notes.txt.",
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "must hold one folder a class.*It holds none"),
        (["run/1.mp4", "run/2.mp4"], r"at least two classes.*\['run'\]"),
        (
            ["run/1.mp4", "hop/notes.txt"],
            r"class folder .*hop must hold at least one clip.*1 other file\(s\)\.",
        ),
        (["run/1.mp4", "2.mp4"], r"in a folder of their class.*such as 2.mp4"),
        (["run/1.mp4", "hop/deep/2.mp4"], "Received: .*deep, a folder without images"),
        (["run/1.mp4", "hop/0001.jpg"], "1 other file.*images among them: put those of each"),
        (["run/1.mp4", "hop/one/a.jpg"], "must have numbers in their names. Received: .*a.jpg"),
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


def test_sequences_and_folders_of_images_are_clips(tmp_path):
    make_files(tmp_path, "run/1.SEQ", "run/2.mp4", "hop/one.seq")
    make_files(tmp_path, *(f"hop/two/frame{n}.png" for n in (1, 2, 10)), "hop/two/notes.txt")
    prepared = prepare_folder(tmp_path, test_fraction=0.5, validation_fraction=0)
    assert [(clip.path, clip.label, clip.num_frames) for clip in prepared.clip_list.clips] == [
        ("hop/one.seq", "hop", None),
        ("hop/two", "hop", 3),
        ("run/1.SEQ", "run", None),
        ("run/2.mp4", "run", None),
    ]
    gap = "1 folder(s) of images miss numbers; the images that are there are used: "
    assert prepared.problems == (f"{gap}hop/two.",)
    for name in ("train", "test"):
        make_files(tmp_path / "stated", f"{name}/run/a/1.jpg", f"{name}/hop/b.seq")
    clips = prepare_folder(tmp_path / "stated").clip_list.clips
    assert [(clip.path, clip.split) for clip in clips] == [
        ("test/hop/b.seq", "test"),
        ("test/run/a", "test"),
        ("train/hop/b.seq", "train"),
        ("train/run/a", "train"),
    ]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        prepare_folder(tmp_path / "nowhere")


@needs_real_clips
def test_the_real_surveillance_clips_are_split_by_source_video():
    path = REAL_CLIPS / "surv_fight" / "clips.csv"
    clip_list = prepare_csv(path, seed=0).clip_list
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
