"""A video gets the scores that evaluation gives its shard, from the run and from the export."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from export_testing import CLASSES, FRAMES_OF_FILMS, NUM_FRAMES, write_tiny_run, write_tiny_shards

from cham_keras.data import write_video
from cham_keras.evaluation.evaluate import clip_probabilities
from cham_keras.export import VideoClassifier, open_export, predict, video_classifier
from cham_keras.export.description import describe_run, read_description, write_description
from cham_keras.runs import open_run


@pytest.fixture(scope="module")
def films(shards):
    return [shards.parent / f"films/test-{clip}.mp4" for clip in range(len(FRAMES_OF_FILMS))]


@pytest.mark.parametrize("short_clips", ["repeat", "pad"])
def test_a_video_is_scored_as_in_evaluation(short_clips, shards, films, tmp_path):
    run = write_tiny_run(tmp_path / "run", shards, short_clips=short_clips)
    expected = clip_probabilities(run.load_model(), run, shards, "test", batch_size=2)
    classifier = VideoClassifier(run)
    predicted = [classifier.predict(film).clip_probabilities for film in films]
    assert np.ptp(expected, axis=0).max() > 0.01, "the model cannot tell these films apart"
    np.testing.assert_allclose(predicted, expected, atol=1e-6)


def test_run_and_export_say_the_same_of_a_video(run, version, films):
    by_run, by_export = predict(films[2], run), predict(films[2], open_export(version))
    for name in ("frame_numbers", "probabilities", "clip_probabilities", "attention"):
        np.testing.assert_allclose(getattr(by_run, name), getattr(by_export, name), atol=1e-5)
    assert by_run.classes == by_export.classes == CLASSES
    assert by_export.probabilities.shape == (NUM_FRAMES, 3)
    assert by_export.attention.shape == (NUM_FRAMES, 2, 2)
    np.testing.assert_allclose(by_export.attention.sum(axis=(1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(
        by_export.clip_probabilities, by_export.probabilities.mean(axis=0), atol=1e-6
    )


def test_an_export_predicts_where_the_run_is_gone(run, version, films, tmp_path):
    shutil.copytree(version.parent, tmp_path / "elsewhere")
    shutil.copytree(tmp_path / "elsewhere" / "1", tmp_path / "elsewhere" / "12")
    export = open_export(tmp_path / "elsewhere")
    assert export.folder.name == "12"
    assert str(run.folder) not in (export.folder / "assets.extra" / "cham.json").read_text()
    assert predict(films[1], export).top(1) == predict(films[1], run).top(1)


def test_the_frames_are_evenly_spaced_and_a_short_video_repeats_its_last(run, films):
    classifier = VideoClassifier(run)
    assert classifier.predict(films[0]).frame_numbers.tolist() == [0, 1, 2, 2, 2]
    assert classifier.predict(films[2]).frame_numbers.tolist() == [1, 3, 6, 8, 10]


def test_stride_and_most_frames_are_those_of_the_shards(tmp_path):
    shards = write_tiny_shards(tmp_path, frame_stride=2, max_frames=3, feature_dtype="float32")
    run = write_tiny_run(tmp_path / "run", shards, short_clips="pad")
    films = [tmp_path / f"films/test-{clip}.mp4" for clip in range(3)]
    predictions = [predict(film, run) for film in films]
    numbers = [prediction.frame_numbers.tolist() for prediction in predictions]
    assert numbers == [[0, 2], [0, 2, 4], [0, 2, 4]]
    np.testing.assert_allclose(
        [prediction.clip_probabilities for prediction in predictions],
        clip_probabilities(run.load_model(), run, shards, "test", batch_size=4),
        atol=1e-6,
    )


def test_top_classes_come_best_first(run, films):
    prediction = predict(films[1], run)
    names, scores = zip(*prediction.top(), strict=True)
    assert sorted(names) == sorted(CLASSES)
    assert list(scores) == sorted(prediction.clip_probabilities.tolist(), reverse=True)
    assert prediction.top(2) == prediction.top()[:2]
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"number of classes, 3. Received: {k}"):
            prediction.top(k)


def test_a_prediction_can_be_written_as_json(run, films):
    prediction = predict(films[1], run)
    values = json.loads(json.dumps(prediction.to_dict()))
    np.testing.assert_array_equal(np.array(values["attention"], "float32"), prediction.attention)
    assert np.array(values["probabilities"]).shape == (NUM_FRAMES, 3)


def test_a_bad_video_is_named_before_anything_is_loaded(run, films, tmp_path, monkeypatch):
    def load(*_):
        raise AssertionError("loaded before the video was read")

    monkeypatch.setattr(video_classifier, "load_backbone_from_spec", load)
    with pytest.raises(FileNotFoundError, match="nowhere.mp4"):
        predict(tmp_path / "nowhere.mp4", run)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ValueError, match="text.mp4"):
        predict(tmp_path / "text.mp4", run)


def test_a_video_that_breaks_off_is_refused(run, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3)).astype("uint8")
    write_video(tmp_path / "whole.avi", frames, frame_rate_hz=20)
    content = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(ValueError, match="cut.avi (breaks off at|is damaged in) frame"):
        predict(tmp_path / "cut.avi", run)


def test_a_real_corrupt_video_is_refused(run, shared_data):
    with pytest.raises(ValueError, match="corrupted.mp4"):
        predict(shared_data / "clips" / "decord" / "corrupted.mp4", run)


def test_weights_for_a_backbone_without_are_refused(run, films, tmp_path):
    with pytest.raises(ValueError, match="`weights` must be left out"):
        predict(films[1], run, weights=tmp_path / "weights.h5")


def test_features_that_the_stored_type_cannot_hold_are_refused(run, films, monkeypatch):
    classifier = VideoClassifier(run)
    backbone = classifier._backbone
    monkeypatch.setattr(
        backbone, "features_of_resized", lambda frames: np.full((len(frames), 2, 2, 24), 1e6)
    )
    with pytest.raises(ValueError, match="must be finite as float16"):
        classifier.predict(films[1])


def test_a_folder_without_an_export_is_named(run, tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere", run.folder):
        with pytest.raises(FileNotFoundError, match="is no export"):
            open_export(folder)


def test_a_saved_model_from_elsewhere_is_named(version, tmp_path):
    shutil.copytree(version, tmp_path / "1")
    description = tmp_path / "1" / "assets.extra" / "cham.json"
    values = json.loads(description.read_text())
    description.write_text(json.dumps(values | {"schema_version": 9}))
    with pytest.raises(ValueError, match="`schema_version` must be 1. Received: 9"):
        open_export(tmp_path)
    description.write_text(json.dumps(values | {"colour": "red"}))
    with pytest.raises(ValueError, match="`colour` is not a known setting"):
        open_export(tmp_path)
    description.unlink()
    with pytest.raises(FileNotFoundError, match="has no assets.extra/cham.json"):
        open_export(tmp_path)


def test_the_description_survives_settings_that_are_switched_off(run, tmp_path):
    optimizer = dataclasses.replace(run.settings.optimizer, decay_iteration="never")
    settings = dataclasses.replace(run.settings, optimizer=optimizer)
    description = describe_run(dataclasses.replace(open_run(run.folder), settings=settings))
    write_description(description, tmp_path)
    assert read_description(tmp_path) == description
