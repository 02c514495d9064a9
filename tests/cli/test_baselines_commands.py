"""`cham baselines` and `cham trajectories`: options in, tables and exit codes out."""

import pytest
from moving_squares import draw
from shard_making import make_shards

from cham_keras.baselines import trajectories
from cham_keras.baselines.linear_classifiers import STRENGTHS
from cham_keras.baselines.pooling import STATISTICS_OF_POOLING
from cham_keras.cli import baselines as verb
from cham_keras.data import Clip, ClipList, write_clip_list, write_video


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


def test_the_options_offer_what_the_library_has():
    assert set(verb._Pooling.__args__) == set(STATISTICS_OF_POOLING)
    assert set(verb._Classifier.__args__) == set(STRENGTHS)


def test_baselines_prints_the_table_and_goes_on_in_its_folder(cham, shards, tmp_path):
    out = tmp_path / "out"
    options = ("--pooling", "mean", "--pooling", "drift", "--classifier", "ridge", "--folds", "3")
    code, said = cham("baselines", shards, "--out", out, *options)
    assert code == 0
    assert "ridge_drift" in said and "majority" in said and "alpha =" in said
    assert "logistic" not in said
    assert (out / "ridge_mean" / "evaluation" / "test.json").is_file()
    assert not (out / "ridge_mean" / "evaluation" / "test.png").exists()
    assert cham("baselines", shards, "--out", out, *options, "--pictures")[0] == 0
    assert (out / "ridge_mean" / "evaluation" / "test.png").is_file()


def test_baselines_says_what_is_wrong(cham, shards, tmp_path):
    code, said = cham("baselines", shards, "--out", tmp_path / "out", "--split", "train")
    assert code == 2 and "not fitted on (train)" in said
    code, said = cham("baselines", tmp_path / "none", "--out", tmp_path / "out")
    assert code == 2 and "There is no manifest.json" in said
    code, said = cham("baselines", shards, "--out", tmp_path / "out", "--pooling", "median")
    assert code == 2 and "median" in said


def test_trajectories_prints_scores_and_its_settings_read_back(cham, tmp_path, monkeypatch):
    pytest.importorskip("cv2", reason="needs OpenCV: pip install 'cham-keras[classic]'")
    root = tmp_path / "films"
    clips = []
    for number in range(10):
        label = ("across", "down")[number % 2]
        velocity = (3, 0) if label == "across" else (0, 3)
        path = f"{label}/{number}.mp4"
        (root / label).mkdir(parents=True, exist_ok=True)
        write_video(root / path, draw(9, velocity=velocity, seed=number), 25)
        clips.append(Clip(path, label, "test" if number > 7 else "train", path))
    write_clip_list(ClipList(root, ("across", "down"), clips), root / "clips.json")
    out = tmp_path / "out"
    code, said = cham(
        *("trajectories", root, "--out", out, "--num-words", 6, "--num-folds", 2),
        *("--tracking.num-steps", 6, "--tracking.start-every", 2),
        *("--tracking.channels", "global", "--tracking.channels", "hof"),
    )
    assert code == 0 and "clip accuracy" in said
    given = []

    def watching(clip_list, out, settings, **options):
        given.append(settings)
        raise ValueError("enough")

    monkeypatch.setattr(trajectories, "trajectory_baseline", watching)
    again = ("--settings", out / "settings.toml", "trajectories", root, "--out", out)
    assert cham(*again) == (2, "cham: enough")
    assert given[0].tracking.channels == ("global", "hof")
    assert (given[0].num_words, given[0].tracking.num_steps) == (6, 6)


def test_trajectories_refuses_a_channel_that_it_does_not_know(cham, tmp_path):
    code, said = cham(
        "trajectories", tmp_path, "--out", tmp_path / "out", "--tracking.channels", "sift"
    )
    assert code == 2 and "sift" in said
