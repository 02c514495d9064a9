"""Paired comparison: counted by hand, against scipy, and as it should behave."""

import dataclasses
import json
import math

import numpy as np
import pytest
from results_making import drawn_results, results_of_hits
from scipy.stats import binomtest

from cham_keras.evaluation import FrameFigures, compare_folders, compare_paired
from cham_keras.evaluation.paired import mcnemar_p

HITS_A = np.array([1, 1, 1, 1, 1, 1, 0, 0, 1, 0], bool)
HITS_B = np.array([1, 1, 0, 0, 0, 0, 1, 0, 1, 0], bool)


@pytest.fixture(scope="module")
def comparison():
    return compare_paired(results_of_hits(HITS_A), results_of_hits(HITS_B))


def test_clips_that_one_alone_gets_right_are_counted(comparison):
    assert (comparison.only_a, comparison.only_b) == (4, 1)
    assert comparison.mcnemar_p == pytest.approx(binomtest(1, 5).pvalue)
    found = comparison.scores["clip_accuracy"]
    assert (found.a, found.b) == (0.7, 0.4)
    assert found.difference == pytest.approx(0.3)


@pytest.mark.parametrize("only_a", range(0, 12, 3))
@pytest.mark.parametrize("only_b", range(0, 30, 7))
def test_mcnemar_is_the_exact_binomial_test(only_a, only_b):
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar_p(only_a, only_b) == pytest.approx(expected)


def test_the_interval_is_that_of_the_clips_differences(comparison):
    # Each clip is a group, so a draw is the mean of ten differences drawn one by one.
    differences = HITS_A.astype(float) - HITS_B
    drawn = np.random.default_rng(7).choice(differences, size=(20_000, 10)).mean(axis=1)
    found = comparison.scores["clip_accuracy"]
    assert found.interval == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.051)
    expected = (drawn > 1e-9).mean() + (np.abs(drawn) < 1e-9).mean() / 2
    assert found.probability_a_better == pytest.approx(expected, abs=0.02)


def test_what_both_miss_is_no_doubt():
    # Hard clips make both accuracies uncertain, and their difference not at all.
    hard = np.arange(40) % 2 == 0
    easier = hard | (np.arange(40) == 1)
    found = compare_paired(results_of_hits(hard), results_of_hits(easier)).scores["clip_accuracy"]
    assert found.interval[0] >= -0.1
    assert found.interval[1] == 0
    lower, upper = results_of_hits(hard).scores["clip_accuracy_interval"]
    assert upper - lower > 0.25


def test_groups_are_drawn_together():
    hits = np.repeat([True, False], 20)
    alone = compare_paired(results_of_hits(hits), results_of_hits(~hits))
    groups = np.arange(40) // 10
    grouped = compare_paired(results_of_hits(hits, groups), results_of_hits(~hits, groups))
    widths = [np.ptp(found.scores["clip_accuracy"].interval) for found in (alone, grouped)]
    assert widths[1] > 1.5 * widths[0]
    assert grouped.groups == 4


def test_ties_count_half():
    same = results_of_hits(HITS_A)
    for found in compare_paired(same, same).scores.values():
        assert found.probability_a_better == 0.5
        assert found.difference == 0
    one = np.array([True] + [False] * 9)
    found = compare_paired(results_of_hits(one), results_of_hits(one & False), draws=20_000)
    # The one clip is missing in (9/10)^10 of the draws: these are equal.
    missing = 0.9**10
    expected = 1 - missing / 2
    sure = found.scores["clip_accuracy"].probability_a_better
    assert sure == pytest.approx(expected, abs=0.01)


def test_the_other_way_round_is_the_mirror_image():
    a, b = drawn_results(seed=1), drawn_results(seed=2)
    there, back = compare_paired(a, b), compare_paired(b, a)
    for name, found in there.scores.items():
        mirrored = back.scores[name]
        assert mirrored.difference == pytest.approx(-found.difference)
        assert mirrored.interval == pytest.approx(tuple(-end for end in reversed(found.interval)))
        assert mirrored.probability_a_better == pytest.approx(1 - found.probability_a_better)


