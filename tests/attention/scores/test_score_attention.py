"""The scores of a run: which frames are met by which boxes, and what is written."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from cham_keras import models
from cham_keras.attention import score_attention
from cham_keras.attention.scores.score_attention import DEFAULT_REMOVAL_POINTS
from cham_keras.cli.score_attention import score_attention as command
from cham_keras.data import (
    Clip,
    ClipList,
    clip_dataset,
    clips_in_split,
    extract,
    load_backbone,
)
from cham_keras.data.prepare import Box, write_boxes
from cham_keras.evaluation.evaluate import clip_probabilities
from cham_keras.runs import DataSettings, ModelSettings, RunSettings, open_run
from cham_keras.training import train

HEIGHT, WIDTH = 48, 80  # of the films
#: The frames of the videos that the model sees: strides of 2, four steps, repeats left out.
FRAMES_SEEN = {
    "hop/1.mp4": [0, 4, 6, 10],
    "run/1.mp4": [0, 4, 6, 10],
    "skip/1.mp4": [0, 4, 6, 10],
    "hop/2.mp4": [0, 4, 8, 12],
    "run/2.mp4": [0, 4, 8, 12],
    "skip/2.mp4": [0, 2],
}


@pytest.fixture(scope="module")
def boxes():
    """A box in each frame of three films, at another place in each; none in the others."""
    rng = np.random.default_rng(0)
    return [
        Box(path, frame, *rng.uniform(0, [60, 35]).round(1), *rng.uniform(4, 20, 2).round(1))
        for path in ("hop/1.mp4", "skip/2.mp4", "run/2.mp4")
        for frame in range(13)
        if frame != 4
    ]


@pytest.fixture(scope="module")
def scores(tiny_run, boxes):
    return score_attention(tiny_run.run, tiny_run.shards, boxes=boxes, num_shuffles=2)


@pytest.fixture(scope="module")
def own_maps(tiny_run):
    """By clip, the model's maps of the frames that it sees."""
    clips = clips_in_split(tiny_run.shards, "test")
    [(inputs, _)] = clip_dataset(tiny_run.shards, "test", num_frames=4, batch_size=len(clips))
    model = models.with_attention(tiny_run.run.load_model())
    maps = np.asarray(model.predict_on_batch(inputs)["attention"]) / 49
    return {clip.id: of[: len(FRAMES_SEEN[clip.id])] for clip, of in zip(clips, maps, strict=True)}


def value(scores, measure, name, path):
    index = [clip.id for clip in scores.clips].index(path)
    return scores.values[measure][name][index]


def test_boxes_meet_the_frames_of_the_video_that_the_model_sees(scores, boxes, own_maps):
    seen = {
        path: [box for box in boxes if box.path == path and box.frame in FRAMES_SEEN[path]]
        for path in FRAMES_SEEN
    }
    # Frame 4 has no box.
    assert [len(of) for of in seen.values()] == [3, 0, 0, 0, 3, 2]
    assert scores.frames_with_boxes == 8
    assert scores.clips_with_boxes == 3
    cells = np.arange(8) / 7
    for path, of_clip in seen.items():
        if not of_clip:
            assert np.isnan(value(scores, "pointing game", "model", path))
            continue
        hits, inside = [], []
        for box in of_clip:
            weights = own_maps[path][FRAMES_SEEN[path].index(box.frame)]
            i, j = np.unravel_index(weights.argmax(), (7, 7))
            down = overlap(cells * HEIGHT, box.top, box.top + box.height)
            right = overlap(cells * WIDTH, box.left, box.left + box.width)
            hits.append(down[i] > 0 and right[j] > 0)
            inside.append((weights * np.outer(down, right)).sum())
        found = value(scores, "pointing game", "model", path)
        assert found == pytest.approx(np.mean(hits))
        found = value(scores, "attention in boxes", "model", path)
        assert found == pytest.approx(np.mean(inside), rel=1e-4)


