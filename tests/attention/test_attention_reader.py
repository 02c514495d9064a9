"""What the model is shown: the frames and the numbers that evaluation shows it."""

import numpy as np
import pytest

from cham_keras import models
from cham_keras.attention import AttentionReader, attention_of_video
from cham_keras.data import clip_dataset, clips_in_split, read_frames
from cham_keras.evaluation.evaluate import clip_probabilities


@pytest.fixture(scope="module")
def reader(tiny_run):
    return AttentionReader(tiny_run.run)


def test_scores_are_those_of_the_evaluation(tiny_run, reader):
    # Among the clips is one that is shorter than the steps, and the shards skip frames.
    run = tiny_run.run
    expected = clip_probabilities(run.load_model(), run, tiny_run.shards, "test", batch_size=2)
    found = [
        reader.read(tiny_run.clips / clip.id).clip_probabilities
        for clip in clips_in_split(tiny_run.shards, "test")
    ]
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-5)


def test_the_model_gets_the_features_that_lie_in_the_shards(tiny_run, reader, monkeypatch):
    clips = clips_in_split(tiny_run.shards, "test")
    [(inputs, _)] = clip_dataset(tiny_run.shards, "test", num_frames=4, batch_size=len(clips))
    given = []
    evaluate = reader.attention_of_features
    monkeypatch.setattr(
        reader,
        "attention_of_features",
        lambda features: given.append(features) or evaluate(features),
    )
    for clip in clips:
        reader.read(tiny_run.clips / clip.id)
    np.testing.assert_array_equal(given, np.float16(given))
    np.testing.assert_allclose(given, inputs["features"], rtol=2e-3, atol=1e-4)


def test_frames_are_those_of_the_video_at_the_numbers_given(tiny_run, reader):
    video = tiny_run.clips / "hop" / "1.mp4"  # 11 frames, of which the shards hold 6
    attention = reader.read(video)
    frames = list(read_frames(video))
    assert attention.frame_numbers.tolist() == [0, 4, 6, 10]
    assert attention.frame_rate_hz == 10
    for frame, number in zip(attention.frames, attention.frame_numbers, strict=True):
        np.testing.assert_array_equal(frame, frames[number])


def test_a_short_clip_repeats_its_last_frame(tiny_run, reader):
    attention = reader.read(tiny_run.clips / "skip" / "2.mp4")  # 3 frames, 2 of them in the shards
    assert attention.frame_numbers.tolist() == [0, 2, 2, 2]


def test_maps_sum_to_one_whatever_the_attention_scale(tiny_run):
    attention = attention_of_video(tiny_run.run, tiny_run.clips / "run" / "1.mp4")
    assert attention.maps.shape == (4, 7, 7)
    np.testing.assert_allclose(attention.maps.sum(axis=(1, 2)), 1, rtol=1e-5)


def test_maps_are_those_of_the_model(tiny_run, reader):
    features = np.random.default_rng(0).random((3, 7, 7, 24)).astype("float32")
    maps, probabilities = reader.attention_of_features(features)
    model = models.with_attention(tiny_run.run.load_model())
    outputs = model({"features": features[None], "lengths": np.array([3], "int32")})
    np.testing.assert_allclose(maps * 49, np.asarray(outputs["attention"])[0], rtol=1e-4)
    np.testing.assert_allclose(probabilities, np.asarray(outputs["probabilities"])[0], rtol=1e-4)


def test_another_number_of_frames_can_be_asked_for(tiny_run, reader):
    video = tiny_run.clips / "hop" / "1.mp4"
    assert reader.read(video, num_frames=6).frame_numbers.tolist() == [0, 2, 4, 6, 8, 10]
    with pytest.raises(ValueError, match="`num_frames` must be at least 1. Received: 0"):
        reader.read(video, num_frames=0)


def test_a_missing_video_is_named(reader, tmp_path):
    with pytest.raises(FileNotFoundError, match="no video file .*gone.mp4"):
        reader.read(tmp_path / "gone.mp4")
