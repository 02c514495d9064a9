"""Folds: every clip is tested on once, groups stay whole, classes are everywhere to train on."""

import dataclasses
import itertools
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from shard_testing import CLASSES, SPEC, clip_features
from view_testing import FRAMES_OF_CLIPS, write_source

from cham_keras.data import (
    Clip,
    clip_dataset,
    clips_in_split,
    grouped_folds,
    leave_one_out_folds,
    read_manifest,
    resplit_into_folds,
    resplit_to_validate,
    resplit_without_pairs_of_folds,
    verify_shards,
    write_shards,
)
from cham_keras.data.mirrored_clips import mirrored_id


def clips_of(labels_and_groups) -> list[Clip]:
    return [
        Clip(f"{i}.mp4", f"class {label}", "train", f"group {group}")
        for i, (label, group) in enumerate(labels_and_groups)
    ]


def can_be_parted(groups_of_class, num_folds) -> bool:
    """Whether there are folds with every class in two of them, found by trying all."""
    groups = sorted(set.union(*groups_of_class.values()))
    return any(
        len(set(folds)) == num_folds
        and all(
            len({folds[groups.index(group)] for group in of_class}) > 1
            for of_class in groups_of_class.values()
        )
        for folds in itertools.product(range(num_folds), repeat=len(groups))
    )


AWKWARD = [(2, 1), (0, 4), (0, 0), (1, 3), (2, 3), (2, 4), (2, 3), (1, 0), (2, 4), (2, 4), (0, 4)]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 7)), min_size=1, max_size=60),
    st.integers(2, 5),
    st.integers(0, 3),
)
# Each two of three groups share a class: two folds cannot part them all, three can.
@example([(0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (2, 2)], 2, 0)
@example([(0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (2, 2)], 3, 0)
# From the first beginning, the largest groups first, a class stays in one fold.
@example(AWKWARD, 2, 0)
def test_folds_cover_clips_once_with_whole_groups_or_are_refused(clips, num_folds, seed):
    clips = clips_of(clips)
    groups_of_class = {clip.label: set() for clip in clips}
    for clip in clips:
        groups_of_class[clip.label].add(clip.group)
    num_groups = len({clip.group for clip in clips})
    try:
        folds = grouped_folds(clips, num_folds, seed)
    except ValueError as error:
        if min(map(len, groups_of_class.values())) < 2:
            assert "at least two groups" in str(error)
        elif num_groups < num_folds:
            assert "must be a group for each fold" in str(error)
        else:
            assert "must stand in at least two of the" in str(error)
            assert not can_be_parted(groups_of_class, num_folds)
        return
    assert len(folds) == len(clips)
    assert set(folds) == set(range(num_folds))
    assert len(set(zip(folds, (clip.group for clip in clips), strict=True))) == num_groups
    for fold in range(num_folds):
        trained_on = {c.label for c, f in zip(clips, folds, strict=True) if f != fold}
        assert trained_on == set(groups_of_class)
    assert folds == grouped_folds(clips, num_folds, seed)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8)), min_size=1, max_size=30))
def test_leave_one_out_makes_each_group_a_fold(clips):
    clips = clips_of(clips)
    try:
        folds = leave_one_out_folds(clips)
    except ValueError as error:
        assert "at least two groups" in str(error)
        return
    pairs = set(zip(folds, (clip.group for clip in clips), strict=True))
    assert len(pairs) == len(set(folds)) == len({clip.group for clip in clips})
    assert set(folds) == set(range(len(set(folds))))


def test_folds_have_their_share_of_every_class():
    rng = np.random.default_rng(0)
    clips = clips_of((group % 4, group) for group in range(200) for _ in range(rng.integers(1, 6)))
    folds = grouped_folds(clips, 5)
    counts = Counter(zip(folds, (clip.label for clip in clips), strict=True))
    for label in {clip.label for clip in clips}:
        of_folds = [counts[fold, label] for fold in range(5)]
        assert max(of_folds) - min(of_folds) <= 2, of_folds
    assert folds != grouped_folds(clips, 5, seed=1)