def overlap(edges, low, high):
    """Of each part between two edges, the share that lies between low and high."""
    shared = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    return np.maximum(shared, 0) / np.diff(edges)


def test_the_mean_map_is_that_of_all_steps_that_see_a_frame(scores, boxes, own_maps):
    mean = np.concatenate(list(own_maps.values())).mean(axis=0)
    i, j = np.unravel_index(mean.argmax(), (7, 7))
    hits = []
    for box in boxes:
        if box.path == "run/2.mp4" and box.frame in FRAMES_SEEN[box.path]:
            down = overlap(np.arange(8) / 7 * HEIGHT, box.top, box.top + box.height)
            right = overlap(np.arange(8) / 7 * WIDTH, box.left, box.left + box.width)
            hits.append(down[i] > 0 and right[j] > 0)
    found = value(scores, "pointing game", "its mean map", "run/2.mp4")
    assert found == pytest.approx(np.mean(hits))


def test_entropy_leaves_out_the_repetitions_of_a_last_frame(scores, own_maps):
    for clip, found in zip(scores.clips, scores.values["entropy"]["model"], strict=True):
        maps = own_maps[clip.id].reshape(-1, 49)
        assert found == pytest.approx(-(maps * np.log(maps)).sum(axis=1).mean() / np.log(49))
    short = own_maps["skip/2.mp4"]
    assert len(short) == 2 < len(scores.entropy_by_step) == 4


def test_rows_hold_means_over_clips_and_differences_of_the_same_clips(scores):
    rows = {(row.measure, row.map): row for row in scores.rows}
    own, other = (scores.values["insertion"][name] for name in ("model", "random order"))
    row = rows["insertion", "random order"]
    assert row.value == pytest.approx(other.mean())
    assert row.difference == pytest.approx((own - other).mean())
    assert row.interval[0] <= row.value <= row.interval[1]
    assert row.difference_interval[0] <= row.difference <= row.difference_interval[1]
    assert rows["insertion", "model"].difference is None
    # Only clips with boxes count.
    known = scores.values["pointing game"]["uniform"]
    assert np.isnan(known).sum() == 3
    assert rows["pointing game", "uniform"].value == pytest.approx(np.nanmean(known))
    assert rows["rank correlation", "shuffled weights"].difference is None


def test_the_curves_start_and_end_with_the_whole_clip(scores):
    # The squares of 0 to 7: so many of 49 cells.
    np.testing.assert_allclose(scores.shares * 49, np.arange(DEFAULT_REMOVAL_POINTS) ** 2)
    whole = {curve[0] for curve in scores.curves["deletion"].values()}
    whole |= {curve[-1] for curve in scores.curves["insertion"].values()}
    np.testing.assert_allclose(list(whole), next(iter(whole)), rtol=1e-5)
    empty = [curve[-1] for curve in scores.curves["deletion"].values()]
    empty += [curve[0] for curve in scores.curves["insertion"].values()]
    np.testing.assert_allclose(empty, empty[0], rtol=1e-5)


def test_the_whole_clip_of_the_curves_is_what_evaluation_scores(scores, tiny_run):
    run = tiny_run.run
    found = clip_probabilities(run.load_model(), run, tiny_run.shards, "test", batch_size=6)
    expected = found.max(axis=1).mean()
    assert scores.curves["deletion"]["model"][0] == pytest.approx(expected, rel=1e-4)


def test_shuffled_weights_give_other_maps_and_leave_the_model_as_it_was(scores, tiny_run, boxes):
    for name in ("shuffled weights", "shuffled attention"):
        assert np.abs(scores.values["rank correlation"][name]).max() < 0.999
    # Another number of shuffles changes nothing of the model's own.
    again = score_attention(
        tiny_run.run, tiny_run.shards, boxes=boxes, num_shuffles=1, removal_points=2
    )
    for measure in ("pointing game", "attention in boxes", "entropy"):
        for name in ("model", "shuffled weights"):
            same = np.allclose(
                scores.values[measure][name], again.values[measure][name], equal_nan=True
            )
            assert same == (name == "model") or measure == "pointing game"


