"""What `cham prepare` writes: clips.json, report.json and boxes.csv."""

import dataclasses
import json

import pytest

from cham_keras.data.clip_list import Clip, ClipList, read_clip_list
from cham_keras.data.prepare import Box, Prepared, read_boxes, write_prepared


@pytest.fixture
def prepared(tmp_path):
    """Three clips and two boxes; one clip's name has what CSV must quote."""
    clips = []
    for path, label, split, group in (
        ('a, "b".mp4', "run", "train", "x"),
        ("c.mp4", "run", "train", "x"),
        ("d.mp4", "hop", "test", "y"),
    ):
        (tmp_path / path).write_bytes(path.encode())
        clips.append(Clip(path, label, split, group))
    boxes = (Box('a, "b".mp4', 0, 1.0, 2.5, 30.0, 40.0), Box("d.mp4", 7, 0.0, 0.0, 1.0, 1.0))
    return Prepared(ClipList(tmp_path, ("hop", "run"), tuple(clips)), ("One is missing.",), boxes)


def test_clips_and_boxes_come_back_as_they_were(prepared, tmp_path):
    out = tmp_path / "out"
    assert write_prepared(prepared, out) == prepared
    assert read_clip_list(out) == prepared.clip_list
    assert read_boxes(out) == read_boxes(out / "boxes.csv") == prepared.boxes
    assert sorted(path.name for path in out.iterdir()) == ["boxes.csv", "clips.json", "report.json"]


def test_the_report_counts_clips_and_groups_by_class_and_split(prepared, tmp_path):
    write_prepared(prepared, tmp_path / "out")
    none = {"clips": 0, "groups": 0}
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == {
        "classes": {
            "hop": {"train": none, "validation": none, "test": {"clips": 1, "groups": 1}},
            "run": {"train": {"clips": 2, "groups": 1}, "validation": none, "test": none},
        },
        "splits": {
            "train": {"clips": 2, "groups": 1},
            "validation": none,
            "test": {"clips": 1, "groups": 1},
        },
        "clips": 3,
        "boxes": 2,
        "problems": ["One is missing."],
    }


def test_copies_stand_in_the_report(prepared, tmp_path):
    (tmp_path / "c.mp4").write_bytes((tmp_path / 'a, "b".mp4').read_bytes())
    written = write_prepared(prepared, tmp_path / "out")
    assert written.problems[0] == "One is missing." and "more than once" in written.problems[1]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["problems"] == list(written.problems)


def test_copies_on_both_sides_write_nothing_unless_they_are_allowed(prepared, tmp_path):
    (tmp_path / "d.mp4").write_bytes((tmp_path / "c.mp4").read_bytes())
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="both sides of a split"):
        write_prepared(prepared, out)
    assert not out.exists()
    assert len(write_prepared(prepared, out, duplicates="allow").problems) == 2
    assert write_prepared(prepared, out, duplicates="unchecked").problems == prepared.problems
    with pytest.raises(ValueError, match="`duplicates` must be one of refuse, allow, unchecked"):
        write_prepared(prepared, out, duplicates="ignore")


def test_boxes_of_an_earlier_call_do_not_stay(prepared, tmp_path):
    write_prepared(prepared, tmp_path / "out")
    write_prepared(dataclasses.replace(prepared, boxes=()), tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"no file of boxes .*boxes.csv"):
        read_boxes(tmp_path / "out")


def test_boxes_that_are_no_text_are_refused_by_name(tmp_path):
    text = "path,frame,left,top,width,height\né,0,1,1,1,1\n"
    (tmp_path / "boxes.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"boxes.csv must be UTF-8 text"):
        read_boxes(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,frame,left,top,width\n", "Missing: height"),
        ("", "Missing: path, frame, left, top, width, height"),
        ("path,frame,left,top,width,height\na,0,1,2,3,4\nb,0,1,x,3,4\n", "Line 3 .*b, 0, 1, x, 3"),
        ("path,frame,left,top,width,height\na,0.5,1,2,3,4\n", "Line 2"),
        ("path,frame,left,top,width,height\na,0,1,2,3\n", "Line 2 .* None"),
        ("path,frame,left,top,width,height\na,-1,1,2,3,4\n", "Line 2 .* from 0"),
        ("path,frame,left,top,width,height\na,0,nan,2,3,4\n", "Line 2 .* four finite numbers"),
        ("path,frame,left,top,width,height\na,0,1,2,0,4\n", "Line 2 .* are above 0"),
        ("path,frame,left,top,width,height\na,0,1,2,3,-4\n", "Line 2 .* are above 0"),
        ("path,frame,left,top,width,height\n", "at least one box. Received: its head alone"),
    ],
)
def test_boxes_in_another_form_are_refused(tmp_path, text, message):
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_boxes(tmp_path)
