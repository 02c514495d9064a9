"""Codebooks, chi-square distances and the machine on them."""

import numpy as np
import pytest
from sklearn.svm import SVC

from cham_keras.baselines.trajectories.chi_square_svm import (
    PENALTIES,
    chi_square_distances,
    fit_chi_square_svm,
)
from cham_keras.baselines.trajectories.codebook import fit_codebook, word_histogram

CLASSES = ("hop", "run", "skip")


def distances_by_hand(first, second):
    found = np.zeros((len(first), len(second)))
    for row, a in enumerate(first):
        for column, b in enumerate(second):
            found[row, column] = sum(
                (x - y) ** 2 / (x + y) for x, y in zip(a, b, strict=True) if x + y > 0
            )
    return found


def histograms(seed=0, num_clips=36, num_words=12):
    """Two channels of which the class decides a little, three clips a group."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_clips) // 3 % 3
    groups = np.array([f"film {index // 3}" for index in range(num_clips)])
    channels = {}
    for name in ("global", "hog"):
        weights = rng.gamma(0.5, size=(num_clips, num_words))
        weights[np.arange(num_clips), labels] += 0.5
        weights[0] = 0  # a clip in which nothing moves
        channels[name] = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    return channels, labels, groups


def test_chi_square_distances_equal_numpy():
    channels, _, _ = histograms()
    first, second = channels["global"][:5], channels["hog"]
    found = chi_square_distances(first, second)
    np.testing.assert_allclose(found, distances_by_hand(first, second), atol=1e-12)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_the_machine_is_scikit_learns_on_the_kernel_of_the_formula(num_classes):
    channels, labels, groups = histograms()
    kept = labels < num_classes
    channels = {name: values[kept] for name, values in channels.items()}
    labels, groups = labels[kept], groups[kept]
    unseen = {name: values[5:20] for name, values in histograms(seed=7)[0].items()}
    fitted = fit_chi_square_svm(channels, labels, groups, CLASSES[:num_classes], 4)

    def kernel(rows):
        means = []
        for name, values in channels.items():
            scale = distances_by_hand(values, values)[~np.eye(len(values), dtype=bool)].mean()
            means.append(distances_by_hand(rows[name], values) / scale)
        return np.exp(-(means[0] + means[1]) / 2)

    machine = SVC(C=fitted.penalty, kernel="precomputed", class_weight="balanced")
    machine.fit(kernel(channels), labels)
    assert fitted.penalty in PENALTIES
    probabilities = fitted.probabilities(unseen)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    decisions = machine.decision_function(kernel(unseen))
    if num_classes == 2:
        decisions = np.stack([-decisions / 2, decisions / 2], axis=1)
    powers = np.exp(fitted.choice.sharpness * decisions)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, atol=1e-3)  # of the solver
    np.testing.assert_array_equal(probabilities.argmax(axis=1), expected.argmax(axis=1))


def test_a_class_without_training_clips_has_probability_zero():
    channels, labels, groups = histograms()
    kept = labels != 1
    channels = {name: values[kept] for name, values in channels.items()}
    fitted = fit_chi_square_svm(channels, labels[kept], groups[kept], CLASSES, 4)
    assert not fitted.probabilities(channels)[:, 1].any()


def test_clips_that_are_all_alike_are_no_error():
    labels, groups = np.array([0, 1] * 4), np.array([str(index) for index in range(8)])
    alike = {"global": np.full((8, 5), 0.2)}
    fitted = fit_chi_square_svm(alike, labels, groups, CLASSES[:2], 2)
    np.testing.assert_allclose(fitted.probabilities(alike), 0.5, atol=0.01)


def test_words_are_the_clusters_and_histograms_their_shares():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0], [10, 0], [0, 10]])
    clips = [centres[rng.integers(3, size=50)] + rng.normal(size=(50, 2)) for _ in range(4)]
    codebook = fit_codebook(clips, num_words=3, most_descriptors=1000, seed=0)
    np.testing.assert_allclose(
        codebook.cluster_centers_[np.argsort(codebook.cluster_centers_ @ [1, 2])], centres, atol=0.5
    )
    mixed = centres[[0, 0, 1, 2]]
    assert sorted(word_histogram(codebook, mixed).tolist()) == [0.25, 0.25, 0.5]
    assert word_histogram(codebook, np.zeros((0, 2))).tolist() == [0, 0, 0]
    again = fit_codebook(clips, num_words=3, most_descriptors=1000, seed=0)
    np.testing.assert_array_equal(again.cluster_centers_, codebook.cluster_centers_)


def test_more_words_than_trajectories_are_refused():
    with pytest.raises(ValueError, match=r"`num_words` must be at most .*5 words of 4 trajector"):
        fit_codebook([np.zeros((2, 3)), np.ones((2, 3))], 5, most_descriptors=100, seed=0)
