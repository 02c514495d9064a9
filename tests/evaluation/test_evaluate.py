"""Evaluation of a tiny run against scores computed clip by clip."""

import csv
import json

import numpy as np
import pytest
from shard_making import BACKBONE, CLASSES, make_shards

from cham_keras.data import clips_in_split
from cham_keras.data.shards.shards import ClipFeatures, write_shards
from cham_keras.evaluation import evaluate
from cham_keras.runs import DataSettings, ModelSettings, OptimizerSettings, RunSettings
from cham_keras.training import train


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    settings = RunSettings(
        epochs=3,
        model=ModelSettings(filters=4, head_units=8, candidate_activation="tanh"),
        data=DataSettings(num_frames=4, batch_size=5),
        optimizer=OptimizerSettings(learning_rate=0.01),
    )
    return train(shards, tmp_path_factory.mktemp("runs") / "run", settings)


@pytest.fixture(scope="module")
def results(run, shards):
    return evaluate(run, shards)


def features_of(shards, split):
    """All features of a split, clip by clip, read without the package's pipeline."""
    import tensorflow as tf

    for path in sorted(shards.glob(f"{split}-*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            frames = feature["frames/features"].bytes_list.value
            yield np.stack([np.frombuffer(frame, "<f4").reshape(3, 4, 5) for frame in frames])


def test_clip_scores_are_the_mean_softmax_of_evenly_spaced_frames(run, shards, results):
    model = run.load_model()
    for row, features in zip(results.probabilities, features_of(shards, "test"), strict=True):
        chosen = [(2 * part + 1) * len(features) // 8 for part in range(4)]  # middles of four parts
        inputs = {"features": features[None, chosen], "lengths": np.array([4])}
        expected = model.predict(inputs, verbose=0)[0].mean(axis=0)
        np.testing.assert_allclose(row, expected, atol=1e-5)


def test_every_frame_is_counted_once(run, shards, results):
    clips = clips_in_split(shards, "test")
    assert results.scores["frames"] == sum(clip.num_frames for clip in clips)
    model = run.load_model()
    right = 0
    for clip, features in zip(clips, features_of(shards, "test"), strict=True):
        num_windows = -(-len(features) // 4)
        for window in range(num_windows):
            frames = features[window::num_windows]
            inputs = {"features": frames[None], "lengths": np.array([len(frames)])}
            predicted = model.predict(inputs, verbose=0)[0].argmax(axis=-1)
            right += int((predicted == clip.label).sum())
    assert results.scores["frame_accuracy"] == pytest.approx(right / results.scores["frames"])


def test_the_files_agree_with_the_results(run, results):
    folder = run.folder / "evaluation"
    assert {path.suffix for path in folder.iterdir()} == {".json", ".csv", ".md", ".png"}
    stored = json.loads((folder / "test.json").read_text())
    assert stored["clip_accuracy"] == results.scores["clip_accuracy"]
    with (folder / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    hits = sum(row["label"] == row["predicted"] for row in rows)
    assert hits / 9 == pytest.approx(results.scores["clip_accuracy"])
    assert f"{results.scores['clip_accuracy']:.3f}" in (folder / "test.md").read_text()


def test_shards_of_other_features_are_refused(run, tmp_path):
    import dataclasses

    backbone = dataclasses.replace(BACKBONE, feature_shape=(3, 4, 6))
    clip = ClipFeatures("a.mp4", "test", 0, "a", 10.0, np.zeros((5, 3, 4, 6), "float32"))
    write_shards(tmp_path / "other", [clip], classes=CLASSES, backbone=backbone)
    with pytest.raises(
        ValueError, match=r"must have the feature shape .* \(3, 4, 5\).*\(3, 4, 6\)"
    ):
        evaluate(run, tmp_path / "other")


def test_shards_of_other_classes_are_refused(run, tmp_path):
    clip = ClipFeatures("a.mp4", "test", 0, "a", 10.0, np.zeros((5, 3, 4, 5), "float32"))
    write_shards(tmp_path / "other", [clip], classes=("x", "y", "z"), backbone=BACKBONE)
    with pytest.raises(ValueError, match="must have the classes of the run"):
        evaluate(run, tmp_path / "other")


def test_an_unknown_split_is_refused(run, shards):
    with pytest.raises(ValueError, match="`split` must be one of"):
        evaluate(run, shards, split="tests")
