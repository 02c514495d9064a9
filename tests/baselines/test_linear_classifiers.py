"""Linear classifiers: equal to scikit-learn's own, chosen on groups that never cross."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cham_keras.baselines import linear_classifiers
from cham_keras.baselines.held_out import held_out_folds
from cham_keras.baselines.held_out_choice import choose
from cham_keras.baselines.linear_classifiers import STRENGTHS, fit_linear_classifier

CLASSES = ("hop", "run", "skip")


def vectors(num_clips=36, num_features=8, num_classes=3, seed=0, noise=1.0):
    """Vectors whose mean depends on the class; three clips a group."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_clips) // 3 % num_classes
    groups = np.array([f"film {index // 3}" for index in range(num_clips)])
    centres = np.random.default_rng(99).normal(size=(num_classes, num_features))
    features = centres[labels] + noise * rng.normal(size=(num_clips, num_features))
    return features * np.geomspace(0.01, 100, num_features) + 5, labels, groups


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("num_features", [8, 90])  # fewer and more than clips
def test_logistic_regression_equals_scikit_learns(num_features, num_classes):
    features, labels, groups = vectors(num_features=num_features, num_classes=num_classes)
    unseen, _, _ = vectors(num_features=num_features, num_classes=num_classes, seed=1)
    fitted = fit_linear_classifier("logistic", features, labels, groups, CLASSES[:num_classes], 4)
    model = LogisticRegression(C=fitted.strength, max_iter=5000, tol=1e-8)
    model = make_pipeline(StandardScaler(), model).fit(features, labels)
    expected = model.predict_proba(unseen)
    np.testing.assert_allclose(fitted.probabilities(unseen), expected, atol=1e-4)


@pytest.mark.parametrize("num_features", [8, 90])
def test_ridge_decisions_equal_scikit_learns(num_features):
    features, labels, groups = vectors(num_features=num_features)
    unseen, _, _ = vectors(num_features=num_features, seed=1)
    fitted = fit_linear_classifier("ridge", features, labels, groups, CLASSES, 4)
    model = make_pipeline(StandardScaler(), Ridge(alpha=fitted.strength))
    model.fit(features, 2.0 * np.eye(3)[labels] - 1)
    np.testing.assert_allclose(fitted.decide(unseen), model.predict(unseen), atol=1e-8)
    powers = np.exp(fitted.choice.sharpness * fitted.decide(unseen))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.probabilities(unseen), expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_the_strength_is_the_one_with_the_least_loss_on_held_out_clips(kind):
    features, labels, groups = vectors(noise=3.0)
    fitted = fit_linear_classifier(kind, features, labels, groups, CLASSES, 4, seed=3)
    losses, accuracies = [], []
    for strength in STRENGTHS[kind]:
        probabilities = np.zeros((len(labels), 3))
        for fit_on, left in held_out_folds(labels, groups, CLASSES, 4, seed=3):
            if kind == "logistic":
                model = LogisticRegression(C=strength, max_iter=5000, tol=1e-8)
                model = make_pipeline(StandardScaler(), model).fit(features[fit_on], labels[fit_on])
                probabilities[left] = model.predict_proba(features[left])
            else:
                model = make_pipeline(StandardScaler(), Ridge(alpha=strength))
                model.fit(features[fit_on], 2.0 * np.eye(3)[labels[fit_on]] - 1)
                powers = np.exp(fitted.choice.sharpness * model.predict(features[left]))
                probabilities[left] = powers / powers.sum(axis=1, keepdims=True)
        losses.append(-np.log(probabilities[np.arange(len(labels)), labels]).mean())
        accuracies.append((probabilities.argmax(axis=1) == labels).mean())
    best = int(np.argmin(losses))
    assert fitted.strength == STRENGTHS[kind][best]
    assert fitted.choice.log_loss == pytest.approx(losses[best], rel=1e-3)
    assert fitted.choice.accuracy == pytest.approx(accuracies[best])