@pytest.mark.parametrize(
    ("clips", "num_folds", "sentence"),
    [
        ([(0, 0), (1, 1)], 1, "`num_folds` must be at least 2. Received: 1"),
        ([], 2, "at least one clip"),
        ([(0, 0), (0, 1), (1, 2), (1, 2)], 2, r"1 class\(es\) have one group: 'class 1'"),
        ([(0, 0), (0, 1), (1, 0), (1, 1)], 3, r"2 group\(s\) of 4 clip\(s\) for 3 folds"),
    ],
)
def test_folds_that_cannot_be_are_refused(clips, num_folds, sentence):
    with pytest.raises(ValueError, match=sentence):
        grouped_folds(clips_of(clips), num_folds)


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "shards")


def sides(view) -> dict[str, list[str]]:
    return {
        split: [clip.id for clip in clips_in_split(view, split)]
        for split in read_manifest(view).splits
    }


def test_each_clip_of_the_shards_is_tested_on_in_one_fold(source, tmp_path):
    manifests = resplit_into_folds(source, tmp_path / "folds", 3, validation_fraction=0.3, seed=1)
    views = sorted((tmp_path / "folds").glob("fold-*"))
    assert [view.name for view in views] == ["fold-0", "fold-1", "fold-2"]
    assert [read_manifest(view) for view in views] == manifests
    ids = sorted(clip.id for clip in clips_in_split(source, "train"))
    tested = []
    for view in views:
        of_split = sides(view)
        assert list(of_split) == ["train", "validation", "test"]
        assert sorted(itertools.chain(*of_split.values())) == ids
        assert verify_shards(view) == []
        assert read_manifest(view).split("train").clips_per_class.keys() == set(CLASSES)
        assert min(read_manifest(view).split("train").clips_per_class.values()) >= 1
        tested += of_split["test"]
    assert sorted(tested) == ids
    ((inputs, _),) = clip_dataset(views[1], "test", num_frames=2, batch_size=99)
    assert len(inputs["lengths"]) == manifests[1].split("test").clips
    said = json.loads((tmp_path / "folds" / "folds.json").read_text())
    assert (said["num_folds"], said["seed"], said["folds"][2]) == (3, 1, "fold-2")


def test_folds_to_validate_on_leave_the_test_clips_out(tmp_path):
    clips = [
        dataclasses.replace(clip_features(clip, frames), split="test" if clip < 3 else "train")
        for clip, frames in enumerate(FRAMES_OF_CLIPS)
    ]
    write_shards(tmp_path / "shards", clips, classes=CLASSES, backbone=SPEC)
    manifests = resplit_to_validate(tmp_path / "shards", tmp_path / "folds", 3, seed=1)
    views = [tmp_path / "folds" / f"fold-{fold}" for fold in range(3)]
    assert [read_manifest(view) for view in views] == manifests
    ids = sorted(clip.id for clip in clips if clip.split == "train")
    validated = []
    for view in views:
        of_split = sides(view)
        assert list(of_split) == ["train", "validation"]
        assert sorted(itertools.chain(*of_split.values())) == ids
        assert verify_shards(view) == []
        validated += of_split["validation"]
    assert sorted(validated) == ids


def test_leave_one_out_names_its_folds_so_that_they_sort(source, tmp_path):
    manifests = resplit_into_folds(
        source, tmp_path / "folds", "leave_one_out", validation_fraction=0
    )
    assert len(manifests) == 12
    names = sorted(path.name for path in (tmp_path / "folds").glob("fold-*"))
    assert (names[0], names[-1]) == ("fold-00", "fold-11")
    assert all(one < other for one, other in itertools.pairwise(names))
    for manifest in manifests:
        assert list(manifest.splits) == ["train", "test"]
        assert manifest.split("test").clips == 1


def test_a_fold_without_a_class_to_validate_on_says_which(tmp_path):
    clips = [clip_features(clip, 3) for clip in (0, 1, 2, 3, 4, 5)]  # two of each class
    write_shards(tmp_path / "shards", clips, classes=CLASSES, backbone=SPEC)
    with pytest.raises(ValueError, match=r"Fold 0: Every class must stand in every split.*'\w+'"):
        resplit_into_folds(tmp_path / "shards", tmp_path / "folds", 2)
    assert not (tmp_path / "folds").exists()


