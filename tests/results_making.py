"""Results of made-up methods, for the tests of tables and comparisons."""

import numpy as np

from cham_keras.evaluation import Results

CLASSES = ("hop", "run", "skip")


def drawn_results(clips=40, groups=10, classes=CLASSES, skill=1.0, seed=0, data_seed=0, **others):
    """Results with drawn probabilities; labels and groups follow from `data_seed` alone."""
    data, rng = np.random.default_rng(data_seed), np.random.default_rng((1, seed))
    labels = data.integers(len(classes), size=clips)
    scores = rng.normal(size=(clips, len(classes))) + skill * np.eye(len(classes))[labels]
    rows = np.exp(scores)
    arguments = {
        "classes": classes,
        "clip_ids": tuple(f"{data_seed}/{clip}.mp4" for clip in range(clips)),
        "labels": labels,
        "groups": [f"group {data_seed} {group}" for group in data.integers(groups, size=clips)],
        "probabilities": rows / rows.sum(axis=1, keepdims=True),
        "seed": seed,
    }
    return Results(**(arguments | others))


def results_of_hits(hits, groups=None, seed=0, **others):
    """Results of two classes that recognise the clips where `hits` is true; labels alternate."""
    labels = np.arange(len(hits)) % 2
    named = np.where(hits, labels, 1 - labels)
    arguments = {
        "classes": ("hop", "run"),
        "clip_ids": tuple(f"{clip}.mp4" for clip in range(len(hits))),
        "labels": labels,
        "groups": np.arange(len(hits)) if groups is None else groups,
        "probabilities": np.where(np.arange(2) == named[:, None], 0.8, 0.2),
        "seed": seed,
    }
    return Results(**(arguments | others))