def test_groups_never_cross_a_fold_and_every_class_is_fitted_on(monkeypatch):
    features, labels, groups = vectors()
    seen = []
    fit = linear_classifiers._fit

    def watching(kind, inputs, of_fold, num_classes, strengths):
        rows = [int(np.flatnonzero((features == row).all(axis=1))[0]) for row in inputs]
        seen.append(rows)
        return fit(kind, inputs, of_fold, num_classes, strengths)

    monkeypatch.setattr(linear_classifiers, "_fit", watching)
    fit_linear_classifier("ridge", features, labels, groups, CLASSES, 4)
    assert len(seen) == 5  # four folds, then all
    assert seen[-1] == list(range(len(labels)))
    held_out = [np.setdiff1d(np.arange(len(labels)), rows) for rows in seen[:-1]]
    np.testing.assert_array_equal(np.sort(np.concatenate(held_out)), np.arange(len(labels)))
    for rows, left in zip(seen, held_out, strict=False):
        assert not set(groups[rows]) & set(groups[left])
        assert set(labels[rows]) == {0, 1, 2}


def test_clips_of_one_group_cannot_flatter_the_held_out_accuracy():
    # Labels are drawn by group, and the clips of a group are the same but for a little noise:
    # who has seen one knows the others. Whole groups apart, there is nothing to know.
    rng = np.random.default_rng(5)
    of_group = rng.normal(size=(30, 60))
    group = np.repeat(np.arange(30), 6)
    labels = rng.permutation(np.arange(30) % 2)[group]
    features = of_group[group] + 0.01 * rng.normal(size=(180, 60))
    fitted = fit_linear_classifier(
        "logistic", features, labels, group.astype(str), ("hop", "run"), 5
    )
    assert fitted.choice.accuracy < 0.7


@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_a_class_without_training_clips_has_probability_zero(kind):
    features, labels, groups = vectors()
    kept = labels != 1
    fitted = fit_linear_classifier(kind, features[kept], labels[kept], groups[kept], CLASSES, 4)
    probabilities = fitted.probabilities(features)
    assert not probabilities[:, 1].any()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_the_same_seed_gives_the_same_classifier(kind):
    features, labels, groups = vectors(noise=3.0)
    first, again = (
        fit_linear_classifier(kind, features, labels, groups, CLASSES, 4, seed=1) for _ in range(2)
    )
    np.testing.assert_array_equal(first.probabilities(features), again.probabilities(features))


def test_a_feature_that_is_the_same_in_all_clips_says_nothing():
    features, labels, groups = vectors()
    constant = np.full((len(labels), 1), 0.1)
    with_it = fit_linear_classifier(
        "ridge", np.hstack([features, constant]), labels, groups, CLASSES, 4
    )
    without = fit_linear_classifier("ridge", features, labels, groups, CLASSES, 4)
    unseen = np.hstack([features, np.full((len(labels), 1), 7.0)])
    np.testing.assert_allclose(with_it.probabilities(unseen), without.probabilities(features))


def test_what_cannot_be_fitted_is_refused():
    features, labels, groups = vectors()
    with pytest.raises(
        ValueError, match=r"`kind` must be one of logistic, ridge\. Received: 'svm'"
    ):
        fit_linear_classifier("svm", features, labels, groups, CLASSES)
    with pytest.raises(ValueError, match=r"at least two classes\. Received: hop\."):
        fit_linear_classifier("ridge", features, 0 * labels, groups, CLASSES)
    with pytest.raises(ValueError, match=r"'run'"):
        in_one_group = np.where(labels == 1, "film", groups)
        fit_linear_classifier("ridge", features, labels, in_one_group, CLASSES)


def test_the_sharpness_makes_held_out_probabilities_honest():
    # Decisions twice too timid: the softmax must take them about twice.
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(4000, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) < rng.random(4000)[:, None]).sum(axis=1)
    choice = choose((logits / 2)[None], labels)
    assert choice.sharpness == pytest.approx(2, rel=0.1)
