"""Tuning a run from frames: against the frozen stage, what it leaves, what goes on from there."""

import dataclasses
import os
import signal

import keras
import numpy as np
import pytest
from finetuning_testing import make_run, tuning
from frame_testing import IMAGE_SIZE, make_clips

from cham_keras import models
from cham_keras.data import clip_dataset, extract, load_backbone, load_backbone_from_spec
from cham_keras.evaluation import evaluate
from cham_keras.finetuning import finetune, step_memory
from cham_keras.finetuning.frame_batches import FrameBatches, frame_splits
from cham_keras.finetuning.settings import UnfreezingSettings
from cham_keras.finetuning.step_memory import activation_bytes
from cham_keras.finetuning.tuned_model import compile_stage, model_from_frames
from cham_keras.finetuning.unfreezing import unfreeze
from cham_keras.runs import open_run
from cham_keras.training import TrainingStopped, compile_model
from cham_keras.training.callbacks.keep_run import KeepRun


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A run, its clips, its shards."""
    return make_run(tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="module")
def tuned(started, tmp_path_factory):
    run, clips, _ = started
    settings = tuning(optimizer={"learning_rate": 0.01, "backbone_factor": 1.0})
    return finetune(run, clips, tmp_path_factory.mktemp("runs") / "tuned", settings)


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory):
    """The same with a recurrent model."""
    small = {"name": "conv_attention", "filters": 4, "head_units": 4}
    return make_run(tmp_path_factory.mktemp("recurrent"), **small)


def weights_of(run) -> list[np.ndarray]:
    backbone = keras.saving.load_model(run.folder / "backbone.keras")
    return [*run.load_model().get_weights(), *backbone.get_weights()]


@pytest.mark.parametrize("which", ["started", "recurrent"])
def test_a_step_with_a_frozen_cnn_is_the_step_on_stored_features(which, request, tmp_path):
    run, clips, shards = request.getfixturevalue(which)
    settings = tuning(frozen_epochs=2, seed=5, optimizer={"learning_rate": 0.01})
    run_settings = dataclasses.replace(
        run.settings,
        seed=5,
        data=dataclasses.replace(run.settings.data, batch_size=4),
        optimizer=dataclasses.replace(
            run.settings.optimizer, learning_rate=0.01, decay_iteration="never"
        ),
    )
    on_features = run.load_model()
    compile_model(on_features, run_settings)
    batch = next(
        iter(clip_dataset(shards, "train", 4, 4, "random", shuffle=True, seed=5, repeat=True))
    )
    on_features.train_on_batch(*batch)

    backbone = load_backbone_from_spec(run.manifest.backbone)
    from_frames = model_from_frames(run, backbone, settings)
    assert compile_stage(from_frames, settings, run_settings, frozen=True) == []
    splits = frame_splits(clips, run.manifest, settings, tmp_path / "counts.json")
    batches = FrameBatches(splits, run.manifest, settings, run_settings)
    before = backbone.model.get_weights()
    from_frames.train_on_batch(*next(iter(batches.training())))

    _, top = models.parts_of_from_frames(from_frames)
    changed = 0.0
    for ours, theirs, start in zip(
        top.get_weights(), on_features.get_weights(), run.load_model().get_weights(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
        changed = max(changed, np.abs(ours - start).max())
    assert changed > 0.005  # Adam's first step is the learning rate
    for ours, theirs in zip(backbone.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_tuned_run_is_a_run_whose_backbone_has_moved(started, tuned):
    run, *_ = started
    names = {path.name for path in tuned.folder.iterdir()}
    assert names == {
        "backbone.keras", "finetuning.toml", "history.csv", "manifest.json", "metrics.json",
        "model.keras", "settings.toml", "tensorboard", "versions.json",
    }  # fmt: skip
    before = keras.saving.load_model(run.folder.parent / "cnn.keras").get_weights()
    after = keras.saving.load_model(tuned.folder / "backbone.keras").get_weights()
    moved = [np.abs(a - b).max() > 1e-3 for a, b in zip(after, before, strict=True)]
    # Kernel, bias; scale, offset and the two statistics, which stay; kernel, bias.
    assert moved == [True, True, True, True, False, False, True, True]
    said = tuned.metrics()["finetuning"]
    assert said["trained_layers_of_the_backbone"] == ["first", "normalise", "second"]
    assert said["started_from"] == str(run.folder)
    assert tuned.manifest.backbone.weights == str(tuned.folder / "backbone.keras")
    assert tuned.manifest.splits["train"].clips == 6
    assert tuned.settings.data == dataclasses.replace(run.settings.data, batch_size=4)


def test_shards_of_the_tuned_backbone_score_as_the_tuning_did(started, tuned, tmp_path):
    _, clips, _ = started
    backbone = load_backbone(str(tuned.folder / "backbone.keras"))
    extract(clips, tmp_path / "shards", backbone, feature_dtype="float32")
    kept = tuned.metrics()["kept"]
    validation = clip_dataset(tmp_path / "shards", "validation", 4, 4)
    model = tuned.load_model()
    compile_model(model, tuned.settings)
    found = model.evaluate(validation, return_dict=True, verbose=0)
    assert found["loss"] == pytest.approx(kept["val_loss"], rel=1e-4)
    assert evaluate(tuned, tmp_path / "shards").scores["clips"] == 4


def test_a_tuned_run_can_be_tuned_again(started, tuned, tmp_path):
    _, clips, _ = started
    again = finetune(tuned, clips, tmp_path / "again", tuning(epochs=1, unfreezing={"share": 0.3}))
    said = again.metrics()["finetuning"]["trained_layers_of_the_backbone"]
    assert said == ["second"]


def test_the_cnn_learns_by_its_own_rate_and_waits_while_it_is_frozen(started, tmp_path):
    run, *_ = started
    clips = make_clips(tmp_path / "clips", {"train": 3})  # no validation: the last weights stay
    before = keras.saving.load_model(run.folder.parent / "cnn.keras").get_weights()

    def moved(name, epochs, frozen_epochs, **rate):
        rate = {"learning_rate": 0.01, "backbone_factor": 0.1, **rate}
        values = {"epochs": epochs, "frozen_epochs": frozen_epochs, "batch_size": 6}
        out = finetune(run, clips, tmp_path / name, tuning(**values, optimizer=rate))
        after = keras.saving.load_model(out.folder / "backbone.keras").get_weights()
        return max(np.abs(a - b).max() for a, b in zip(after, before, strict=True))

    # An epoch is one step. The first one of Adam moves a weight by the learning rate at the
    # most, and mostly by just that.
    assert moved("slow", 1, 0) == pytest.approx(1e-3, rel=0.02)
    assert moved("frozen", 1, 1) == 0
    assert moved("after", 2, 1, decay_iteration=1) == pytest.approx(1e-4, rel=0.02)


class Kill(BaseException):
    """Ends a fit as a kill would: nothing is written any more."""


# Four batches, two steps, make an epoch: before the validation of the frozen epoch, with the
# checkpoint of its end, within an epoch of the CNN.
@pytest.mark.parametrize(("how", "after_batches"), [("signal", 4), ("kill", 5), ("signal", 7)])
def test_a_tuning_that_was_broken_off_ends_as_an_unbroken_one(
    started, tmp_path_factory, tmp_path, monkeypatch, after_batches, how, unbroken
):
    run, clips, _ = started
    settings, whole = unbroken
    done = 0
    end_batch = KeepRun.on_train_batch_end

    def counted(self, batch, logs=None):
        nonlocal done
        done += 1
        if done == after_batches and how == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        end_batch(self, batch, logs)
        if done == after_batches:
            raise Kill

    monkeypatch.setattr(KeepRun, "on_train_batch_end", counted)
    with pytest.raises(TrainingStopped if how == "signal" else Kill):
        finetune(run, clips, tmp_path / "broken", settings)
    monkeypatch.undo()
    assert not (tmp_path / "broken" / "model.keras").exists()
    again = finetune(run, clips, tmp_path / "broken", settings)
    for ours, theirs in zip(weights_of(again), weights_of(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    history = [each.folder / "history.csv" for each in (again, whole)]
    assert history[0].read_text() == history[1].read_text()
    assert not (tmp_path / "broken" / "unfinished").exists()


@pytest.fixture(scope="module")
def unbroken(started, tmp_path_factory):
    """Settings with everything random, and the run that they give in one go."""
    run, clips, _ = started
    settings = tuning(
        epochs=3,
        frozen_epochs=1,
        seed=2,
        optimizer={"learning_rate": 0.01, "accumulation_steps": 2},
        unfreezing={"batch_normalization": "trained"},
        augmentation={"crop": "random", "mirror": True},
    )
    return settings, finetune(run, clips, tmp_path_factory.mktemp("unbroken") / "run", settings)


def test_an_unfinished_tuning_is_not_mixed_with_another(started, tmp_path, monkeypatch):
    run, clips, _ = started

    def killed(self, batch, logs=None):
        raise Kill

    monkeypatch.setattr(KeepRun, "on_train_batch_end", killed)
    with pytest.raises(Kill):
        finetune(run, clips, tmp_path / "out", tuning())
    monkeypatch.undo()
    with pytest.raises(ValueError, match="holds an unfinished one of another run or with other"):
        finetune(run, clips, tmp_path / "out", tuning(augmentation={"crop": "corners"}))
    finished = finetune(run, clips, tmp_path / "out", tuning(epochs=1), overwrite=True)
    assert finished.metrics()["epochs"] == 1
    with pytest.raises(FileExistsError, match="must be new or empty, or hold this tuning"):
        finetune(run, clips, tmp_path / "out", tuning(epochs=1))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"frozen_epochs": 3}, "`frozen_epochs` must be at most `epochs`, 2. Received: 3"),
        ({"optimizer": {"accumulation_steps": 3}}, "must divide `batch_size`, 4. Received: 3"),
        ({"unfreezing": {"from_layer": "third"}}, "first, normalise, second. Received: 'third'"),
        ({"unfreezing": {"from_layer": "second", "share": 0.5}}, "must be left out"),
    ],
)
def test_a_setting_that_breaks_its_rule_is_refused(started, tmp_path, values, sentence):
    run, clips, _ = started
    with pytest.raises(ValueError, match=sentence):
        finetune(run, clips, tmp_path / "out", tuning(**values))
    assert not (tmp_path / "out" / "model.keras").exists()


def test_a_step_that_memory_cannot_hold_is_refused_before_it_kills(started, tmp_path, monkeypatch):
    run, clips, _ = started
    network = load_backbone_from_spec(run.manifest.backbone).model
    of_frame = activation_bytes(network)
    at_once = 4 * run.num_frames * of_frame  # four clips
    monkeypatch.setattr(step_memory, "physical_memory_bytes", lambda: at_once - 1)
    sentence = r"4 clips of \d+ frames at once.* --optimizer.accumulation-steps 4 \(a clip at a"
    with pytest.raises(ValueError, match=sentence):
        finetune(run, clips, tmp_path / "out", tuning())
    assert not (tmp_path / "out").exists()  # no frame was counted before
    for fits in ({"optimizer": {"accumulation_steps": 2}}, {"frozen_epochs": 2}):
        step_memory.require_memory(network, tuning(**fits), run.num_frames)
    step_memory.require_memory(network, tuning(), run.num_frames - 1)
    with pytest.raises(ValueError, match=r"1 clips .* Pass a smaller --num-frames or"):
        step_memory.require_memory(network, tuning(batch_size=1), 4 * run.num_frames)
    # Frozen layers leave nothing behind.
    unfreeze(network, UnfreezingSettings(from_layer="second"))
    assert activation_bytes(network) < of_frame


def test_clips_that_do_not_fit_are_refused(started, tmp_path):
    run, clips, _ = started
    other = dataclasses.replace(
        clips,
        classes=("left", "up"),
        clips=tuple(
            dataclasses.replace(clip, label=clip.label.replace("right", "up"))
            for clip in clips.clips
        ),
    )
    with pytest.raises(ValueError, match=r"must have the classes of the run: left, right. .*up"):
        finetune(run, other, tmp_path / "out", tuning())
    without_test = make_clips(tmp_path / "clips", {"train": 2})
    with pytest.raises(ValueError, match="`evaluation.split` must be one that has clips"):
        finetune(run, without_test, tmp_path / "out", tuning(evaluation={"split": "test"}))
    with pytest.raises(ValueError, match="`patience` needs a split `validation`"):
        finetune(run, without_test, tmp_path / "out", tuning(patience=2))
    with pytest.raises(ValueError, match="`out` must be another folder"):
        finetune(run, clips, run.folder, tuning())


def test_a_diverging_loss_names_step_and_clips(started, tmp_path):
    run, clips, _ = started
    with pytest.raises(ValueError, match=r"finite number. Received: .* on the clips .*\.mp4"):
        finetune(run, clips, tmp_path / "out", tuning(optimizer={"learning_rate": 1e38}))


def test_class_weights_and_recurrent_models_go_along(recurrent, tmp_path):
    run, clips, _ = recurrent
    settings = dataclasses.replace(run.settings, class_weights="balanced")
    run = dataclasses.replace(run, settings=settings)
    tuned = finetune(run, clips, tmp_path / "tuned", tuning(epochs=1))
    assert tuned.metrics()["model"] == "conv_attention"
    assert open_run(tuned.folder).settings.class_weights == "balanced"
    assert tuned.load_model().input["features"].shape == (None, None, IMAGE_SIZE // 8, 4, 6)
    assert tuned.metrics()["finetuning"]["parameters_of_the_backbone"] > 300
