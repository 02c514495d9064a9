"""A loss that is no number ends the fit: with the step, the clips, and what to do."""

import re

import numpy as np
import pytest
from shard_making import BACKBONE, CLASSES, make_clip, make_shards
from training_testing import (
    TO_BE_BROKEN,
    break_features,
    settings_of,
    train_quietly,
)

from cham_keras.data import clip_dataset, write_shards
from cham_keras.training import NonFiniteFeaturesError, NonFiniteLossError
from cham_keras.training.bad_batches import BadBatches


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


def shards_with_a_broken_clip(folder, broken, value=np.nan, **clips_per_class):
    rng = np.random.default_rng(0)
    clips = [
        make_clip(label, index, split, rng, num_frames=4)
        for split, count in ({"train": 6, "validation": 2} | clips_per_class).items()
        for index in range(count)
        for label in range(len(CLASSES))
    ]
    (bad,) = [clip for clip in clips if clip.id == broken]
    bad.features[1, 0, 0, 2] = TO_BE_BROKEN
    write_shards(folder, clips, classes=CLASSES, backbone=BACKBONE, feature_dtype="float32")
    break_features(folder, value)
    return folder


def first_step_with_nan(shards, settings):
    batches = clip_dataset(
        shards, "train", 4, 6, "random", shuffle=True, repeat=True, seed=settings.seed
    )
    for step, (inputs, _) in enumerate(batches, start=1):
        if not np.isfinite(inputs["features"]).all():
            return step
    raise AssertionError("an endless data set has ended")


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_broken_features_are_named_with_their_clip_and_step(parts, value, tmp_path):
    shards = shards_with_a_broken_clip(tmp_path / "shards", "darker/train3.mp4", value)
    for seed in range(9):
        step = first_step_with_nan(shards, settings_of(data__num_frames=4, seed=seed))
        if step == 3:  # so that counting is tested
            break
    settings = settings_of(data__num_frames=4, seed=seed, optimizer__accumulation_steps=parts)
    with pytest.raises(NonFiniteFeaturesError) as error:
        train_quietly(shards, tmp_path / "run", settings)
    assert error.value.clip_ids == ["darker/train3.mp4"]
    said = str(error.value)
    assert said.startswith("The loss must be a finite number")
    assert "at step 3 (epoch 1)" in said
    assert "infinite features in darker/train3.mp4. `cham verify` lists all" in said
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_broken_features_of_validation_are_named(tmp_path):
    shards = shards_with_a_broken_clip(tmp_path / "shards", "steady/validation1.mp4")
    with pytest.raises(
        NonFiniteFeaturesError, match=r"validation loss of nan after epoch 1.*steady/validation1"
    ):
        train_quietly(shards, tmp_path / "run", settings_of(data__num_frames=4))


def test_shards_that_are_read_in_order_name_their_clips_too(tmp_path, monkeypatch):
    from cham_keras.training import bad_batches

    shards = shards_with_a_broken_clip(tmp_path / "shards", "steady/validation1.mp4", 1.0)
    monkeypatch.setattr(bad_batches, "places_of_clips", lambda *_: None)
    batches = BadBatches(shards, settings_of(data__num_frames=4))._batches(
        "train", shuffle=True, repeat=True, start_batch=2
    )
    ids, broken = next(batches)
    assert len(set(ids)) == 6
    assert not broken


def test_a_diverging_loss_names_step_rate_clips_and_what_to_lower(shards, tmp_path):
    settings = settings_of(optimizer__learning_rate=1e38, optimizer__decay_iteration="never")
    with pytest.raises(NonFiniteLossError) as error:
        train_quietly(shards, tmp_path / "run", settings)
    said = str(error.value)
    assert re.match(r"The loss must be a finite number. Received: (nan|inf) at step \d+ ", said)
    assert "(epoch 1), with the learning rate 1e+38, on the clips " in said
    assert said.count(".mp4") == 6
    assert "Lower `optimizer.learning_rate` or set `optimizer.clip_norm`" in said
    assert "precision" not in said


def test_a_run_that_diverged_goes_on_from_before_it(shards, tmp_path):
    settings = settings_of(optimizer__learning_rate=1e38, checkpoint_minutes=1e-9)
    messages = []
    for _ in range(2):
        with pytest.raises(NonFiniteLossError) as error:
            train_quietly(shards, tmp_path / "run", settings)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_in_half_precision_the_advice_is_float32_as_well(shards):
    error = BadBatches(shards, settings_of(precision="mixed_float16")).error_in_training(
        float("inf"), batch=4, epoch=2
    )
    assert "or compute in float32 (`precision` is mixed_float16)." in str(error)
    assert "inf at step 5 (epoch 2)" in str(error)
