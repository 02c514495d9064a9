"""Several seeds, and the folds of a cross-validation, against sums over clips by hand."""

import dataclasses
import json
import math

import numpy as np
import pytest
from results_making import drawn_results, results_of_hits

from cham_keras.evaluation import (
    FrameFigures,
    ensemble,
    pool_folds,
    pool_runs,
    read_results,
    summarize_seeds,
)
from cham_keras.evaluation.folds import align


def shuffled(results, seed=0):
    """The same results with the clips in another order."""
    order = np.random.default_rng(seed).permutation(len(results.clip_ids))
    return dataclasses.replace(
        results,
        clip_ids=tuple(np.array(results.clip_ids)[order]),
        labels=results.labels[order],
        groups=results.groups[order],
        probabilities=results.probabilities[order],
    )


@pytest.fixture(scope="module")
def seeds():
    return [drawn_results(seed=seed) for seed in (3, 5, 8)]


def test_the_spread_is_over_the_seeds(seeds):
    spread = summarize_seeds(seeds).spreads["mean_average_precision"]
    values = [results.scores["mean_average_precision"] for results in seeds]
    assert spread.values == tuple(values)
    assert spread.mean == pytest.approx(sum(values) / 3)
    variance = sum((value - sum(values) / 3) ** 2 for value in values) / 2
    assert spread.standard_deviation == pytest.approx(math.sqrt(variance))
    assert (spread.lowest, spread.highest) == (min(values), max(values))


def test_the_ensemble_is_the_mean_of_the_probabilities_whatever_the_order(seeds):
    found = ensemble([seeds[0], shuffled(seeds[1]), shuffled(seeds[2], 1)])
    expected = sum(results.probabilities for results in seeds) / 3
    np.testing.assert_allclose(found.probabilities, expected)
    assert found.clip_ids == seeds[0].clip_ids
    hits = expected.argmax(axis=1) == seeds[0].labels
    assert found.scores["clip_accuracy"] == hits.mean()


def test_an_ensemble_has_no_frames_but_one_run_keeps_them(seeds):
    runs = [dataclasses.replace(results, frames=FrameFigures(9, 4)) for results in seeds]
    assert ensemble(runs).frames is None
    assert ensemble(runs[:1]).frames == FrameFigures(9, 4)


def test_the_table_has_a_row_a_seed_and_the_ensembles(seeds, tmp_path, no_pictures):
    summary = summarize_seeds([seeds[0], shuffled(seeds[1]), seeds[2]])
    rows = [[cell.strip() for cell in row.split("|")] for row in summary.to_markdown().splitlines()]
    table = {row[1]: row for row in rows if len(row) > 3}
    column = table["run"].index("clip accuracy (top-1)")
    assert table["seed 5"][column] == f"{seeds[1].scores['clip_accuracy']:.3f}"
    assert table["**mean**"][column] == f"{summary.spreads['clip_accuracy'].mean:.3f}"
    assert table["ensemble"][column] == f"{summary.ensemble.scores['clip_accuracy']:.3f}"
    summary.write(tmp_path)
    stored = json.loads((tmp_path / "test-seeds.json").read_text())
    assert stored["scores"]["clip_accuracy"]["mean"] == summary.spreads["clip_accuracy"].mean
    assert stored["names"] == ["seed 3", "seed 5", "seed 8"]
    again = read_results(tmp_path / "ensemble")
    np.testing.assert_array_equal(again.probabilities, summary.ensemble.probabilities)


def test_one_seed_has_no_deviation_and_equal_seeds_are_numbered(seeds):
    alone = summarize_seeds(seeds[:1])
    assert math.isnan(alone.spreads["clip_accuracy"].standard_deviation)
    assert "| standard deviation | – |" in alone.to_markdown()
    assert summarize_seeds([seeds[0], seeds[0]]).names == ("run 1", "run 2")


def test_scores_that_one_seed_lacks_are_left_out(seeds):
    with_frames = dataclasses.replace(seeds[0], frames=FrameFigures(9, 4))
    assert "frame_accuracy" in summarize_seeds([with_frames]).spreads
    assert "frame_accuracy" not in summarize_seeds([with_frames, seeds[1]]).spreads


def test_names_must_be_as_many_as_results(seeds):
    with pytest.raises(ValueError, match="a name for each of 3 results. Received: 1"):
        summarize_seeds(seeds, ["only"])
    with pytest.raises(ValueError, match="at least one seed's"):
        summarize_seeds([])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clip_ids": ("other.mp4", *(f"0/{n}.mp4" for n in range(1, 40)))}, "0/0.mp4 is in one"),
        ({"classes": ("hop", "run", "wave")}, "same classes. Received: hop, run, wave and hop"),
        ({"labels": np.zeros(40, int)}, "must have the same labels. Received: 0 and .* for 0/"),
        ({"groups": ["g"] * 40}, "must have the same groups. Received: g and group 0"),
    ],
)
def test_seeds_on_other_data_are_refused(seeds, change, said):
    with pytest.raises(ValueError, match=said):
        summarize_seeds([seeds[0], dataclasses.replace(seeds[1], **change)])


def test_clips_that_one_seed_lacks_are_refused(seeds):
    fewer = drawn_results(clips=40)
    fewer = dataclasses.replace(
        fewer,
        clip_ids=fewer.clip_ids[1:],
        labels=fewer.labels[1:],
        groups=fewer.groups[1:],
        probabilities=fewer.probabilities[1:],
    )
    for pair in ([seeds[0], fewer], [fewer, seeds[0]]):
        with pytest.raises(ValueError, match=r"same clips. Received: .*0/0.mp4 is in one of them"):
            summarize_seeds(pair)


