"""Methods of a table that are not trained on features alone: each is run, resumed and scored."""

import dataclasses
from pathlib import Path

import pytest
from frame_testing import small_network
from moving_squares import draw

from cham_keras.baselines.trajectories import clip_descriptors
from cham_keras.data.frames.video import write_video
from cham_keras.evaluation import read_results
from cham_keras.finetuning import FinetuningSettings
from cham_keras.reproduce import TableSettings, make_table, method_runs
from cham_keras.reproduce.method_settings import finetuning_of

pytest.importorskip("cv2", reason="pip install -e '.[classic]'")

VELOCITY = {"down": (0.0, 2.0), "right": (2.0, 0.0)}
NUM_FRAMES = 18
METHODS = ("spatial_convnet", "trajectories", "pooled")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table of all three on films of squares that move down or right."""
    root = tmp_path_factory.mktemp("films")
    for split, count in (("train", 6), ("test", 2)):
        for label, velocity in VELOCITY.items():
            for number in range(count):
                path = root / split / label / f"{number}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                seed = 100 * number + 10 * len(split) + len(label)
                write_video(path, draw(NUM_FRAMES, velocity, seed=seed), frame_rate_hz=12)
    small_network(root.parent / "network.keras")
    settings = TableSettings(
        data_set="clips",
        root=str(root),
        backbone=str(root.parent / "network.keras"),
        scaling="none",
        methods=METHODS,
        seeds=(0,),
        finetuning=FinetuningSettings(epochs=1, batch_size=4, num_frames=2),
        changes={"iterations": 2, "data": {"num_frames": 4, "batch_size": 4}},
    )
    out = root.parent / "table"
    return out, settings, make_table(out, settings)


def test_every_kind_of_method_gets_a_row_on_the_same_clips(made):
    _, _, table = made
    assert [row.method.name for row in table.rows] == list(METHODS)
    assert all(row.same_clips_as(table.rows[0]) for row in table.rows)


def test_trajectories_tell_the_two_motions_apart(made):
    _, _, table = made
    (row,) = (row for row in table.rows if row.method.name == "trajectories")
    assert row.value == 1.0


def test_spatial_convnet_is_tuned_from_frames_and_scored_on_ten_crops(made):
    out, settings, table = made
    runs = out / "runs" / "spatial_convnet" / "split"
    assert (runs / "seed-0-frozen" / "model.keras").is_file()
    assert (runs / "seed-0" / "backbone.keras").is_file()
    assert finetuning_of(settings, seed=3).evaluation.crops == 10
    assert finetuning_of(settings, seed=3).seed == 3
    found = read_results(runs / "seed-0", "test-from-frames")
    assert table.rows[0].value == found.scores["clip_accuracy"]


def test_pooled_row_is_the_baseline_that_did_best_on_held_out_training_clips(made):
    out, _, table = made
    folder = out / "runs" / "pooled" / "split" / "seed-0"
    lines = (folder / "baselines.md").read_text().splitlines()
    best = next(line for line in lines if line.startswith("| ") and "method" not in line)
    name = best.split("|")[1].strip()
    assert table.rows[2].value == read_results(folder / name).scores["clip_accuracy"]


def test_all_divisions_share_the_trajectories_of_a_clip(made, tmp_path, monkeypatch):
    _, settings, _ = made
    followed = []
    follow = clip_descriptors.follow_points

    def counting(frames, tracking):
        followed.append(1)
        return follow(frames, tracking)

    monkeypatch.setattr(clip_descriptors, "follow_points", counting)
    of_folds = dataclasses.replace(
        settings, methods=("trajectories",), folds=2, seeds=(0, 1), validation_fraction=0.0
    )
    (row,) = make_table(tmp_path / "table", of_folds).rows
    assert len(row.units) == 4
    assert len(followed) == 16  # each clip once
    assert len(list((tmp_path / "table" / "descriptors").iterdir())) == 16


def test_a_second_call_runs_nothing_again(made, monkeypatch):
    out, settings, table = made
    monkeypatch.setattr(method_runs, "pooled_baselines", None)
    files = [path for path in sorted(out.rglob("*")) if path.suffix in (".keras", ".npz")]
    stamps = [path.stat().st_mtime_ns for path in files]
    again = make_table(out, settings)
    assert [row.value for row in again.rows] == [row.value for row in table.rows]
    assert [Path(path).stat().st_mtime_ns for path in files] == stamps
    assert not list(out.rglob("*.png"))  # pictures of many runs are looked at by nobody
