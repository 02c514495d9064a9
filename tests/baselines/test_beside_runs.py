"""The pooled baselines beside a run: the same as those of `cham baselines`, kept, and honest."""

import importlib
import json

import numpy as np
import pytest
from shard_making import make_shards

from cham_keras.baselines import baselines_beside_runs, beside_runs, pooled_baselines
from cham_keras.baselines.pooled_baselines import POOLINGS
from cham_keras.data import read_manifest, resplit_into_folds

# The package has a function of the same name.
of_baselines = importlib.import_module("cham_keras.baselines.pooled_baselines")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(scope="module")
def made(shards, tmp_path_factory):
    folders = [tmp_path_factory.mktemp("runs") / name for name in ("a", "b")]
    return folders, baselines_beside_runs(folders, shards)


@pytest.fixture
def no_fit(monkeypatch):
    """Whoever fits or reads shards again fails."""

    def refuse(*_, **__):
        raise RuntimeError("fitted again")

    monkeypatch.setattr(beside_runs, "fit_linear_classifier", refuse)
    monkeypatch.setattr(beside_runs, "pooled_clips", refuse)


def test_they_are_those_of_cham_baselines(made, shards, tmp_path):
    _, found = made
    expected = pooled_baselines(
        shards, tmp_path / "out", classifiers=("logistic",), num_folds=3, seed=0
    )
    assert {baseline.pooling for baseline in found.baselines} == set(POOLINGS)
    assert len({baseline.clip_accuracy for baseline in found.baselines}) > 1
    for baseline in found.baselines:
        scores = expected[f"logistic_{baseline.pooling}"].scores
        assert baseline.clip_accuracy == scores["clip_accuracy"]
        assert baseline.interval == scores["clip_accuracy_interval"]
    assert found.clips_fitted_on == 18


def test_with_many_clips_the_quicker_classifier_is_taken_and_named(
    made, shards, tmp_path, monkeypatch
):
    assert made[1].classifier == "logistic"
    monkeypatch.setattr(of_baselines, "_MOST_CLIPS_OF_LOGISTIC", 17)
    found = baselines_beside_runs([tmp_path / "run"], shards)
    assert found.classifier == "ridge"
    assert "ridge regression on features pooled" in found.to_markdown()
    options = {"classifiers": ("ridge",), "poolings": ("mean",), "num_folds": 3}
    expected = pooled_baselines(shards, tmp_path / "out", **options)["ridge_mean"]
    (of_mean,) = (each for each in found.baselines if each.pooling == "mean")
    assert of_mean.clip_accuracy == expected.scores["clip_accuracy"]
    assert baselines_beside_runs([tmp_path / "run"], shards) == found


def test_the_order_is_that_of_held_out_training_clips_and_not_of_the_test(made):
    _, found = made
    losses = [baseline.held_out_log_loss for baseline in found.baselines]
    assert losses == sorted(losses) and losses[0] < losses[-1]
    table = found.to_markdown()
    for baseline in found.baselines[:3]:
        assert f"| {baseline.pooling} | {baseline.clip_accuracy:.3f} |" in table
    assert table.count("\n| ") == 4  # the head and three rows
    assert "fitted on the 18 clips of `train`" in table


def test_what_is_kept_is_not_fitted_again_and_reaches_every_run(made, shards, tmp_path, no_fit):
    folders, found = made
    again = baselines_beside_runs([tmp_path / "new", folders[1]], shards)
    assert again == found
    assert baselines_beside_runs([tmp_path / "new"], shards) == found


def test_what_was_kept_of_other_shards_or_is_broken_is_made_anew(made, tmp_path):
    _, found = made
    others = make_shards(tmp_path / "others", seed=9)
    folder = tmp_path / "run"
    of_others = baselines_beside_runs([folder], others)
    assert of_others != found
    path = folder / "evaluation" / "test-baselines.json"
    path.write_text(path.read_text()[:40])
    assert baselines_beside_runs([folder], others) == of_others
    assert json.loads(path.read_text())["split"] == "test"
    assert baselines_beside_runs([folder], others, "validation").split == "validation"


def test_views_of_the_same_shards_are_not_taken_for_one_another(tmp_path):
    shards = make_shards(tmp_path / "shards", {"train": 12})  # one file, in each split of a view
    resplit_into_folds(shards, tmp_path / "folds", 3, validation_fraction=0.0)
    views = [tmp_path / "folds" / f"fold-{fold}" for fold in range(2)]
    files = [
        [shard.sha256 for shard in read_manifest(view).split("train").shards] for view in views
    ]
    found = [baselines_beside_runs([tmp_path / "run"], view) for view in views]
    assert files[0] == files[1]
    assert found[1] == baselines_beside_runs([tmp_path / "other run"], views[1])
    assert found[0] != found[1]
    pooled_baselines(views[0], tmp_path / "out", poolings=("mean",), num_folds=2)
    with pytest.raises(FileExistsError, match="of baselines on the same shards"):
        pooled_baselines(views[1], tmp_path / "out", poolings=("mean",), num_folds=2)


def test_clips_of_one_group_have_no_interval_and_come_back(tmp_path):
    shards = make_shards(tmp_path / "shards", {"train": 6, "test": 2})
    found = baselines_beside_runs([tmp_path / "run"], shards)
    assert np.isnan(found.baselines[0].interval).all()
    again = baselines_beside_runs([tmp_path / "run"], shards)
    assert again.to_markdown() == found.to_markdown()
    assert "| – to – |" in found.to_markdown()


@pytest.mark.parametrize(
    ("counts", "split", "sentence"),
    [
        ({"train": 6, "test": 3}, "train", "fitted on the split `train`, the one evaluated here"),
        ({"test": 3}, "test", "fitted on the split `train`, and the shards hold only test"),
        ({"train": 6}, "test", "`split` must be one of train, which the shards hold"),
        ({"train": 2, "test": 3}, "test", "clips of at least two groups"),
    ],
)
def test_where_there_is_nothing_to_fit_a_sentence_says_why(tmp_path, counts, split, sentence):
    shards = make_shards(tmp_path / "shards", counts)
    with pytest.raises(ValueError, match=sentence):
        baselines_beside_runs([tmp_path / "run"], shards, split)
    assert not (tmp_path / "run").exists()
