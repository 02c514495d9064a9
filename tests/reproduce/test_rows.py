"""Rows of a table from results that are known: means, deviations, intervals, comparisons."""

import numpy as np
import pytest

from cham_keras.evaluation import FrameFigures, Results
from cham_keras.reproduce.methods import METHODS
from cham_keras.reproduce.paper_tables import Note, PaperTable
from cham_keras.reproduce.rows import Row, Unit
from cham_keras.reproduce.settings import TableSettings
from cham_keras.reproduce.tables import Table

CHAM = next(method for method in METHODS if method.name == "cham")
POOLED = next(method for method in METHODS if method.name == "pooled")
FC = next(method for method in METHODS if method.name == "fc_attention")


def results(clips, right, groups=None, frames=None):
    """Clips of two classes in turn, of which those in `right` are recognised."""
    labels = [index % 2 for index in range(len(clips))]
    rows = [
        [0.9, 0.1] if (label == 0) == (clip in right) else [0.1, 0.9]
        for clip, label in zip(clips, labels, strict=True)
    ]
    return Results(
        classes=("hop", "run"),
        clip_ids=clips,
        labels=labels,
        groups=list(clips) if groups is None else groups,
        probabilities=rows,
        frames=frames,
    )


def row(method, *units, figure="clip_accuracy"):
    return Row(method, tuple(Unit(*unit) for unit in units), figure)


def test_value_is_the_mean_over_seeds_and_the_deviation_that_of_a_sample():
    found = row(
        CHAM,
        ("d", 0, results("abcd", "abc")),
        ("d", 1, results("abcd", "a")),
    )
    assert found.values_of_seeds == (0.75, 0.25)
    assert found.value == 0.5
    assert found.deviation == pytest.approx(np.std([0.75, 0.25], ddof=1))


def test_divisions_that_share_clips_are_averaged_and_not_pooled():
    found = row(
        CHAM,
        ("one", 0, results("abcd", "abcd")),
        ("two", 0, results("ab", "")),
    )
    assert list(found.divisions) == ["one", "two"]
    assert found.value == 0.5  # 4 of 6 clips if they were pooled
    assert found.deviation is None


def test_divisions_without_a_common_clip_are_pooled_as_folds():
    found = row(
        CHAM,
        *(("fold-0", seed, results("abcd", "abcd")) for seed in (0, 1)),
        *(("fold-1", seed, results("ef", "")) for seed in (0, 1)),
    )
    assert list(found.divisions) == ["folds"]
    assert found.values_of_seeds == (4 / 6, 4 / 6)


def graded(clips, shares):
    """Clips of two classes in turn, with the probability of the right one."""
    labels = [index % 2 for index in range(len(clips))]
    rows = [
        [share, 1 - share] if label == 0 else [1 - share, share]
        for share, label in zip(shares, labels, strict=True)
    ]
    return Results(
        classes=("hop", "run"),
        clip_ids=clips,
        labels=labels,
        groups=list(clips),
        probabilities=rows,
    )


def test_averaged_seeds_are_one_method_with_the_mean_of_their_probabilities():
    # Each seed is wrong on one clip, where the other is surer.
    seeds = [graded("abcd", [0.4, 0.9, 0.8, 0.3]), graded("abcd", [0.9, 0.3, 0.8, 0.4])]
    found = row(CHAM, *(("d", seed, result) for seed, result in enumerate(seeds)))
    assert found.values_of_seeds == (0.5, 0.5)
    assert found.averaged_over_seeds.value == 0.75
    folds = row(
        CHAM,
        *(("fold-0", seed, result) for seed, result in enumerate(seeds)),
        *(("fold-1", seed, graded("ef", [0.7, 0.7])) for seed in range(2)),
    )
    assert folds.num_seeds == 2
    assert folds.averaged_over_seeds.value == 5 / 6
    alone = row(FC, ("fold-0", 0, seeds[0]), ("fold-1", 0, graded("ef", [0.7, 0.7])))
    assert alone.averaged_over_seeds.same_clips_as(folds.averaged_over_seeds)
    assert folds.averaged_over_seeds.probability_better_than(alone) > 0.5


