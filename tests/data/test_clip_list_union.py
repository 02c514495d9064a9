"""The union of several splits' clip lists can be extracted once and resplit for each of them."""

import dataclasses
from pathlib import Path

import pytest
from dataset_layouts_official import HMDB51, make_hmdb51, write_hmdb51_lists
from shard_testing import SPEC, features_of_clip

from cham_keras.data import (
    Clip,
    ClipFeatures,
    ClipList,
    clips_in_split,
    resplit,
    union_of_clip_lists,
    verify_shards,
    write_shards,
)
from cham_keras.data.prepare import prepare_hmdb51


def list_of(**clips) -> ClipList:
    """A clip list from names, each with "split group"."""
    return ClipList(
        Path("/videos"),
        ("hop", "run"),
        [
            Clip(f"{name}.mp4", ("hop", "run")[ord(name[0]) % 2], *stated.split(" ", 1))
            for name, stated in clips.items()
        ],
    )


def test_every_clip_stands_there_once_and_is_for_training():
    union = union_of_clip_lists(
        [list_of(b="train x", a="test y"), list_of(c="train z", b="test x")]
    )
    assert [clip.path for clip in union.clips] == ["a.mp4", "b.mp4", "c.mp4"]
    assert {clip.split for clip in union.clips} == {"train"}
    assert [clip.group for clip in union.clips] == ["y", "x", "z"]
    assert (union.root, union.classes) == (Path("/videos"), ("hop", "run"))


def test_what_is_one_group_in_any_list_is_one_in_the_union():
    lists = [
        list_of(a="train x", b="train x", c="test y", d="train z"),
        list_of(a="train p", b="test q", c="train p", d="test z"),
    ]
    union = {clip.path[0]: clip.group for clip in union_of_clip_lists(lists).clips}
    assert union == {"a": "p", "b": "p", "c": "p", "d": "z"}


def test_the_sides_that_prepare_makes_of_a_source_are_one_group_again():
    lists = [
        list_of(a="train film (train)", b="test film (test)", c="train other (train)"),
        list_of(d="train film"),
    ]
    union = {clip.path[0]: clip.group for clip in union_of_clip_lists(lists).clips}
    assert union == {"a": "film", "b": "film", "c": "other (train)", "d": "film"}


def test_lists_that_contradict_each_other_are_refused():
    one = list_of(a="train x", b="train y")
    with pytest.raises(ValueError, match="at least one clip list"):
        union_of_clip_lists([])
    with pytest.raises(ValueError, match="must have the same root. Received: /videos and /other"):
        union_of_clip_lists([one, dataclasses.replace(one, root=Path("/other"))])
    with pytest.raises(ValueError, match="same classes. Received: hop, run and hop, run, skip"):
        union_of_clip_lists([one, dataclasses.replace(one, classes=("hop", "run", "skip"))])
    clip = dataclasses.replace(one.clips[0], label="hop")
    other = dataclasses.replace(one, clips=(clip, one.clips[1]))
    with pytest.raises(ValueError, match="same class in all lists. Received: run and hop for a"):
        union_of_clip_lists([one, other])
    counted = [
        dataclasses.replace(one, clips=(dataclasses.replace(one.clips[0], num_frames=n),))
        for n in (3, 4)
    ]
    with pytest.raises(ValueError, match="same number of frames in all lists. Received: 3 and 4"):
        union_of_clip_lists(counted)
    assert union_of_clip_lists([one, counted[1]]).clips[0].num_frames == 4


def test_official_splits_are_laid_over_the_shards_of_their_union(tmp_path):
    make_hmdb51(tmp_path / "videos", write=Path.touch)
    other = {
        label: {name: {0: 2, 1: 1, 2: 1}[side] for name, side in sides.items()}
        for label, sides in HMDB51.items()
    }
    other["kiss"] = dict.fromkeys(HMDB51["kiss"], 1) | {next(iter(HMDB51["kiss"])): 2}
    write_hmdb51_lists(tmp_path / "testTrainMulti_7030_splits", other, split=2)
    lists = [
        prepare_hmdb51(tmp_path / "videos", split, validation_fraction=0).clip_list
        for split in (1, 2)
    ]
    union = union_of_clip_lists(lists)
    assert len(union.clips) == 10 > len(lists[0].clips)
    # A film on both sides of each split, in other halves: one group again.
    of_film = {clip.group for clip in union.clips if "50_FIRST_DATES" in clip.path}
    assert of_film == {"50_FIRST_DATES"}
    clips = [
        ClipFeatures(c.id, c.split, union.label_of(c), c.group, 10.0, features_of_clip(i, 2))
        for i, c in enumerate(union.clips)
    ]
    write_shards(
        tmp_path / "shards", clips, classes=union.classes, backbone=SPEC, clips_per_shard=3
    )
    for number, clip_list in enumerate(lists):
        view = tmp_path / f"split-{number}"
        divided = resplit(tmp_path / "shards", clip_list, view).divided_groups
        assert "50_FIRST_DATES" in divided
        for split in ("train", "test"):
            found = {clip.id for clip in clips_in_split(view, split)}
            assert found == {clip.id for clip in clip_list.clips_of_split(split)}
        assert verify_shards(view) == []
