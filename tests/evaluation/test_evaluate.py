"""Evaluation of tiny runs against scores computed clip by clip."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from export_testing import write_tiny_run
from shard_making import BACKBONE, CLASSES, make_clip

from cham_keras.data import ClipFeatures, clips_in_split, read_manifest, write_shards
from cham_keras.evaluation import evaluate, read_results, scoring
from cham_keras.evaluation.scoring import clip_probabilities, sees_later_frames
from cham_keras.runs import DataSettings, Run, RunSettings

#: Frames of the test clips; the runs look at 5.
NUM_FRAMES = (3, 5, 7, 12, 9, 16, 1, 10)
STEPS = 5


def shards_of(folder, lengths):
    rng = np.random.default_rng(0)
    clips = [make_clip(clip % 3, clip, "test", rng, frames) for clip, frames in enumerate(lengths)]
    write_shards(folder, clips, classes=CLASSES, backbone=BACKBONE, feature_dtype="float32")
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return shards_of(tmp_path_factory.mktemp("data") / "shards", NUM_FRAMES)


class DrawnModel:
    """Stands for a model: a recurrence with drawn weights, in NumPy, that takes no time to build.

    What it gives on padding is not a number, so that whoever counts it gets none either.

    Args:
        starts_from_mean: whether the first state is that of the clip's mean.
    """

    def __init__(self, starts_from_mean=False):
        self.weights = np.random.default_rng(35).normal(size=(60, 3))
        self.starts_from_mean = starts_from_mean

    def predict_on_batch(self, inputs):
        """`(batch, time, classes)`."""
        features, lengths = np.asarray(inputs["features"]), np.asarray(inputs["lengths"])
        probabilities = np.full((*features.shape[:2], 3), np.nan)
        for clip, (frames, length) in enumerate(zip(features, lengths, strict=True)):
            probabilities[clip, :length] = self.softmax_of(frames[:length])
        return probabilities

    def softmax_of(self, frames):
        """`(frames, classes)` of one clip's frames."""
        inputs = frames.reshape(len(frames), 60) @ self.weights
        state = inputs.mean(axis=0) if self.starts_from_mean else np.zeros(3)
        states = [state := 0.5 * state + of_frame for of_frame in inputs]
        scores = np.exp(states)
        return scores / scores.sum(axis=1, keepdims=True)


class DrawnRun(Run):
    """A run of the drawn model."""

    def load_model(self):
        return DrawnModel()

    def model_sha256(self):
        return "that of the drawn model"


def drawn_run(folder, shards, short_clips):
    data = DataSettings(num_frames=STEPS, batch_size=4, short_clips=short_clips)
    return DrawnRun(folder, RunSettings(data=data), read_manifest(shards))


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    """A run that repeats the last frame of short clips."""
    return drawn_run(tmp_path_factory.mktemp("run"), shards, "repeat")


@pytest.fixture(scope="module")
def padding_run(shards, tmp_path_factory):
    return drawn_run(tmp_path_factory.mktemp("run"), shards, "pad")


@pytest.fixture(scope="module")
def results(run, shards):
    return evaluate(run, shards)