def test_table_of_any_clips_has_averaged_seeds_and_no_papers_column():
    seeds = [graded("abcd", [0.4, 0.9, 0.8, 0.3]), graded("abcd", [0.9, 0.3, 0.8, 0.4])]
    table = Table(None, TableSettings(), ()).with_row(FC, (Unit("d", 0, seeds[0]),))
    head = "| method | here | 95 % interval | runs |"
    assert head in table.to_markdown()
    units = tuple(Unit("d", seed, result) for seed, result in enumerate(seeds))
    text = table.with_row(CHAM, units).to_markdown()
    assert "| method | here | 95 % interval | averaged | runs |" in text
    line = next(line for line in text.splitlines() if line.startswith("| CHAM |"))
    assert [cell.strip() for cell in line.split("|")[2:3]] == ["50.0 ± 0.0"]
    assert line.split("|")[4].strip().startswith("75.0 (")
    assert "- CHAM against FC-Attention: +0.0 points, P(CHAM better) = " in text
    assert "; seeds averaged +25.0, P = " in text


def test_interval_draws_groups_and_not_clips():
    clips = [f"{number:02}" for number in range(40)]
    right = set(clips[:20])
    by_clip = row(CHAM, ("d", 0, results(clips, right)))
    by_group = row(CHAM, ("d", 0, results(clips, right, ["x"] * 20 + ["y"] * 20)))
    assert by_group.interval == (0.0, 1.0)
    lower, upper = by_clip.interval
    assert 0.3 < lower < 0.4 and 0.6 < upper < 0.7


def test_interval_of_one_group_or_of_a_figure_that_is_not_drawn_is_none():
    assert row(CHAM, ("d", 0, results("abcd", "ab", ["x"] * 4))).interval is None
    assert row(CHAM, ("d", 0, results("ab", "a")), figure="frame_accuracy").value is None


def test_frame_accuracy_gets_an_interval_where_each_clips_frames_are_counted():
    frames = FrameFigures.of_clips([5] * 40, [5] * 20 + [0] * 20)
    clips = [f"{number:02}" for number in range(40)]
    found = row(CHAM, ("d", 0, results(clips, clips, frames=frames)), figure="frame_accuracy")
    lower, upper = found.interval
    assert found.value == 0.5
    # As wide as that of 40 clips; 200 frames drawn one by one would give 0.43 to 0.57.
    assert 0.3 < lower < 0.4 and 0.6 < upper < 0.7
    uncounted = results(clips, clips, frames=FrameFigures(200, 100))
    assert row(CHAM, ("d", 0, uncounted), figure="frame_accuracy").interval is None


def test_two_methods_are_set_against_each_other_on_the_same_clips_only():
    better = row(CHAM, ("d", 0, results("abcdefgh", "abcdefg")))
    worse = row(FC, ("d", 0, results("abcdefgh", "ab")))
    elsewhere = row(FC, ("d", 0, results("ijklmnop", "ij")))
    assert better.probability_better_than(worse) > 0.95
    assert better.probability_better_than(worse) == 1 - worse.probability_better_than(better)
    assert better.probability_better_than(better) == 0.5
    assert better.probability_better_than(elsewhere) is None


def test_the_order_of_the_clips_does_not_matter_to_a_comparison():
    clips, groups = list("abcdefgh"), list("stuvwxyz")
    one = results(clips, "abcdefg", groups)
    turned = Results(
        classes=one.classes,
        clip_ids=one.clip_ids[::-1],
        labels=one.labels[::-1],
        groups=one.groups[::-1],
        probabilities=one.probabilities[::-1],
    )
    there, back = row(CHAM, ("d", 0, one)), row(CHAM, ("d", 0, turned))
    np.testing.assert_array_equal(there.draws, back.draws)
    assert there.probability_better_than(back) == 0.5


def test_table_sets_the_papers_number_beside_ours_and_compares_with_cham(tmp_path):
    paper = PaperTable("Table 9", "clip_accuracy", {"cham": 74.0}, notes=(Note("As it is."),))
    table = Table(paper, TableSettings(), ())
    table = table.with_row(FC, (Unit("d", 0, results("abcdefgh", "ab")),))
    table = table.with_row(CHAM, (Unit("d", 0, results("abcdefgh", "abcdefg")),))
    text = table.to_markdown()
    line = next(line for line in text.splitlines() if line.startswith("| CHAM |"))
    assert [cell.strip() for cell in line.split("|")[2:5]] == ["74.0", "87.5", "+13.5"]
    line = next(line for line in text.splitlines() if line.startswith("| FC-Attention |"))
    assert [cell.strip() for cell in line.split("|")[2:5]] == ["", "25.0", ""]
    assert "- CHAM against FC-Attention: +62.5 points, P(CHAM better) = " in text
    assert "- As it is." in text
    table.write(tmp_path)
    rows = (tmp_path / "table.csv").read_text().splitlines()
    assert rows[0].startswith("method,label,paper,value,") and len(rows) == 3


