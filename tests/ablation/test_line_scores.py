"""Scores of an ablation's lines: by hand, and with no fold in the choice that is made for it."""

import itertools

import numpy as np
import pytest

from cham_keras.ablation import AblationLine, AblationSettings
from cham_keras.ablation.ablation_table import ablation_table
from cham_keras.ablation.line_scores import score_lines
from cham_keras.evaluation import Results

CLIPS = tuple("abcdef")
FOLD_OF_CLIP = {clip: index // 2 for index, clip in enumerate(CLIPS)}  # two clips a fold
LABELS = {clip: index % 2 for index, clip in enumerate(CLIPS)}
PAIRS = list(itertools.combinations(range(3), 2))


def results(shares):
    """Results of a run; `shares` is the probability of its class for each of its clips."""
    clips = tuple(shares)
    labels = [LABELS[clip] for clip in clips]
    rows = [
        [share, 1 - share] if label == 0 else [1 - share, share]
        for share, label in zip(shares.values(), labels, strict=True)
    ]
    return Results(
        classes=("hop", "run"),
        clip_ids=clips,
        labels=labels,
        groups=[f"group {clip}" for clip in clips],
        probabilities=rows,
    )


def line(seed):
    """Distinct shares for each run and clip."""
    rng = np.random.default_rng(seed)
    return {
        pair: {clip: float(rng.uniform(0.05, 0.95)) for clip in CLIPS if FOLD_OF_CLIP[clip] in pair}
        for pair in PAIRS
    }


def scored(**lines):
    of_lines = {
        name: {pair: results(shares) for pair, shares in of_pairs.items()}
        for name, of_pairs in lines.items()
    }
    return score_lines(of_lines, FOLD_OF_CLIP)


def test_figures_are_means_over_all_runs_of_all_clips():
    one, other = line(0), line(1)
    found = scored(one=one, other=other)
    for score, of_pairs in zip(found.lines, (one, other), strict=True):
        shares = np.array([share for shares in of_pairs.values() for share in shares.values()])
        assert len(shares) == 12  # six clips, each in two of the three runs
        assert score.accuracy == pytest.approx((shares > 0.5).mean())
        assert score.log_loss == pytest.approx(-np.log(shares).mean())
    assert found.lines[0].change == 0.0
    assert found.lines[1].change == pytest.approx(found.lines[1].log_loss - found.lines[0].log_loss)
    lower, upper = found.lines[1].change_interval
    assert lower < found.lines[1].change < upper
    assert sum(score.chosen for score in found.lines) == 3


def test_each_fold_chooses_by_the_other_folds_scored_without_it():
    one, other = line(0), line(1)
    found = scored(one=one, other=other)
    for fold in range(3):
        losses = {}
        for name, of_pairs in (("one", one), ("other", other)):
            shares = [
                share
                for pair, shares in of_pairs.items()
                for clip, share in shares.items()
                if fold in pair and FOLD_OF_CLIP[clip] != fold
            ]
            assert len(shares) == 4
            losses[name] = -np.log(shares).mean()
        assert found.choices[fold] == min(losses, key=losses.get)


@pytest.mark.parametrize("fold", range(3))
def test_what_a_line_does_on_a_fold_has_no_part_in_its_choice(fold):
    one, other = line(0), line(1)
    before = scored(one=one, other=other).choices
    for shares in one.values():
        for clip in shares:
            if FOLD_OF_CLIP[clip] == fold:
                shares[clip] = 0.999  # perfect there, which must not help it there
    after = scored(one=one, other=other).choices
    assert after[fold] == before[fold]


def test_chosen_results_are_the_mean_of_the_runs_that_lack_the_fold():
    one, other = line(0), line(1)
    found = scored(one=one, other=other)
    lines = {"one": one, "other": other}
    assert sorted(found.chosen.clip_ids) == list(CLIPS)
    for clip, row in zip(found.chosen.clip_ids, found.chosen.probabilities, strict=True):
        of_pairs = lines[found.choices[FOLD_OF_CLIP[clip]]]
        shares = [shares[clip] for shares in of_pairs.values() if clip in shares]
        assert len(shares) == 2
        assert row[LABELS[clip]] == pytest.approx(np.mean(shares))


def test_the_order_in_which_a_run_has_its_clips_does_not_matter():
    one, other = line(0), line(1)
    turned = {pair: dict(reversed(shares.items())) for pair, shares in other.items()}
    there, back = scored(one=one, other=other), scored(one=one, other=turned)
    assert there.lines == back.lines and there.choices == back.choices


def test_table_has_a_row_a_line_and_says_what_choosing_gives():
    found = scored(**{"the recipe": line(0), "other": line(1)})
    settings = AblationSettings(folds=3, lines=(AblationLine(name="other"),))
    text = ablation_table(found, settings)
    recipe, other = found.lines
    assert f"| the recipe | {recipe.accuracy:.3f} | {recipe.log_loss:.3f} |  |  |" in text
    assert f"| other | {other.accuracy:.3f} | {other.log_loss:.3f} | {other.change:+.3f} |" in text
    assert "6 clips in 3 folds" in text and "with one seed: 6 runs" in text
    accuracy = found.chosen.scores["clip_accuracy"]
    assert f"mean of 2 models of 1 folds: accuracy {accuracy:.3f} (" in text


def test_lines_of_other_clips_are_refused():
    one, other = line(0), line(1)
    for shares in other.values():
        if "a" in shares:
            shares["A"] = shares.pop("a")
    folds, labels = FOLD_OF_CLIP | {"A": 0}, LABELS | {"A": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LABELS, "A", labels["A"])
        of_lines = {
            name: {pair: results(shares) for pair, shares in of_pairs.items()}
            for name, of_pairs in {"one": one, "other": other}.items()
        }
    with pytest.raises(ValueError, match="scored on the same clips. Received: 'other'"):
        score_lines(of_lines, folds)