def test_the_order_of_clips_does_not_matter():
    a, b = drawn_results(seed=1), drawn_results(seed=2)
    order = np.random.default_rng(0).permutation(40)
    moved = dataclasses.replace(
        b,
        clip_ids=tuple(np.array(b.clip_ids)[order]),
        labels=b.labels[order],
        groups=b.groups[order],
        probabilities=b.probabilities[order],
    )
    assert compare_paired(a, moved) == compare_paired(a, b)


def test_average_precision_is_compared_too():
    # The same clips are named, but A is less sure of the one that is wrong.
    a = [[0.8, 0.2], [0.2, 0.8], [0.8, 0.2], [0.55, 0.45]]
    a = results_of_hits([True, True, True, False], probabilities=a)
    b = results_of_hits([True, True, True, False])
    found = compare_paired(a, b)
    assert found.scores["clip_accuracy"].difference == 0
    expected = a.scores["mean_average_precision"] - b.scores["mean_average_precision"]
    assert found.scores["mean_average_precision"].difference == pytest.approx(expected)
    assert expected > 0.1
    assert found.scores["mean_average_precision"].probability_a_better > 0.8


def test_frame_accuracy_is_compared_where_both_have_counted_each_clips_frames():
    frames = [4, 2, 9, 5, 4, 4, 3, 2, 8, 9]
    a = FrameFigures.of_clips(frames, [4, 2, 9, 5, 4, 4, 0, 0, 8, 0])
    b = FrameFigures.of_clips(frames, [4, 2, 0, 0, 0, 0, 3, 0, 8, 0])
    with_counts = [
        results_of_hits(hits, frames=figures) for hits, figures in ((HITS_A, a), (HITS_B, b))
    ]
    found = compare_paired(*with_counts)
    of_frames = found.scores["frame_accuracy"]
    assert of_frames.difference == pytest.approx((22 - 3) / 50)
    assert of_frames.interval[0] < of_frames.difference < of_frames.interval[1]
    assert "| frame accuracy |" in found.to_markdown()
    without = compare_paired(with_counts[0], results_of_hits(HITS_B))
    assert "frame_accuracy" not in without.scores


def test_scores_of_seeds_are_their_means_and_the_ensembles_are_tested():
    a = [results_of_hits(HITS_A, seed=0), results_of_hits(HITS_B, seed=1)]
    b = [results_of_hits(HITS_B)]
    found = compare_paired(a, b)
    assert found.seeds == (2, 1)
    assert found.scores["clip_accuracy"].a == pytest.approx(0.55)
    assert found.scores["clip_accuracy"].difference == pytest.approx(0.15)
    # Where the two disagree, the ensemble's probabilities are equal, and it names the first class.
    disagree, first_class = HITS_A != HITS_B, np.arange(10) % 2 == 0
    right = np.where(disagree, first_class, HITS_A)
    assert found.only_a == (right & ~HITS_B).sum() > 0
    assert found.only_b == (~right & HITS_B).sum()
    assert "McNemar p of the ensembles" in found.sentence()
    assert "by the ensembles of 2 and 1 runs" in found.to_markdown()


def test_seeds_that_differ_widen_the_interval():
    # All clips alike in a seed, so that groups make no spread: only the seeds do.
    good, bad = results_of_hits([True] * 20), results_of_hits([False] * 20)
    b = results_of_hits([True, False] * 10, groups=np.arange(20) // 2)
    good, bad = (dataclasses.replace(side, groups=b.groups) for side in (good, bad))
    found = compare_paired([good, bad], b).scores["clip_accuracy"]
    # Two seeds drawn with replacement: both good, one of each, both bad.
    assert found.interval == pytest.approx((-0.5, 0.5))
    assert found.difference == pytest.approx(0)
    assert found.probability_a_better == pytest.approx(0.5, abs=0.05)
    same = compare_paired([good, good], b).scores["clip_accuracy"]
    assert same.interval == pytest.approx((0.5, 0.5))
    mirrored = compare_paired(b, [good, bad, bad, bad]).scores["clip_accuracy"]
    assert mirrored.interval[0] < mirrored.difference == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("clips", "a", "b", "beginning"),
    [
        (10, HITS_A, HITS_B, "A is ahead of B by 30.0 points, not beyond chance (95 % interval "),
        (10, HITS_B, HITS_A, "B is ahead of A by 30.0 points, not beyond chance (95 % interval "),
        (
            10,
            HITS_A,
            HITS_A,
            "A and B are level (95 % interval 0.0 to 0.0, P = 0.50, McNemar p = 1)",
        ),
    ],
)
def test_the_sentence_names_the_winner(clips, a, b, beginning):
    found = compare_paired(results_of_hits(a), results_of_hits(b))
    assert found.sentence().startswith(beginning)
    assert found.sentence().endswith(f"McNemar p = {found.mcnemar_p:.2g})")


