"""Clip lists keep their rules, and come back from their file as they were."""

import json
from pathlib import Path

import pytest

from cham_keras.data.clip_list import Clip, ClipList, read_clip_list, split_named, write_clip_list


def two_clips() -> list[Clip]:
    return [
        Clip("run/1.mp4", "run", "train", "source a"),
        Clip("hop/2 & [3].mp4", "hop", "test", "Quelle ü"),
    ]


def test_a_clip_list_comes_back_from_its_file_as_it_was(tmp_path):
    clip_list = ClipList(tmp_path / "elsewhere" / "videos", ("hop", "run"), tuple(two_clips()))
    write_clip_list(clip_list, tmp_path / "prepared" / "clips.json")
    assert read_clip_list(tmp_path / "prepared" / "clips.json") == clip_list
    assert read_clip_list(tmp_path / "prepared") == clip_list


def test_the_file_has_the_form_in_the_map(tmp_path):
    write_clip_list(ClipList("/videos", ["hop", "run"], two_clips()), tmp_path / "clips.json")
    assert json.loads((tmp_path / "clips.json").read_text()) == {
        "schema_version": 2,
        "root": "/videos",
        "classes": ["hop", "run"],
        "clips": [
            {"path": "run/1.mp4", "label": "run", "split": "train", "group": "source a"},
            {"path": "hop/2 & [3].mp4", "label": "hop", "split": "test", "group": "Quelle ü"},
        ],
    }


def test_parts_of_a_file_and_known_lengths_come_back_and_have_names_of_their_own(tmp_path):
    clips = [
        Clip("a.mp4", "run", "train", "a", num_frames=40, end_seconds=1.5),
        Clip("a.mp4", "hop", "train", "a", start_seconds=1.5),
    ]
    clip_list = ClipList(tmp_path, ("hop", "run"), clips)
    write_clip_list(clip_list, tmp_path / "clips.json")
    assert read_clip_list(tmp_path) == clip_list
    assert [clip.id for clip in clip_list.clips] == ["a.mp4#t=0,1.5", "a.mp4#t=1.5"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_frames": 0}, "`num_frames` of a clip must be a whole number of at least 1"),
        ({"num_frames": 2.0}, "`num_frames` of a clip must be a whole number of at least 1"),
        ({"start_seconds": -1}, "`start_seconds` of a clip must be a number of at least 0"),
        ({"end_seconds": float("nan")}, "`end_seconds` of a clip must be a number of at least 0"),
        ({"start_seconds": 2, "end_seconds": 2}, "`end_seconds` of a clip must be after its start"),
    ],
)
def test_numbers_of_a_clip_that_are_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Clip("a.mp4", "run", "train", "a", **values)


def test_a_folder_that_holds_list_and_clips_can_be_moved(tmp_path):
    clip_list = ClipList(tmp_path / "old" / "videos", ["hop", "run"], two_clips())
    write_clip_list(clip_list, tmp_path / "old" / "clips.json")
    (tmp_path / "old").rename(tmp_path / "new")
    assert read_clip_list(tmp_path / "new").root == tmp_path / "new" / "videos"


def test_a_relative_root_is_written_absolute_where_it_lies_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_clip_list(ClipList(Path("videos"), ["hop", "run"], two_clips()), "prepared/clips.json")
    assert read_clip_list("prepared").root == tmp_path / "videos"


def test_labels_are_indices_into_the_sorted_classes():
    clips = two_clips()
    clip_list = ClipList(Path("videos"), ["hop", "run"], clips)
    assert [clip_list.label_of(clip) for clip in clips] == [1, 0]
    assert clip_list.path_of(clips[0]) == Path("videos/run/1.mp4")


def test_clips_of_a_split_keep_their_order():
    clips = [Clip(f"{n}.mp4", "ab"[n % 2], "train", str(n)) for n in (3, 1, 2)]
    clip_list = ClipList(Path(), ["a", "b"], clips)
    assert [clip.path for clip in clip_list.clips_of_split("train")] == ["3.mp4", "1.mp4", "2.mp4"]
    assert clip_list.clips_of_split("validation") == ()
    with pytest.raises(ValueError, match="train, validation, test. Received: 'val'"):
        clip_list.clips_of_split("val")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("1.mp4", "run", "val", "a"), "`split` must be one of train, validation, test.*'val'"),
        (("", "run", "train", "a"), "`path` of a clip must be a text"),
        (("1.mp4", 3, "train", "a"), "`label` of a clip must be a text"),
        (("1.mp4", "run", "train", ""), "`group` of a clip must be a text"),
        (("/videos/1.mp4", "run", "train", "a"), "must be relative to the list's root"),
    ],
)
def test_a_clip_that_breaks_a_rule_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Clip(*values)


@pytest.mark.parametrize(
    ("classes", "clips", "message"),
    [
        (["run"], two_clips()[:1], r"at least two classes.*Received: \['run'\]"),
        (["run", "hop"], two_clips(), "sorted and unique"),
        (["hop", "hop", "run"], two_clips(), "sorted and unique"),
        (["hop", "walk"], two_clips(), "run/1.mp4 is not a known class.*'run'. Known: hop, walk"),
        (["hop", "run"], two_clips() + two_clips()[:1], "stand there twice: run/1.mp4"),
        (["hop", "run"], two_clips()[1:], "At least one clip must be for training"),
        (["hop", "run"], [], "At least one clip must be for training"),
        (
            ["hop", "run"],
            [*two_clips(), Clip("run/4.mp4", "run", "validation", "source a")],
            r"'source a' in train and in validation \(run/4.mp4\)",
        ),
    ],
)
def test_a_list_that_breaks_a_rule_is_refused(classes, clips, message):
    with pytest.raises(ValueError, match=message):
        ClipList(Path("videos"), classes, clips)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 1}, "`schema_version` must be 2. Received: 1"),
        ({"frames": 3}, "must have the keys root, classes, clips, schema_version.*frames"),
        ({"root": None}, "`root` must be a text"),
        ({"clips": "all"}, "`clips` must be a list"),
        ({"clips": [{"path": "1.mp4"}]}, "Clip 0 .* must have the keys path, label, split, group"),
        ({"clips": [["1.mp4"]]}, "Clip 0 .* must be a JSON object"),
        ({"classes": ["run", "walk"]}, "not a known class.*Known: run, walk"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_by_name(tmp_path, change, message):
    path = tmp_path / "clips.json"
    write_clip_list(ClipList(Path("videos"), ["hop", "run"], two_clips()), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message) as raised:
        read_clip_list(path)
    assert str(raised.value).startswith(str(path))


def test_a_file_that_is_missing_or_no_json_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="clips.json"):
        read_clip_list(tmp_path)
    (tmp_path / "clips.json").write_text("[1, 2")
    with pytest.raises(ValueError, match=r"clips.json must be JSON"):
        read_clip_list(tmp_path)


def test_val_means_validation_and_unknown_names_are_refused():
    assert [split_named(name) for name in ("train", "val", "test")] == [
        "train",
        "validation",
        "test",
    ]
    with pytest.raises(ValueError, match="must be one of train, validation, val, test"):
        split_named("training")