def test_values_do_not_depend_on_the_batch_or_on_which_other_clips_are_chosen(scores, tiny_run):
    few = score_attention(tiny_run.run, tiny_run.shards, num_clips=2, num_shuffles=2)
    assert [clip.id for clip in few.clips] != [clip.id for clip in scores.clips[:2]]
    assert few.frames_with_boxes == 0
    assert "pointing game" not in few.values
    for clip in few.clips:
        for measure, of_maps in few.values.items():
            for name in of_maps:
                assert value(few, measure, name, clip.id) == pytest.approx(
                    value(scores, measure, name, clip.id), rel=1e-4, abs=1e-6
                ), (measure, name)


def test_without_boxes_and_removal_the_rest_is_scored_and_drawn(tiny_run, tmp_path):
    scores = score_attention(tiny_run.run, tiny_run.shards, removal_points=0)
    assert set(scores.values) == {"entropy", "rank correlation"}
    assert scores.curves == {}
    scores.write(tmp_path)
    assert "Boxes" not in (tmp_path / "scores.md").read_text()
    assert (tmp_path / "scores.png").stat().st_size > 10_000


def test_the_command_writes_figures_tables_and_a_picture(tiny_run, boxes, tmp_path, capsys):
    write_boxes(boxes, tmp_path / "boxes.csv")
    out = tmp_path / "out"
    command([tiny_run.run.folder], shards=tiny_run.shards, boxes=tmp_path, num_shuffles=2, out=out)
    assert "pointing game" in capsys.readouterr().out
    written = json.loads((out / "scores.json").read_text())
    assert written["clips"] == 6
    assert written["model_sha256"] == tiny_run.run.model_sha256()
    assert written["clips_with_boxes"] == 3
    (row,) = [
        row for row in written["rows"] if (row["measure"], row["map"]) == ("pointing game", "model")
    ]
    table = (out / "scores.md").read_text()
    assert f"| pointing game | model | {row['value']:.3f} [" in table
    with (out / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    of_clips = [float(cell) for line in rows if (cell := line["pointing game: model"])]
    assert len(of_clips) == 3
    assert row["value"] == pytest.approx(np.mean(of_clips))
    assert (out / "scores.png").stat().st_size > 10_000


def test_one_group_has_no_intervals(scores, tmp_path):
    clips = tuple(dataclasses.replace(clip, group="one") for clip in scores.clips)
    of_one = dataclasses.replace(scores, clips=clips)
    for row, other in zip(of_one.rows, scores.rows, strict=True):
        assert row.value == other.value
        assert np.isnan(row.interval).all()
        assert np.isfinite(other.interval).all()
    of_one.write(tmp_path)
    table = (tmp_path / "scores.md").read_text()
    assert "No intervals: all clips are of one group." in table
    assert "nan" not in table
    assert "[" not in table.replace("[95 % interval]", "")
    stored = json.loads((tmp_path / "scores.json").read_text())
    assert {tuple(row["interval"]) for row in stored["rows"]} == {(None, None)}
    assert (tmp_path / "scores.png").stat().st_size > 10_000


def test_broken_weights_are_refused(tiny_run, tmp_path):
    shutil.copytree(tiny_run.run.folder, tmp_path / "run")
    run = open_run(tmp_path / "run")
    model = run.load_model()
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    model.save(tmp_path / "run" / "model.keras")
    with pytest.raises(ValueError, match="attention of .* must be finite"):
        score_attention(run, tiny_run.shards)


def test_what_is_broken_off_leaves_no_figures_of_an_earlier_call(scores, tmp_path, monkeypatch):
    scores.write(tmp_path)
    monkeypatch.setattr(type(scores), "to_markdown", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scores.write(tmp_path)
    assert not (tmp_path / "scores.json").exists()


def test_insertion_and_deletion_of_shuffled_weights_are_means_over_the_shuffles(tiny_run, scores):
    alone = [
        score_attention(tiny_run.run, tiny_run.shards, num_shuffles=1, seed=seed) for seed in (0, 1)
    ]
    for measure in ("insertion", "deletion"):
        of_each = [of.values[measure]["shuffled weights"] for of in alone]
        assert not np.allclose(*of_each)
        found = scores.values[measure]["shuffled weights"]  # of two shuffles, seed 0
        np.testing.assert_allclose(found, np.mean(of_each, axis=0), rtol=1e-5)


def test_shares_are_those_of_whole_cells(tiny_run):
    scores = score_attention(tiny_run.run, tiny_run.shards, num_clips=1, removal_points=300)
    # Squares of 0 to 1 in 300 steps reach all 49 cells but none twice.
    np.testing.assert_allclose(scores.shares * 49, np.arange(50))


def test_cells_that_come_and_go_are_no_motion(tmp_path):
    """In stills nothing moves: a model of differences sees the same, whatever is hidden."""
    rng = np.random.default_rng(0)
    clips = []
    for label in ("hop", "run"):
        for split in ("train", "test"):
            still = Image.fromarray(rng.integers(0, 256, (48, 48, 3), "uint8"))
            (tmp_path / label / split).mkdir(parents=True)
            for number in range(4):
                still.save(tmp_path / label / split / f"{number}.png")
            clips.append(Clip(f"{label}/{split}", label, split, f"{label}/{split}"))
    extract(
        ClipList(tmp_path, ("hop", "run"), tuple(clips)),
        tmp_path / "shards",
        load_backbone("filter_bank"),
    )
    settings = RunSettings(
        epochs=1,
        model=ModelSettings(name="conv_attention", filters=4, temporal_differences="only"),
        data=DataSettings(num_frames=4, batch_size=2),
    )
    run = train(tmp_path / "shards", tmp_path / "trained", settings)
    scores = score_attention(run, tmp_path / "shards", num_shuffles=1)
    for measure in ("insertion", "deletion"):
        for curve in scores.curves[measure].values():
            np.testing.assert_allclose(curve, curve[0], rtol=1e-5)


def test_what_cannot_be_scored_is_an_error_that_says_why(tiny_run, boxes, tmp_path):
    run, shards = tiny_run.run, tiny_run.shards
    with pytest.raises(ValueError, match="At least one box must be of a frame that the model sees"):
        score_attention(run, shards, boxes=[Box("hop/1.mp4", 4_000, 0, 0, 1, 1)])
    with pytest.raises(FileNotFoundError, match=r"There is no video .*hop/1.mp4.*--clips-root"):
        score_attention(run, shards, boxes=boxes, clips_root=tmp_path)
    with pytest.raises(ValueError, match="`num_shuffles` must be at least 1. Received: 0"):
        score_attention(run, shards, num_shuffles=0)
    with pytest.raises(ValueError, match="`seed` must be at least 0. Received: -1"):
        score_attention(run, shards, seed=-1)
    with pytest.raises(ValueError, match="`removal_points` must be 0, or at least 2. Received: 1"):
        score_attention(run, shards, removal_points=1)
    with pytest.raises(ValueError, match="`num_clips` must be from 1 to 6"):
        score_attention(run, shards, num_clips=7)


def test_a_model_without_attention_is_refused(tiny_run, tmp_path):
    settings = RunSettings(
        epochs=1,
        model=ModelSettings(name="softmax_regression"),
        data=DataSettings(num_frames=4, batch_size=3),
    )
    run = train(tiny_run.shards, tmp_path / "run", settings)
    with pytest.raises(ValueError, match="have no attention"):
        score_attention(run, tiny_run.shards)