def test_divisions_that_share_clips_are_drawn_together():
    clips = [f"{number:02}" for number in range(40)]
    right = set(clips[:20])
    one = row(CHAM, ("a", 0, results(clips, right)))
    twice = row(CHAM, ("a", 0, results(clips, right)), ("b", 0, results(clips, right)))
    # The same clips again tell nothing new; drawn apart, they would narrow the interval.
    np.testing.assert_array_equal(twice.draws, one.draws)
    other = [f"{number:02}" for number in range(40, 80)]
    apart = row(
        CHAM,
        ("a", 0, results(clips, right)),
        ("b", 0, results(clips[:1] + other, clips[:1] + other[:19])),
    )
    assert np.std(apart.draws) < 0.85 * np.std(one.draws)


def test_divisions_with_a_seed_of_their_own_are_drawn_like_seeds():
    clips = [f"{number:02}" for number in range(40)]
    good, bad = results(clips, clips), results(clips, "")
    fixed = row(CHAM, ("a", 0, good), ("b", 0, bad))
    drawn = row(CHAM, ("a", 0, good), ("b", 1, bad))
    assert fixed.interval == (0.5, 0.5)
    assert drawn.interval == (0.0, 1.0)


def test_a_draw_without_a_clip_of_a_division_is_left_out():
    clips = [f"{number:02}" for number in range(6)]
    found = row(CHAM, ("a", 0, results(clips, clips)), ("b", 0, results(clips[:2], clips[:1])))
    assert np.isfinite(found.draws).all() and 1000 < len(found.draws) < 2000


def test_table_over_frames_also_says_how_whole_clips_are_recognised():
    counted = FrameFigures.of_clips([5] * 4, [5, 5, 0, 0])
    frames = results("abcd", "abc", frames=counted)
    paper = PaperTable("Table 9", "frame_accuracy", {"cham": 74.0})
    table = Table(paper, TableSettings(), ()).with_row(CHAM, (Unit("d", 0, frames),))
    text = table.with_row(POOLED, (Unit("d", 0, results("abcd", "ab")),)).to_markdown()
    assert "| CHAM | 74.0 | 50.0 | -24.0 |" in text
    over_clips = text.split("| clip accuracy (top-1), % | here | 95 % interval |")[1]
    assert "| CHAM | 75.0 |" in over_clips and "| Best pooled baseline | 50.0 |" in over_clips
    assert "- Over clips: CHAM against Best pooled baseline: +25.0 points, P" in over_clips


def test_table_of_several_divisions_shows_each():
    table = Table(PaperTable("Table 9", "clip_accuracy", {}), TableSettings(), ())
    units = (Unit("split-1", 0, results("abcd", "abcd")), Unit("split-2", 0, results("ab", "a")))
    table = table.with_row(CHAM, units)
    text = table.to_markdown()
    assert "| clip accuracy (top-1), % | split-1 | split-2 |" in text
    assert "| CHAM | 100.0 | 50.0 |" in text
    assert table.to_dict()["rows"][0]["values_of_divisions"] == {"split-1": 1.0, "split-2": 0.5}


def test_notes_stand_where_they_are_true_and_changes_are_told():
    notes = (
        Note("Always."),
        Note("As the recipes are.", unless_changed=("iterations",)),
        Note("Drawn.", protocol="stratified"),
    )
    paper = PaperTable("Table 9", "clip_accuracy", {}, notes=notes)
    unit = (Unit("d", 0, results("abcd", "ab")),)

    def text(**settings):
        return Table(paper, TableSettings(**settings), ()).with_row(CHAM, unit).to_markdown()

    assert all(f"- {note.text}" in text() for note in notes) and "Changed" not in text()
    changed = text(changes={"iterations": 2, "model": {"filters": 4}}, protocol="103-47")
    assert "- Always." in changed
    assert "As the recipes are." not in changed and "Drawn." not in changed
    assert (
        "- Changed in every recipe that has it: `iterations` = 2, `model.filters` = 4." in changed
    )