def features_of(shards):
    """All features of the test split, clip by clip, read without the package's pipeline."""
    import tensorflow as tf

    for path in sorted(shards.glob("test-*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            frames = feature["frames/features"].bytes_list.value
            yield np.stack([np.frombuffer(frame, "<f4").reshape(3, 4, 5) for frame in frames])


def evenly_spaced(num_frames, wanted):
    """The middles of so many equal parts, or all frames where there are no more."""
    if num_frames <= wanted:
        return list(range(num_frames))
    return [(2 * part + 1) * num_frames // (2 * wanted) for part in range(wanted)]


def softmax_of(model, features, frames):
    """`(frames, classes)`: the model on these frames alone, without any padding."""
    return model.softmax_of(features[frames])


def test_clip_scores_are_the_mean_softmax_of_evenly_spaced_frames(run, shards, results):
    model = run.load_model()
    for row, features in zip(results.probabilities, features_of(shards), strict=True):
        frames = evenly_spaced(len(features), STEPS)
        frames += frames[-1:] * (STEPS - len(frames))
        expected = softmax_of(model, features, frames).mean(axis=0)
        np.testing.assert_allclose(row, expected, atol=1e-5)
    assert np.ptp(results.probabilities, axis=0).max() > 0.05, "the model tells no clips apart"


def test_padded_steps_do_not_count(padding_run, shards):
    model = padding_run.load_model()
    found = clip_probabilities(model, padding_run, shards, "test", batch_size=3)
    for row, features in zip(found, features_of(shards), strict=True):
        frames = evenly_spaced(len(features), STEPS)
        expected = softmax_of(model, features, frames).mean(axis=0)
        np.testing.assert_allclose(row, expected, atol=1e-5)


def test_every_frame_is_counted_once(run, shards, results):
    clips = clips_in_split(shards, "test")
    assert results.scores["frames"] == sum(NUM_FRAMES)
    assert sorted(results.frames.frames_of_clips) == sorted(NUM_FRAMES)
    model = run.load_model()
    right = 0
    for clip, features in zip(clips, features_of(shards), strict=True):
        num_windows = -(-len(features) // STEPS)
        for window in range(num_windows):
            frames = range(window, len(features), num_windows)
            predicted = softmax_of(model, features, list(frames)).argmax(axis=-1)
            right += int((predicted == clip.label).sum())
    assert results.scores["frame_accuracy"] == pytest.approx(right / sum(NUM_FRAMES))
    assert 0 < right < sum(NUM_FRAMES)


def test_accuracy_against_frames_seen_is_that_of_the_first_steps(padding_run, shards):
    found = evaluate(padding_run, shards).frames.accuracy_by_frames_seen
    model = padding_run.load_model()
    labels = [clip.label for clip in clips_in_split(shards, "test")]
    clips = [
        softmax_of(model, features, evenly_spaced(len(features), STEPS))
        for features in features_of(shards)
    ]
    for seen in range(1, STEPS + 1):
        hits = [
            clip[: -(-seen * len(clip) // STEPS)].mean(axis=0).argmax() == label
            for clip, label in zip(clips, labels, strict=True)
        ]
        assert found[seen - 1] == np.mean(hits)
    assert len(found) == STEPS
    assert len(set(found)) > 2


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("windows", [2, 3, "all"])
@pytest.mark.parametrize("short_clips", ["repeat", "pad"])
def test_windows_are_interleaved_and_all_their_frames_count_alike(
    run, padding_run, shards, windows, short_clips, batch_size
):
    run = run if short_clips == "repeat" else padding_run
    model = run.load_model()
    found = clip_probabilities(model, run, shards, "test", batch_size, windows)
    for row, features in zip(found, features_of(shards), strict=True):
        wanted = len(features) if windows == "all" else windows * STEPS
        frames = evenly_spaced(len(features), wanted)
        if short_clips == "repeat" and windows != "all":
            frames += frames[-1:] * (STEPS - len(frames))
        count = -(-len(frames) // STEPS)
        parts = [softmax_of(model, features, frames[window::count]) for window in range(count)]
        np.testing.assert_allclose(row, np.concatenate(parts).mean(axis=0), atol=1e-5)


def test_frames_of_windows_come_in_the_order_of_time(run, shards):
    model = run.load_model()
    clips = list(scoring.frame_probabilities(model, run, shards, "test", 4, "all"))
    features = list(features_of(shards))[3]  # 12 frames in 3 windows
    for window in range(3):
        expected = softmax_of(model, features, list(range(window, 12, 3)))
        np.testing.assert_allclose(clips[3][window::3], expected, atol=1e-5)
    assert [len(clip) for clip in clips] == list(NUM_FRAMES)


@pytest.mark.parametrize(
    ("windows", "lengths", "short_clips", "passes"),
    [
        (1, (3, 5), "repeat", 2),  # a repeated frame is no frame of the clip
        (1, (5, 5), "repeat", 1),
        (1, (3, 5), "pad", 1),
        (1, (3, 6), "pad", 2),
        (2, (3, 6, 10), "pad", 1),
        (2, (3, 6, 11), "pad", 2),
        ("all", (3, 6, 11), "repeat", 1),
    ],
)
def test_the_model_goes_over_the_clips_again_only_where_it_must(
    run, padding_run, tmp_path, monkeypatch, no_pictures, windows, lengths, short_clips, passes
):
    run = run if short_clips == "repeat" else padding_run
    run = dataclasses.replace(run, folder=tmp_path)
    shards = shards_of(tmp_path / "shards", lengths)
    calls = []
    for name in ("_all_frames", "_evenly_spaced_frames"):
        function = getattr(scoring, name)
        monkeypatch.setattr(
            scoring, name, lambda *args, function=function: calls.append(1) or function(*args)
        )
    found = evaluate(run, shards, windows=windows)
    assert len(calls) == passes
    assert found.frames.frames == sum(lengths)
    again = scoring.frame_probabilities(run.load_model(), run, shards, "test", 4, "all")
    labels = [clip.label for clip in clips_in_split(shards, "test")]
    right = sum(
        int((clip.argmax(axis=1) == label).sum()) for clip, label in zip(again, labels, strict=True)
    )
    assert found.frames.right == right


def test_a_start_from_the_clips_mean_is_seen(shards, run):
    assert not sees_later_frames(DrawnModel(), run, shards, "test")
    assert sees_later_frames(DrawnModel(starts_from_mean=True), run, shards, "test")


@pytest.mark.parametrize(("name", "sees"), [("conv_attention", False), ("fc_attention", True)])
def test_a_model_goes_the_whole_way(shards, tmp_path, no_pictures, name, sees):
    run = write_tiny_run(tmp_path / "run", shards, name)
    results = evaluate(run, shards)
    assert results.frames.sees_later_frames == sees
    assert results.frames.frames == sum(NUM_FRAMES)
    again = read_results(run.folder)
    np.testing.assert_array_equal(again.probabilities, results.probabilities)


def test_clips_of_one_frame_cannot_tell_what_a_model_sees(run, tmp_path):
    shards = shards_of(tmp_path / "shards", (1, 1))
    assert not sees_later_frames(run.load_model(), run, shards, "test")


def test_the_files_agree_with_the_results(run, shards, results):
    folder = run.folder / "evaluation"
    again = read_results(run.folder)
    np.testing.assert_array_equal(again.probabilities, results.probabilities)
    assert again.frames == results.frames
    assert again.groups.tolist() == [clip.group for clip in clips_in_split(shards, "test")]
    stored = json.loads((folder / "test.json").read_text())
    assert stored["model_sha256"] == again.model_sha256 == "that of the drawn model"
    assert stored["clip_accuracy"] == results.scores["clip_accuracy"]
    with (folder / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(NUM_FRAMES)
    hits = np.mean([row["label"] == row["predicted"] for row in rows])
    assert hits == pytest.approx(results.scores["clip_accuracy"])
    assert f"{results.scores['clip_accuracy']:.3f}" in (folder / "test.md").read_text()


def test_shards_of_other_features_are_refused(run, tmp_path):
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


@pytest.mark.parametrize("windows", [0, -1, "every"])
def test_a_number_of_windows_that_makes_no_sense_is_refused(run, shards, windows):
    with pytest.raises(ValueError, match=f"`windows` must be at least 1, or 'all'.*{windows}"):
        evaluate(run, shards, windows=windows)
