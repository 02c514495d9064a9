"""Results: figures from probabilities alone, files that lead back to them, what is refused."""

import csv
import dataclasses
import importlib
import json
import math

import numpy as np
import pytest
from results_making import CLASSES, drawn_results

from cham_keras.evaluation import FrameFigures, Results, read_results, summarize
from cham_keras.evaluation.bootstrap import bootstrap_interval, draw_groups

FRAMES = FrameFigures(frames=400, right=300, accuracy_by_frames_seen=(0.2, 0.5, 2 / 3, 0.65))


@pytest.fixture(scope="module")
def results():
    return drawn_results(frames=FRAMES)


@pytest.fixture(scope="module")
def folder(results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "evaluation"
    results.write(folder)
    return folder


def test_figures_of_a_case_counted_by_hand():
    results = Results(
        classes=("hop", "run", "skip", "wave"),
        clip_ids=("a", "b", "c", "d"),
        labels=[0, 0, 1, 2],
        groups=["x", "x", "y", "z"],
        probabilities=[
            [0.7, 0.1, 0.1, 0.1],
            [0.2, 0.4, 0.3, 0.1],
            [0.1, 0.6, 0.2, 0.1],
            [0.5, 0.2, 0.2, 0.1],
        ],
        frames=FrameFigures(frames=10, right=7),
    )
    scores = results.scores
    assert scores["clips"] == 4
    assert scores["groups"] == 3
    assert scores["clip_accuracy"] == 0.5
    assert scores["top_3_accuracy"] == 1.0
    assert "top_5_accuracy" not in scores
    assert scores["frame_accuracy"] == 0.7
    assert scores["majority_accuracy"] == 0.5
    # hop: clips at rank 1 and 3; run: at rank 1; skip: d shares rank 3 with c, behind b.
    assert scores["mean_average_precision"] == pytest.approx(((1 + 2 / 3) / 2 + 1 + 1 / 3) / 3)
    assert scores["mean_class_accuracy"] == pytest.approx((0.5 + 1 + 0) / 3)
    expected = -np.log([0.7, 0.2, 0.6, 0.2]).mean()
    assert scores["negative_log_likelihood"] == pytest.approx(expected)
    assert scores["calibration_error"] == pytest.approx((0.3 + 0.4 + 0.4 + 0.5) / 4)
    assert scores["classes_without_clips"] == ["wave"]
    assert results.confusion.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_a_class_without_clips_is_left_out_of_the_means_and_named(tmp_path, no_pictures):
    results = drawn_results(classes=(*CLASSES, "wave"))
    present = results.labels != 3
    results = dataclasses.replace(
        results,
        clip_ids=tuple(np.array(results.clip_ids)[present]),
        labels=results.labels[present],
        groups=results.groups[present],
        probabilities=results.probabilities[present],
    )
    assert math.isnan(results.per_class["wave"]["accuracy"])
    rows = [results.per_class[name] for name in CLASSES]
    for name, mean in (
        ("accuracy", "mean_class_accuracy"),
        ("average_precision", "mean_average_precision"),
    ):
        assert results.scores[mean] == pytest.approx(np.mean([row[name] for row in rows]))
        lower, upper = results.scores[f"{mean}_interval"]
        assert lower < results.scores[mean] < upper
    assert "left out of the means: wave." in results.to_markdown()
    assert "| wave | 0 | – | – |" in results.to_markdown()
    results.write(tmp_path)
    text = (tmp_path / "test.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["per_class"]["wave"] == {
        "clips": 0,
        "accuracy": None,
        "average_precision": None,
    }


def test_the_interval_of_the_accuracy_draws_groups(results):
    hits = results.probabilities.argmax(axis=1) == results.labels
    expected = bootstrap_interval(hits, results.groups, results.seed)
    assert results.scores["clip_accuracy_interval"] == expected
    alone = dataclasses.replace(results, groups=np.arange(40))
    assert alone.scores["clip_accuracy_interval"] != expected


def counted_frames(clips=40, seed=5):
    """Figures with counts of each clip; some clips are long, some all wrong."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(1, 30, size=clips)
    right = rng.binomial(frames, rng.random(clips))
    return FrameFigures.of_clips(frames.tolist(), right.tolist())


def test_the_frame_accuracy_has_an_interval_where_each_clips_frames_are_counted(results):
    counted = dataclasses.replace(results, frames=counted_frames())
    lower, upper = counted.scores["frame_accuracy_interval"]
    assert lower < counted.scores["frame_accuracy"] < upper
    assert upper - lower > 0.05
    # Of one group, clips are drawn all together or not at all: groups count, not frames.
    alone = dataclasses.replace(counted, groups=np.arange(40))
    assert alone.scores["frame_accuracy_interval"] != (lower, upper)
    line = f"| frame accuracy | {counted.scores['frame_accuracy']:.3f} | {lower:.3f} to {upper:.3f}"
    assert line in counted.to_markdown()
    assert "frame_accuracy_interval" not in results.scores
    draws = draw_groups(results.groups, seed=0)
    with pytest.raises(ValueError, match="`name` must be one of .* Received: 'frame_accuracy'"):
        results.drawn_score("frame_accuracy", draws)


def test_counts_of_clips_frames_come_back_from_the_files(results, tmp_path):
    counted = dataclasses.replace(results, frames=counted_frames())
    counted.write(tmp_path, pictures=False)
    again = read_results(tmp_path)
    assert again.frames == counted.frames
    assert again.scores == counted.scores


def test_results_that_were_written_without_counts_are_read(results, tmp_path):
    results.write(tmp_path, pictures=False)
    path = tmp_path / "test.json"
    stored = json.loads(path.read_text())
    for name in ("frames_of_clips", "right_of_clips"):
        del stored["frame_figures"][name]
    path.write_text(json.dumps(stored))
    assert read_results(tmp_path).scores == results.scores


@pytest.mark.parametrize(
    ("frames", "right"), [((3, 2), (3,)), ((3, 2), (4, 0)), ((5, 0), (3, 0)), ((3, 3), (1, 2))]
)
def test_counts_that_do_not_go_together_are_refused(frames, right):
    with pytest.raises(ValueError, match="must be of the same clips"):
        FrameFigures(frames=5, right=3, frames_of_clips=frames, right_of_clips=right)


def test_pictures_are_left_out_where_asked_and_older_ones_are_removed(results, tmp_path):
    results.write(tmp_path)
    dataclasses.replace(results, split="other").write(tmp_path, pictures=False)
    drawn = sorted(path.name for path in tmp_path.glob("test*.png"))
    assert len(drawn) == 4 and not list(tmp_path.glob("other*.png"))
    drawn_results(seed=1).write(tmp_path, pictures=False)
    assert not list(tmp_path.glob("*.png"))
    assert read_results(tmp_path).scores == drawn_results(seed=1).scores


def test_clips_of_one_group_have_no_interval(tmp_path, no_pictures):
    results = drawn_results(groups=1)
    assert np.isnan(results.scores["clip_accuracy_interval"]).all()
    assert "All clips are of one group, so there are no intervals." in results.to_markdown()
    results.write(tmp_path)
    assert json.loads((tmp_path / "test.json").read_text())["clip_accuracy_interval"] == [None] * 2


def test_files_lead_back_to_the_very_same_results(results, folder):
    for place in (folder, folder.parent):
        again = read_results(place, "test")
        for field in dataclasses.fields(Results):
            before, after = getattr(results, field.name), getattr(again, field.name)
            np.testing.assert_array_equal(after, before, strict=isinstance(before, np.ndarray))
        assert again.scores == results.scores
        assert again.per_class == results.per_class


def test_strange_names_and_thirds_come_back_too(tmp_path, no_pictures):
    strange = Results(
        classes=('a,"b"', "path", "π"),
        clip_ids=("x,y.mp4", 'clip "1"\r\n.mp4', "#t=0.1,0.4"),
        groups=["", "group, 1", " "],
        labels=[0, 1, 2],
        probabilities=np.array([[1 / 3, 1 / 3, 1 / 3], [1, 0, 0], [1e-300, 0.1, 0.9]]),
        split="validation",
    )
    strange.write(tmp_path)
    again = read_results(tmp_path, "validation")
    assert again.clip_ids == strange.clip_ids
    assert again.classes == strange.classes
    assert again.groups.tolist() == strange.groups.tolist()
    np.testing.assert_array_equal(again.probabilities, strange.probabilities)


def test_the_table_of_clips_holds_label_group_and_prediction(results, folder):
    with (folder / "test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == list(results.clip_ids)
    assert [row["group"] for row in rows] == results.groups.tolist()
    hits = np.mean([row["label"] == row["predicted"] for row in rows])
    assert hits == pytest.approx(results.scores["clip_accuracy"])
    assert float(rows[7]["run"]) == results.probabilities[7, 1]


def test_the_tables_say_what_the_scores_say(results, folder):
    text = (folder / "test.md").read_text()
    lower, upper = results.scores["mean_average_precision_interval"]
    value = results.scores["mean_average_precision"]
    assert f"| mean average precision | {value:.3f} | {lower:.3f} to {upper:.3f} |" in text
    assert "| frame accuracy | 0.750 |  |" in text
    assert "| 2 | 50% | 0.500 |" in text
    assert "50% of it after 50% of the clip" in text
    assert "90% of it after 75% of the clip" in text
    stored = json.loads((folder / "test.json").read_text())
    for name, expected in results.point_scores.items():
        assert stored[name] == expected
    assert stored["calibration"]["error"] == stored["calibration_error"]
    assert sum(stored["calibration"]["clips"]) == 40


def test_every_picture_is_written(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "test-frames-seen.png",
        "test-precision-recall.png",
        "test-reliability.png",
        "test.csv",
        "test.json",
        "test.md",
        "test.png",
    ]


def test_a_method_without_frames_has_no_figures_of_frames(tmp_path):
    results = drawn_results(clips=200, classes=tuple("abcdefghijklmnopqrstuvwxy"))
    assert {"top_3_accuracy", "top_5_accuracy"} <= set(results.scores)
    results.write(tmp_path)
    # Precision and recall of 25 classes would make too large a picture.
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert pictures == ["test-reliability.png", "test.png"]
    assert read_results(tmp_path).frames is None
    assert "frame" not in results.to_markdown()


def test_a_start_that_sees_the_whole_clip_is_told(results):
    ahead = dataclasses.replace(FRAMES, sees_later_frames=True)
    assert "depend on later frames" in dataclasses.replace(results, frames=ahead).to_markdown()
    assert "depend on later frames" not in results.to_markdown()


def test_summarize_takes_the_clips_of_shards(results):
    from cham_keras.data import ClipRecord

    clips = [
        ClipRecord(id, int(label), str(group), num_frames=3, frame_rate_hz=1.0)
        for id, label, group in zip(results.clip_ids, results.labels, results.groups, strict=True)
    ]
    found = summarize(clips, results.probabilities, classes=list(CLASSES), frames=FRAMES)
    assert found.scores == results.scores


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": [0]}, r"`labels` must be of shape \(40,\).*Received: \(1,\)"),
        ({"classes": ("hop", "run")}, r"`probabilities` must be of shape \(40, 2\)"),
        ({"groups": ["a"] * 39}, "`groups` must be of shape"),
        ({"clip_ids": ("a",) * 40}, "each clip once. Received: 'a' twice"),
        ({"labels": [3] * 40}, r"from 0 to 2. Received: \[3\]"),
        ({"labels": [0.0] * 40}, "`labels` must be whole numbers"),
        (
            {"probabilities": np.full((40, 3), 0.5)},
            r"sum to 1.*Received: \[0.5, 0.5, 0.5\] for 0/0",
        ),
        ({"probabilities": np.tile([1.5, -0.5, 0], (40, 1))}, "at least 0"),
        ({"probabilities": np.tile([np.nan, 1, 0], (40, 1))}, "must be finite"),
        ({"frames": FrameFigures.of_clips([2], [1])}, "counts of 1 clips for 40 clips"),
    ],
)
def test_what_is_no_result_is_refused(results, change, said):
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(results, **change)


def test_no_clips_are_refused():
    with pytest.raises(ValueError, match="at least one clip"):
        drawn_results(clips=0)


def test_results_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no results .*test.csv. `cham evaluate"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("path,label,group,", "path,label,", "must have the columns path, label, group"),
        (",hop,group", ",hopp,group", "must name labels among hop, run, skip. Received: 'hopp'"),
        ("0/0.mp4", "0/1.mp4", "holds no results.*each clip once"),
    ],
)
def test_a_table_that_was_changed_is_refused(folder, tmp_path, before, after, said):
    for suffix in ("csv", "json"):
        text = (folder / f"test.{suffix}").read_text()
        (tmp_path / f"test.{suffix}").write_text(text.replace(before, after, 1))
    with pytest.raises(ValueError, match=said):
        read_results(tmp_path)


def test_the_json_comes_last_so_that_a_kill_leaves_no_half_results(results, tmp_path, monkeypatch):
    results.write(tmp_path, pictures=False)
    module = importlib.import_module("cham_keras.evaluation.results_files")

    def killed(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "to_csv", killed)
    with pytest.raises(KeyboardInterrupt):
        results.write(tmp_path, pictures=False)
    assert not (tmp_path / "test.json").exists()  # an old one would vouch for the new
    with pytest.raises(FileNotFoundError, match="There are no results"):
        read_results(tmp_path)
