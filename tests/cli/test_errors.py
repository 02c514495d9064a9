"""Bad input at the command line: one clear sentence, an exit code, nothing half-written."""

import dataclasses

import numpy as np
import pytest
from shard_making import BACKBONE, CLASSES, make_shards

from cham_keras.cli.main import run_command
from cham_keras.data import write_video
from cham_keras.data.shards.shards import ClipFeatures, write_shards

SMALL = ("--epochs", "1", "--model.filters", "2", "--model.head-units", "4")
TINY = (*SMALL, "--data.num-frames", "4", "--data.batch-size", "8")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(scope="module")
def run_folder(shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert run_command(["train", str(shards), "--out", str(folder), *TINY]) == 0
    return folder


def film(path, num_frames=6):
    rng = np.random.default_rng(list(str(path).encode()))  # no two films are the same
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, rng.integers(0, 255, (num_frames, 32, 48, 3), dtype="uint8"), 10.0)


def videos(root, classes=("a", "b"), clips=4):
    for name in classes:
        for index in range(clips):
            film(root / name / f"{index}.mp4")
    return root


def prepared(tmp_path, cham, **kwargs):
    root = videos(tmp_path / "videos", **kwargs)
    fractions = ("--test-fraction", "0.25", "--validation-fraction", "0.25")
    assert cham("prepare", "folder", root, "--out", tmp_path / "clips", *fractions)[0] == 0
    return tmp_path / "clips"


def test_an_empty_folder(cham, tmp_path):
    (tmp_path / "videos").mkdir()
    code, said = cham("prepare", "folder", tmp_path / "videos", "--out", tmp_path / "clips")
    assert code == 2
    assert said.startswith("cham: ")
    assert "videos" in said
    assert not (tmp_path / "clips").exists()


def test_one_class_only(cham, tmp_path):
    root = videos(tmp_path / "videos", classes=("only",))
    code, said = cham("prepare", "folder", root, "--out", tmp_path / "clips")
    assert code == 2
    assert "two classes" in said
    assert "only" in said
    assert not (tmp_path / "clips").exists()


def test_an_unknown_label(cham, tmp_path):
    clips = prepared(tmp_path, cham)
    text = (clips / "clips.json").read_text()
    (clips / "clips.json").write_text(text.replace('"label": "a"', '"label": "z"', 1))
    out = tmp_path / "shards"
    code, said = cham("extract", clips, "--out", out, "--backbone", "filter_bank")
    assert code == 2
    assert "'z'" in said
    assert "a, b" in said
    assert not out.exists()


def test_a_missing_video(cham, tmp_path):
    clips = prepared(tmp_path, cham)
    (tmp_path / "videos" / "a" / "0.mp4").unlink()
    out = tmp_path / "shards"
    code, said = cham("extract", clips, "--out", out, "--backbone", "filter_bank", "--strict")
    assert code == 2
    assert "0.mp4" in said
    assert not out.exists()


def test_a_corrupt_video_is_listed_and_counted_and_fatal_when_strict(cham, tmp_path, shared_data):
    clips = prepared(tmp_path, cham)
    corrupt = (shared_data / "clips" / "decord" / "corrupted.mp4").read_bytes()
    (tmp_path / "videos" / "a" / "0.mp4").write_bytes(corrupt)
    extract = ("extract", clips, "--backbone", "filter_bank")
    code, said = cham(*extract, "--out", tmp_path / "strict", "--strict")
    assert code == 2
    assert "a/0.mp4" in said
    assert not (tmp_path / "strict").exists()
    code, said = cham(*extract, "--out", tmp_path / "shards")
    assert code == 0
    assert "1 clip(s) could not be read" in said
    assert "a/0.mp4" in said


def test_shards_of_other_features_than_the_models(cham, run_folder, tmp_path):
    backbone = dataclasses.replace(BACKBONE, feature_shape=(3, 4, 6))
    clip = ClipFeatures("a.mp4", "test", 0, "a", 10.0, np.zeros((5, 3, 4, 6), "float32"))
    write_shards(tmp_path / "other", [clip], classes=CLASSES, backbone=backbone)
    code, said = cham("evaluate", run_folder, "--shards", tmp_path / "other")
    assert code == 2
    assert "must have the feature shape" in said
    assert "(3, 4, 6)" in said
    assert not (run_folder / "evaluation").exists()


def test_an_unknown_setting_in_a_file_lists_the_known_ones(cham, shards, tmp_path):
    (tmp_path / "settings.toml").write_text("[model]\nfilter = 3\n")
    out = tmp_path / "run"
    code, said = cham("--settings", tmp_path / "settings.toml", "train", shards, "--out", out)
    assert code == 2
    assert "`model.filter` is not a known setting. Known: name, filters, kernel_size" in said
    assert not out.exists()


def test_an_unknown_option_on_the_command_line(cham, shards, tmp_path):
    code, said = cham("train", shards, "--out", tmp_path / "run", "--model.filter", "3")
    assert code == 2
    assert "Unknown option: --model.filter. Did you mean --model.filters?" in said
    assert "`cham train --help`" in said
    assert not (tmp_path / "run").exists()


def test_an_unknown_verb(cham):
    code, said = cham("trian")
    assert code == 2
    assert 'Unknown command "trian"' in said


def test_a_bad_value_on_the_command_line(cham, shards, tmp_path):
    code, said = cham("train", shards, "--out", tmp_path / "run", "--model.kernel-size", "4")
    assert code == 2
    assert said == ("cham: `model.kernel_size` must be an odd positive integer. Received: '4'.")
    assert not (tmp_path / "run").exists()


def test_settings_with_a_verb_that_takes_none(cham, tmp_path):
    (tmp_path / "settings.toml").write_text("")
    code, said = cham("--settings", tmp_path / "settings.toml", "verify", tmp_path)
    assert code == 2
    assert "`--settings` goes with train, " in said


def test_clips_shorter_than_what_is_sampled_are_counted(cham, shards, tmp_path):
    code, said = cham("train", shards, "--out", tmp_path / "run", *SMALL, "--data.num-frames", "20")
    assert code == 0
    assert "18 of 18 training clips are shorter than 20 frames" in said


def test_a_folder_that_is_no_run(cham, shards, tmp_path):
    code, said = cham("evaluate", tmp_path, "--shards", shards)
    assert code == 2
    assert "is no run folder" in said


def test_a_folder_without_shards(cham, tmp_path):
    code, said = cham("train", tmp_path, "--out", tmp_path / "run")
    assert code == 2
    assert "manifest.json" in said
    assert not (tmp_path / "run").exists()


def test_a_missing_video_to_predict(cham, run_folder, tmp_path):
    code, said = cham("predict", tmp_path / "none.mp4", "--run", run_folder)
    assert code == 2
    assert "none.mp4" in said


def test_settings_of_a_run_train_the_same_again(cham, shards, run_folder, tmp_path):
    settings = run_folder / "settings.toml"
    out = tmp_path / "again"
    assert cham("--settings", settings, "train", shards, "--out", out)[0] == 0
    assert (out / "settings.toml").read_text() == settings.read_text()
    assert (out / "history.csv").read_text() == (run_folder / "history.csv").read_text()
    code, _ = cham("--settings", settings, "train", shards, "--out", out, "--overwrite")
    assert code == 0
    options = ("--overwrite", "--seed", "3")
    cham("--settings", settings, "train", shards, "--out", out, *options)
    assert "seed = 3" in (out / "settings.toml").read_text()
    assert "filters = 2" in (out / "settings.toml").read_text()