def test_the_sentence_turns_interval_and_probability_with_the_winner(comparison):
    other = compare_paired(results_of_hits(HITS_B), results_of_hits(HITS_A))
    assert other.sentence().replace("B is ahead of A", "A is ahead of B") == comparison.sentence()
    lower, upper = (100 * end for end in comparison.scores["clip_accuracy"].interval)
    sure = comparison.scores["clip_accuracy"].probability_a_better
    assert f"(95 % interval {lower:.1f} to {upper:.1f}, P = {sure:.2f}, " in comparison.sentence()
    assert sure > 0.85


def test_a_difference_in_the_last_bits_is_none(comparison):
    score = dataclasses.replace(comparison.scores["clip_accuracy"], difference=-5e-17)
    found = dataclasses.replace(comparison, scores={"clip_accuracy": score})
    assert found.sentence().startswith("A and B are level (")


def test_clips_of_one_group_are_compared_without_interval():
    groups = ["one"] * 10
    found = compare_paired(results_of_hits(HITS_A, groups), results_of_hits(HITS_B, groups))
    assert math.isnan(found.scores["clip_accuracy"].probability_a_better)
    assert found.sentence() == (
        "A is ahead of B by 30.0 points, not beyond chance (no interval, since all clips are of "
        "one group, McNemar p = 0.38)"
    )
    assert "– to –" in found.to_markdown()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clip_ids": tuple("abcdefghij")}, "must be of the same clips"),
        ({"labels": np.zeros(10, int)}, "must have the same labels. Received: 0 and 1 for 1.mp4"),
    ],
)
def test_other_clips_or_labels_are_refused(change, said):
    b = dataclasses.replace(results_of_hits(HITS_B), **change)
    with pytest.raises(ValueError, match=said):
        compare_paired(results_of_hits(HITS_A), b)


def test_a_side_without_results_is_refused():
    with pytest.raises(ValueError, match="Both sides must have at least one result"):
        compare_paired(results_of_hits(HITS_A), [])


def test_folders_of_seeds_and_folds_are_pooled_and_written(tmp_path, no_pictures):
    folders = {"a": [], "b": []}
    for fold in (1, 2):
        for seed in (0, 1):
            for side, skill in (("a", 2.0), ("b", 0.5)):
                folder = tmp_path / f"{side}-{fold}-{seed}"
                drawn_results(skill=skill, seed=(seed, ord(side)), data_seed=fold).write(
                    folder / "evaluation"
                )
                folders[side].append(folder)
    found = compare_folders(folders["a"], folders["b"], names=("skilled", "other"))
    assert found.clips == 80
    assert found.seeds == (2, 2)
    assert found.scores["clip_accuracy"].difference > 0.1
    assert found.sentence().startswith("skilled beats other by ")
    found.write(tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "test-paired.json").read_text())
    assert stored["sentence"] == found.sentence()
    assert stored["scores"]["clip_accuracy"]["interval"] == list(
        found.scores["clip_accuracy"].interval
    )
    text = (tmp_path / "out" / "test-paired.md").read_text()
    assert text.startswith("# skilled against other, split test: 80 clips in ")
    assert text.rstrip().endswith(f"{found.sentence()}.")
