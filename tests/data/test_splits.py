"""Splits keep groups whole and classes in proportion, and repeat under a seed."""

from collections import Counter

import numpy as np
import pytest

from cham_keras.data.splits import assign_splits, hold_out_validation


def grouped_clips(num_clips=400, num_groups=80, num_classes=4, seed=0):
    """Labels and groups with uneven groups, some of which hold several classes."""
    rng = np.random.default_rng(seed)
    weights = rng.exponential(size=num_groups)
    group_of_clip = rng.choice(num_groups, num_clips, p=weights / weights.sum())
    main_class = rng.integers(0, num_classes, num_groups)
    other = rng.integers(0, num_classes, num_clips)
    label_of_clip = np.where(rng.random(num_clips) < 0.8, main_class[group_of_clip], other)
    return [f"class{k}" for k in label_of_clip], [f"group{k}" for k in group_of_clip]


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_cut(seed):
    labels, groups = grouped_clips(seed=seed)
    splits = assign_splits(labels, groups, seed=seed)
    splits_of_group = {}
    for group, split in zip(groups, splits, strict=True):
        splits_of_group.setdefault(group, set()).add(split)
    assert all(len(found) == 1 for found in splits_of_group.values())


@pytest.mark.parametrize("seed", range(5))
def test_each_class_is_split_near_the_fractions(seed):
    labels, groups = grouped_clips(seed=seed)
    splits = assign_splits(labels, groups, 0.25, 0.15, seed=seed)
    of_class = Counter(labels)
    found = Counter(zip(labels, splits, strict=True))
    wanted = {"train": 0.6, "validation": 0.15, "test": 0.25}
    for name, number in of_class.items():
        for split, fraction in wanted.items():
            assert abs(found[name, split] / number - fraction) < 0.07, (name, split)


def test_single_clips_are_split_to_the_clip():
    labels = ["a"] * 40 + ["b"] * 20
    splits = assign_splits(labels, [str(n) for n in range(60)], 0.25, 0.15)
    assert Counter(zip(labels, splits, strict=True)) == {
        ("a", "train"): 24,
        ("a", "validation"): 6,
        ("a", "test"): 10,
        ("b", "train"): 12,
        ("b", "validation"): 3,
        ("b", "test"): 5,
    }


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    labels, groups = grouped_clips()
    first = assign_splits(labels, groups, seed=7)
    assert assign_splits(labels, groups, seed=7) == first
    assert assign_splits(labels, groups, seed=8) != first


def test_three_groups_of_a_class_reach_all_three_splits():
    for seed in range(10):
        splits = assign_splits(list("aaabbb"), [str(n) for n in range(6)], 0.25, 0.15, seed=seed)
        assert sorted(splits[:3]) == sorted(splits[3:]) == ["test", "train", "validation"]


def test_a_fraction_of_zero_leaves_its_split_empty():
    labels, groups = grouped_clips()
    assert set(assign_splits(labels, groups, 0.25, 0)) == {"train", "test"}
    assert set(assign_splits(labels, groups, 0, 0.2)) == {"train", "validation"}
    assert set(assign_splits(labels, groups, 0, 0)) == {"train"}


def test_a_class_with_too_few_groups_is_named_with_their_number():
    labels = ["hop"] * 6 + ["run"] * 6
    groups = ["source a"] * 3 + ["source b"] * 3 + [str(n) for n in range(6)]
    with pytest.raises(ValueError, match=r"'hop' would be missing in \w+: its clips form 2 group"):
        assign_splits(labels, groups)
    assert set(assign_splits(labels, groups, 0.5, 0)) == {"train", "test"}


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((-0.1, 0.1), "`test_fraction` must be at least 0 and below 1. Received: -0.1"),
        ((0.1, 1.0), "`validation_fraction` must be at least 0 and below 1. Received: 1.0"),
        ((float("nan"), 0.1), "`test_fraction` must be"),
        ((0.6, 0.4), "must add up to less than 1.*Received: 0.6 and 0.4"),
    ],
)
def test_fractions_out_of_range_are_refused(fractions, message):
    with pytest.raises(ValueError, match=message):
        assign_splits(["a", "b"], ["1", "2"], *fractions)


def test_no_clips_and_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="at least one clip"):
        assign_splits([], [])
    with pytest.raises(ValueError, match="2 labels and 1 groups"):
        assign_splits(["a", "b"], ["1"])


@pytest.mark.parametrize("seed", range(3))
def test_validation_clips_come_out_of_the_training_clips_by_whole_groups(seed):
    labels, groups = grouped_clips(seed=seed)
    stated = assign_splits(labels, groups, 0.25, 0, seed=seed)
    splits = hold_out_validation(labels, groups, stated, 0.2, seed)
    assert [s == "test" for s in splits] == [s == "test" for s in stated]
    of_train = [(g, s) for g, s, was in zip(groups, splits, stated, strict=True) if was == "train"]
    held_out = {group for group, split in of_train if split == "validation"}
    assert held_out.isdisjoint(group for group, split in of_train if split == "train")
    for label in set(labels):
        found = Counter(s for name, s in zip(labels, splits, strict=True) if name == label)
        train = found["train"] + found["validation"]
        assert abs(found["validation"] / train - 0.2) < 0.07
    assert hold_out_validation(labels, groups, stated, 0.2, seed) == splits
    assert hold_out_validation(labels, groups, stated, 0, seed) == stated


def test_a_class_that_is_only_tested_on_is_no_fault_of_the_training_clips():
    splits = ["train"] * 4 + ["test"] * 2
    held_out = hold_out_validation(list("aabbcc"), list("uvwxyz"), splits, 0.5)
    assert Counter(held_out) == {"train": 2, "validation": 2, "test": 2}


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (["train"], "2 labels, 2 groups and 1 splits"),
        (["train", "validation"], "train and test only. Received: validation"),
        (["test", "test"], "at least one clip"),
    ],
)
def test_validation_clips_are_not_taken_from_what_is_stated_otherwise(splits, message):
    with pytest.raises(ValueError, match=message):
        hold_out_validation(["a", "b"], ["1", "2"], splits)
