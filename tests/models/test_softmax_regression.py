"""Softmax regression is scikit-learn's: the same scores, and the same solution when trained."""

import keras
import numpy as np
import pytest

from cham_keras import models
from cham_keras.losses import SequenceCrossEntropy

HEIGHT, WIDTH, CHANNELS, CLASSES = 2, 3, 2, 3
NUMBERS = HEIGHT * WIDTH * CHANNELS


@pytest.fixture
def linear_model():
    return pytest.importorskip("sklearn.linear_model", reason="needs `pip install scikit-learn`")


def frames_and_labels(count, seed=0):
    """Frames whose classes overlap, so that the best weights are finite and not trivial."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    centres = rng.normal(size=(CLASSES, NUMBERS))
    frames = centres[labels] + 1.5 * rng.normal(size=(count, NUMBERS)) + 0.3
    return frames.astype("float32"), labels


def as_clips(frames):
    """`(frames, numbers)` -> a clip of one frame each."""
    return frames.reshape(-1, 1, HEIGHT, WIDTH, CHANNELS)


def test_scores_are_those_of_scikit_learn_with_the_same_weights(linear_model):
    frames, labels = frames_and_labels(60)
    theirs = linear_model.LogisticRegression(C=0.5).fit(frames, labels)
    model = models.softmax_regression((None, HEIGHT, WIDTH, CHANNELS), CLASSES)
    model.get_layer("logits").set_weights([theirs.coef_.T, theirs.intercept_])
    # Clips of five frames: every frame is scored by itself.
    clips = frames.reshape(12, 5, HEIGHT, WIDTH, CHANNELS)
    expected = theirs.predict_proba(frames).reshape(12, 5, CLASSES)
    np.testing.assert_allclose(model.predict(clips, verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize("c", [0.05, 1.0])
def test_training_ends_at_the_solution_of_scikit_learn(linear_model, c):
    count = 60
    frames, labels = frames_and_labels(count)
    theirs = linear_model.LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(frames, labels)
    # scikit-learn minimises the sum of the losses plus |W|² / 2C, we their mean plus l2 |W|².
    model = models.softmax_regression(
        (None, HEIGHT, WIDTH, CHANNELS), CLASSES, l2=1 / (2 * c * count)
    )
    steps = 1500
    rate = keras.optimizers.schedules.CosineDecay(0.05, steps)
    model.compile(keras.optimizers.Adam(rate), SequenceCrossEntropy())
    x, y = keras.ops.convert_to_tensor(as_clips(frames)), keras.ops.convert_to_tensor(labels)
    for _ in range(steps):
        model.train_on_batch(x, y)
    kernel, bias = (np.asarray(weight) for weight in model.get_layer("logits").weights)
    np.testing.assert_allclose(kernel.T, theirs.coef_, atol=1e-3)
    # A number that all biases share changes no score.
    np.testing.assert_allclose(
        bias - bias.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=1e-3
    )
    np.testing.assert_allclose(
        model.predict_on_batch(as_clips(frames))[:, 0], theirs.predict_proba(frames), atol=1e-3
    )


def test_l2_of_zero_regularizes_nothing():
    shape = (None, HEIGHT, WIDTH, CHANNELS)
    assert not models.softmax_regression(shape, CLASSES).losses
    assert len(models.softmax_regression(shape, CLASSES, l2=0.1).losses) == 1