def test_mirrored_twins_are_trained_on_and_never_tested_on(tmp_path):
    clips = [clip_features(clip, frames) for clip, frames in enumerate(FRAMES_OF_CLIPS)]
    twins = [dataclasses.replace(clip, id=mirrored_id(clip.id)) for clip in clips[:8]]
    write_shards(
        tmp_path / "shards", [*clips, *twins], classes=CLASSES, backbone=SPEC, clips_per_shard=3
    )
    resplit_into_folds(tmp_path / "shards", tmp_path / "folds", 3)
    tested = []
    for view in sorted((tmp_path / "folds").glob("fold-*")):
        of_split = sides(view)
        originals = [clip for clip in of_split["train"] if not clip.endswith("#mirrored")]
        with_twin = [clip.id for clip in clips[:8] if clip.id in originals]
        assert sorted(of_split["train"]) == sorted([*originals, *map(mirrored_id, with_twin)])
        assert verify_shards(view) == []
        tested += of_split["test"]
    assert sorted(tested) == sorted(clip.id for clip in clips)


def sides_of(view):
    """The ids of each split's clips."""
    return {
        split: {clip.id for clip in clips_in_split(view, split)}
        for split in read_manifest(view).splits
    }


def test_views_without_two_folds_test_on_exactly_these(tmp_path):
    shards = write_source(tmp_path / "shards")
    resplit_into_folds(shards, tmp_path / "folds", 4, validation_fraction=0.0, seed=2)
    folds = [sides_of(tmp_path / "folds" / f"fold-{fold}")["test"] for fold in range(4)]
    pairs = resplit_without_pairs_of_folds(shards, tmp_path / "pairs", 4, seed=2)
    assert list(pairs.values()) == list(itertools.combinations(range(4), 2))
    for name, (one, other) in pairs.items():
        sides = sides_of(tmp_path / "pairs" / name)
        assert sides["test"] == folds[one] | folds[other]
        assert sides["train"] == set.union(*folds) - sides["test"]
    stored = json.loads((tmp_path / "pairs" / "folds.json").read_text())
    assert stored["pairs"] == {name: list(pair) for name, pair in pairs.items()}


def test_neighbours_only_leave_each_fold_out_twice(tmp_path):
    shards = write_source(tmp_path / "shards")
    pairs = resplit_without_pairs_of_folds(shards, tmp_path / "pairs", 4, "neighbours")
    assert list(pairs.values()) == [(0, 1), (0, 3), (1, 2), (2, 3)]
    three = resplit_without_pairs_of_folds(shards, tmp_path / "three", 3, "neighbours")
    assert list(three.values()) == [(0, 1), (0, 2), (1, 2)]


def test_validation_clips_of_pairs_come_from_groups_that_are_trained_on(tmp_path):
    shards = write_source(tmp_path / "shards")
    without = resplit_without_pairs_of_folds(shards, tmp_path / "a", 6)
    resplit_without_pairs_of_folds(shards, tmp_path / "b", 6, validation_fraction=0.5)
    for name in without:
        before, after = sides_of(tmp_path / "a" / name), sides_of(tmp_path / "b" / name)
        assert after["test"] == before["test"]
        assert after["validation"] and after["train"]
        assert after["validation"] | after["train"] == before["train"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"num_folds": 2}, "`num_folds` must be at least 3, .* Received: num_folds=2"),
        ({"pairs": "some"}, "`pairs` must be 'all' or 'neighbours'. Received: pairs='some'"),
        ({"num_folds": 13}, "must be a group for each fold"),
    ],
)
def test_pairs_of_folds_that_cannot_be_are_named(tmp_path, arguments, sentence):
    shards = write_source(tmp_path / "shards")
    with pytest.raises(ValueError, match=sentence):
        resplit_without_pairs_of_folds(shards, tmp_path / "pairs", **arguments)
    assert not (tmp_path / "pairs").exists()


def test_a_class_that_a_pair_of_folds_holds_whole_is_named(tmp_path):
    # "run" comes from two sources, which a pair of three folds takes away together.
    labels = [0, 0, 0, 0, 1, 1]
    clips = [
        dataclasses.replace(clip_features(number, 4), label=label)
        for number, label in enumerate(labels)
    ]
    write_shards(tmp_path / "shards", clips, classes=CLASSES[:2], backbone=SPEC)
    with pytest.raises(ValueError, match="must stand in three folds at least. .* stands in the"):
        resplit_without_pairs_of_folds(tmp_path / "shards", tmp_path / "pairs", 3)
