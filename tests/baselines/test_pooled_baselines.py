"""Baselines on pooled features: what each pooling can learn, and what is left behind."""

import json

import numpy as np
import pytest
from shard_making import BACKBONE, CLASSES, FEATURE_SHAPE, make_shards

from cham_keras.baselines import pooled_baselines
from cham_keras.baselines.pooled_baselines import CLASSIFIERS, POOLINGS
from cham_keras.data import ClipFeatures, write_shards

TWO = {"num_folds": 3, "poolings": ("mean", "drift")}


def clip(number, split, label, features):
    return ClipFeatures(
        id=f"{split}/{number}.mp4",
        split=split,
        label=label,
        group=f"{split} {number}",
        frame_rate_hz=10.0,
        features=features.astype("float32"),
    )


def shards_of(folder, draw, seed=0):
    """Shards of two classes whose features `draw(label, rng)` makes."""
    rng = np.random.default_rng(seed)
    clips = [
        clip(number, split, number % 2, draw(number % 2, rng))
        for split, count in (("train", 40), ("test", 30))
        for number in range(count)
    ]
    write_shards(folder, clips, classes=CLASSES[:2], backbone=BACKBONE, feature_dtype="float32")
    return folder


def brighter_or_darker(label, rng):
    features = rng.normal(scale=0.3, size=(9, *FEATURE_SHAPE))
    features[..., 2] += (-1, 1)[label]
    return features


def rising_or_falling(label, rng):
    """The same frames in both classes; only which half comes first tells them apart."""
    features = rng.normal(scale=0.3, size=(10, *FEATURE_SHAPE))
    features[5:, ..., 2] += 1
    return features if label else features[::-1]


def moving_or_still(label, rng):
    """Both classes have the same values, and neither goes anywhere; one changes each frame."""
    values = np.tile([1.0, -1.0], 6) if label else np.repeat([1.0, -1.0, 1.0, -1.0], 3)
    features = rng.normal(scale=0.1, size=(12, *FEATURE_SHAPE))
    features[..., 2] += values[:, None, None]
    return features


def accuracies_of(folder, draw, *poolings):
    shards = shards_of(folder / "shards", draw)
    results = pooled_baselines(shards, folder / "out", poolings=poolings)
    return {name: each.scores["clip_accuracy"] for name, each in results.items()}


def test_a_class_that_the_mean_decides_is_learnt_wholly(tmp_path):
    found = accuracies_of(tmp_path, brighter_or_darker, "mean", "mean_max", "everything")
    assert found["logistic_mean"] == found["ridge_mean"] == 1
    assert found["logistic_mean_max"] == found["ridge_everything"] == 1
    assert found["majority"] == 0.5


def test_the_order_of_the_halves_is_learnt_by_drift_and_not_by_the_mean(tmp_path):
    poolings = ("mean", "mean_std", "change", "drift", "mean_drift")
    found = accuracies_of(tmp_path, rising_or_falling, *poolings)
    assert found["logistic_drift"] == found["ridge_drift"] == found["logistic_mean_drift"] == 1
    for name in ("logistic_mean", "ridge_mean", "logistic_mean_std", "logistic_change"):
        assert found[name] < 0.75, name


def test_how_much_changes_is_learnt_by_change_and_not_by_the_mean(tmp_path):
    found = accuracies_of(tmp_path, moving_or_still, "mean", "mean_std", "change")
    assert found["logistic_change"] == found["ridge_change"] == 1
    assert found["logistic_mean"] < 0.75 and found["logistic_mean_std"] < 0.75


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("baselines")
    shards = make_shards(folder / "shards", {"train": 6, "validation": 4, "test": 3})
    return shards, folder / "out", pooled_baselines(shards, folder / "out", num_folds=3)


def test_each_method_leaves_an_evaluation_as_a_run_does(made):
    _, out, results = made
    assert set(results) == {f"{c}_{p}" for c in CLASSIFIERS for p in POOLINGS} | {"majority"}
    for name, each in results.items():
        scores = json.loads((out / name / "evaluation" / "test.json").read_text())
        assert scores["clip_accuracy"] == each.scores["clip_accuracy"]
        lines = (out / name / "evaluation" / "test.csv").read_text().splitlines()
        assert len(lines) == 10  # nine clips
        method = json.loads((out / name / "method.json").read_text())
        assert (method["method"], method["fitted_on"]) == (name, ["train"])
        assert method["clips_fitted_on"] == 18
        assert "scikit-learn" in method["versions"]
    for each in results.values():
        assert each.clip_ids == results["majority"].clip_ids  # so that pairs can be compared
    np.testing.assert_allclose(results["majority"].probabilities, 1 / 3)


def test_the_table_has_a_row_a_method_with_its_interval_and_choice(made):
    _, out, results = made
    table = (out / "baselines.md").read_text()
    rows = {
        line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")
    }
    assert set(results) <= set(rows)
    method = json.loads((out / "ridge_mean" / "method.json").read_text())
    scores = results["ridge_mean"].scores
    lower, upper = scores["clip_accuracy_interval"]
    assert f"{scores['clip_accuracy']:.3f} ({lower:.3f} to {upper:.3f})" in rows["ridge_mean"]
    assert f"alpha = {method['strength']:g}" in rows["ridge_mean"]
    assert f"{method['held_out_accuracy']:.3f}" in rows["ridge_mean"]


def test_the_same_seed_gives_the_same_probabilities(made, tmp_path):
    shards, _, results = made
    again = pooled_baselines(shards, tmp_path / "again", num_folds=3)
    for name in results:
        np.testing.assert_array_equal(again[name].probabilities, results[name].probabilities)


def test_validation_clips_are_fitted_on_only_where_asked_for(made, tmp_path):
    shards, _, _ = made
    pooled_baselines(shards, tmp_path / "out", add_validation=True, **TWO)
    method = json.loads((tmp_path / "out" / "ridge_mean" / "method.json").read_text())
    assert method["fitted_on"] == ["train", "validation"]
    assert method["clips_fitted_on"] == 30


def test_a_second_call_goes_on_in_its_folder_and_other_shards_are_refused(made, tmp_path):
    shards, out, results = made
    again = pooled_baselines(shards, out, **TWO)
    np.testing.assert_array_equal(
        again["ridge_drift"].probabilities, results["ridge_drift"].probabilities
    )
    other = make_shards(tmp_path / "other", seed=9)
    with pytest.raises(FileExistsError, match=r"baselines on the same shards\. Received: .*out"):
        pooled_baselines(other, out, **TWO)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="must be new, empty, or of baselines"):
        pooled_baselines(shards, tmp_path / "mine", **TWO)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"poolings": ("mean", "median")}, r"`poolings` must be one or more of mean, .*median"),
        ({"poolings": ()}, r"`poolings` must be one or more of .* Received: none"),
        ({"classifiers": ("ridge", "ridge")}, r"`classifiers` must be .*each once"),
        ({"split": "train"}, r"`split` must be one that is not fitted on \(train\)"),
        ({"split": "validation", "add_validation": True}, r"not fitted on \(train, validation\)"),
        ({"split": "trial"}, r"`split` must be one of train, validation, test"),
        ({"num_folds": 1}, r"`num_folds` must be at least 2"),
    ],
)
def test_arguments_that_break_a_rule_are_refused(made, tmp_path, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        pooled_baselines(made[0], tmp_path / "out", **arguments)
