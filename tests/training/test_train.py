"""Training on tiny shards: what a run folder holds, what is learnt, what is refused."""

import csv
import dataclasses
import json

import keras
import numpy as np
import pytest
from shard_making import make_shards

from cham_keras.data import clip_dataset
from cham_keras.runs import DataSettings, ModelSettings, OptimizerSettings, RunSettings, open_run
from cham_keras.settings import read_settings, settings_from_dict
from cham_keras.training import train
from cham_keras.training.train import resolve

TINY = RunSettings(
    epochs=2,
    model=ModelSettings(filters=4, head_units=8, candidate_activation="tanh", attention_scale=12.0),
    data=DataSettings(num_frames=5, batch_size=6),
    optimizer=OptimizerSettings(learning_rate=0.01),
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    return train(shards, tmp_path_factory.mktemp("runs") / "run", TINY)


def test_a_run_folder_holds_what_the_map_says(run):
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "history.csv",
        "last.keras",
        "manifest.json",
        "metrics.json",
        "model.keras",
        "settings.toml",
        "tensorboard",
        "versions.json",
    ]
    with (run.folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert {"loss", "clip_accuracy", "val_clip_accuracy", "val_frame_accuracy"} <= set(rows[0])
    versions = json.loads((run.folder / "versions.json").read_text())
    assert versions["versions"]["keras"] == keras.__version__
    assert versions["seed"] == 0


def test_the_settings_of_a_run_read_back_as_they_were(run):
    assert read_settings(RunSettings, run.folder / "settings.toml") == resolve(TINY)
    assert open_run(run.folder).settings == resolve(TINY)


def test_the_kept_model_has_the_validation_accuracy_that_the_metrics_state(run, shards):
    kept = run.metrics()["kept"]
    clips = clip_dataset(shards, "validation", num_frames=5, batch_size=6)
    found = run.load_model().evaluate(clips, return_dict=True, verbose=0)
    assert found["clip_accuracy"] == pytest.approx(kept["val_clip_accuracy"])
    assert found["loss"] == pytest.approx(kept["val_loss"], rel=1e-5)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(run, shards, tmp_path):
    again = train(shards, tmp_path / "again", TINY)
    other = train(shards, tmp_path / "other", dataclasses.replace(TINY, seed=1))
    weights = [each.load_model().get_weights() for each in (run, again, other)]
    for ours, same in zip(weights[0], weights[1], strict=True):
        np.testing.assert_array_equal(ours, same)
    assert any((ours != different).any() for ours, different in zip(*weights[::2], strict=True))


@pytest.mark.parametrize("name", ["cham", "conv_attention", "fc_attention"])
def test_every_model_learns_what_can_be_learnt(name, shards, tmp_path):
    settings = settings_from_dict(
        RunSettings,
        {
            "epochs": 30,
            "model": {"name": name, "filters": 8, "head_units": 16, "dropout": 0.0},
            "data": {"num_frames": 6, "batch_size": 6},
            "optimizer": {"learning_rate": 0.02},
        },
        source="test",
    )
    metrics = train(shards, tmp_path / "run", settings).metrics()
    assert metrics["kept"]["val_clip_accuracy"] > 0.8  # chance is a third


def test_the_papers_number_of_frames_follows_the_model():
    assert resolve(RunSettings()).data.num_frames == 60
    one_layer = RunSettings(model=ModelSettings(name="conv_attention"))
    assert resolve(one_layer).data.num_frames == 30
    assert resolve(TINY).data.num_frames == 5


def test_clips_shorter_than_the_sample_are_counted_aloud(shards, tmp_path, capsys):
    settings = dataclasses.replace(TINY, data=DataSettings(num_frames=20, batch_size=6), epochs=1)
    train(shards, tmp_path / "run", settings)
    said = " ".join(capsys.readouterr().err.split())
    assert "18 of 18 training clips are shorter than 20 frames and repeat their last frame" in said


def test_a_setting_that_the_model_lacks_is_refused_and_nothing_is_written(shards, tmp_path):
    settings = dataclasses.replace(TINY, model=ModelSettings(name="conv_attention", skip=3))
    with pytest.raises(ValueError, match=r"`model.skip` is no setting of the model conv_attention"):
        train(shards, tmp_path / "run", settings)
    assert not (tmp_path / "run").exists()


def test_patience_without_validation_is_refused_and_nothing_is_written(tmp_path):
    shards = make_shards(tmp_path / "shards", clips_per_class={"train": 2, "test": 1})
    with pytest.raises(ValueError, match="`patience` needs a split `validation`"):
        train(shards, tmp_path / "run", dataclasses.replace(TINY, patience=2))
    assert not (tmp_path / "run").exists()


def test_without_validation_the_last_epoch_is_kept(tmp_path, capsys):
    shards = make_shards(tmp_path / "shards", clips_per_class={"train": 2, "test": 1})
    run = train(shards, tmp_path / "run", TINY)
    assert run.metrics()["kept_epoch"] == 2
    assert "the last epoch's model is kept" in " ".join(capsys.readouterr().err.split())


def test_a_run_is_not_written_over_unless_asked(run, shards):
    before = (run.folder / "model.keras").stat().st_mtime_ns
    with pytest.raises(FileExistsError, match="must be new or empty"):
        train(shards, run.folder, TINY)
    assert (run.folder / "model.keras").stat().st_mtime_ns == before


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no run folder"):
        open_run(tmp_path)