def test_folds_are_pooled_clip_by_clip():
    folds = [drawn_results(clips=clips, data_seed=clips) for clips in (10, 20, 30)]
    pooled = pool_folds(folds)
    hits = [fold.probabilities.argmax(axis=1) == fold.labels for fold in folds]
    assert pooled.scores["clip_accuracy"] == pytest.approx(sum(map(sum, hits)) / 60)
    assert pooled.clip_ids == sum((fold.clip_ids for fold in folds), ())
    assert pooled.num_groups == sum(fold.num_groups for fold in folds)
    np.testing.assert_array_equal(pooled.probabilities[10:30], folds[1].probabilities)


def test_frames_of_folds_are_counted_together():
    first = drawn_results(clips=10, data_seed=1, frames=FrameFigures(100, 40, (0.2, 0.4)))
    second = drawn_results(clips=30, data_seed=2, frames=FrameFigures(50, 50, (0.6, 0.8)))
    pooled = pool_folds([first, second]).frames
    assert (pooled.frames, pooled.right) == (150, 90)
    assert pooled.accuracy_by_frames_seen == pytest.approx((0.5, 0.7))
    longer = dataclasses.replace(second, frames=FrameFigures(50, 50, (0.6, 0.7, 0.8)))
    assert pool_folds([first, longer]).frames.accuracy_by_frames_seen == ()
    assert pool_folds([first, dataclasses.replace(second, frames=None)]).frames is None
    other = dataclasses.replace(second, frames=FrameFigures(50, 50, (0.6, 0.8), windows="all"))
    with pytest.raises(ValueError, match="same `windows`"):
        pool_folds([first, other])


def counted(results, seed):
    """The results with drawn counts of each clip's frames."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(1, 9, size=len(results.clip_ids))
    right = rng.binomial(frames, 0.5)
    figures = FrameFigures.of_clips(frames.tolist(), right.tolist())
    return dataclasses.replace(results, frames=figures)


def test_counts_of_clips_frames_are_pooled_and_keep_to_their_clips():
    folds = [counted(drawn_results(clips=n, data_seed=n), seed=n) for n in (10, 30)]
    pooled = pool_folds(folds).frames
    assert pooled.frames_of_clips == sum((fold.frames.frames_of_clips for fold in folds), ())
    assert pooled.right_of_clips == sum((fold.frames.right_of_clips for fold in folds), ())
    uncounted = dataclasses.replace(folds[1], frames=FrameFigures(9, 4))
    assert pool_folds([folds[0], uncounted]).frames.frames_of_clips == ()


def test_counts_of_clips_frames_go_with_their_clips_into_another_order():
    results = counted(drawn_results(), seed=0)
    reference = shuffled(drawn_results(), seed=3)
    aligned = align(results, reference)
    of_clip = dict(zip(results.clip_ids, results.frames.right_of_clips, strict=True))
    assert aligned.frames.right_of_clips == tuple(of_clip[clip] for clip in reference.clip_ids)
    assert aligned.frames.right_of_clips != results.frames.right_of_clips
    assert aligned.frames.frames_of_clips != results.frames.frames_of_clips


def test_a_clip_in_two_folds_is_refused():
    fold = drawn_results()
    with pytest.raises(ValueError, match="No clip must be in two folds. Received: 0/0.mp4"):
        pool_folds([fold, fold])
    with pytest.raises(ValueError, match="at least one result"):
        pool_folds([])


@pytest.mark.parametrize(
    ("change", "said"),
    [({"split": "validation"}, "same split"), ({"classes": ("a", "b", "c")}, "same classes")],
)
def test_folds_of_other_data_are_refused(change, said):
    with pytest.raises(ValueError, match=f"Folds must have the {said}"):
        pool_folds([drawn_results(), drawn_results(data_seed=1, **change)])


def test_runs_on_the_same_clips_are_seeds_and_on_others_folds():
    runs = {
        (fold, seed): drawn_results(clips=10, data_seed=fold, seed=seed)
        for fold in (1, 2)
        for seed in (0, 1, 2)
    }
    order = [(1, 0), (1, 1), (2, 0), (1, 2), (2, 1), (2, 2)]
    pooled = pool_runs([shuffled(runs[key], seed=7) for key in order])
    assert len(pooled) == 3
    for seed, results in enumerate(pooled):
        expected = pool_folds([runs[1, seed], runs[2, seed]])
        assert results.clip_ids == pooled[0].clip_ids
        assert set(results.clip_ids) == set(expected.clip_ids)
        assert results.scores["clip_accuracy"] == expected.scores["clip_accuracy"]
        position = results.clip_ids.index("2/3.mp4")
        np.testing.assert_array_equal(
            results.probabilities[position], runs[2, seed].probabilities[3]
        )


def test_a_fold_that_lacks_a_seed_is_refused():
    runs = [drawn_results(data_seed=fold) for fold in (1, 1, 2)]
    with pytest.raises(ValueError, match="as many runs as the others. Received: 2, 1 runs"):
        pool_runs(runs)


def test_folds_that_share_some_clips_are_refused():
    with pytest.raises(ValueError, match="No clip must be in two folds. Received: 0.mp4"):
        pool_runs([results_of_hits([True] * 4), results_of_hits([True] * 3)])
