"""The sections of the report one by one, on made-up results."""

import json

import numpy as np
import pytest
from report_testing import made_up_run, parts_of
from results_making import drawn_results

from cham_keras.evaluation.scores import average_precision
from cham_keras.report import latency, write_report
from cham_keras.report.attention_scores import ScoreRow, read_attention_scores
from cham_keras.report.class_table import class_table
from cham_keras.report.confusion import clips_of_cells, confusion_of
from cham_keras.report.errors import confident_errors
from cham_keras.report.films import Film
from cham_keras.report.page import film_plot
from cham_keras.reproduce.paper_tables import OLYMPIC_SPORTS
from cham_keras.runs import ModelSettings, RunSettings, build_model

OLYMPIC = tuple(sorted(OLYMPIC_SPORTS.percent_of_class["cham"]))


def test_cells_count_the_clips_that_are_listed_for_them():
    results = drawn_results(clips=200, classes=("a", "b", "c", "d", "e"))
    matrix = confusion_of(results)
    stored = clips_of_cells(results)
    for row, cells in enumerate(matrix.rows):
        for column, cell in enumerate(cells):
            listed = [clip for clip in stored["clips"] if clip[1:3] == [row, column]]
            assert cell.count == len(listed) == results.confusion[row, column]
            assert cell.is_right == (row == column)
    for index, (clip, label, predicted, scores) in enumerate(stored["clips"]):
        assert clip == results.clip_ids[index]
        assert scores[0][0] == predicted
        assert label in [name for name, _ in scores]  # also where it is not among the first
        for name, share in scores:
            assert share == pytest.approx(results.probabilities[index, name], abs=5e-5)
    assert any(len(clip[3]) == 4 for clip in stored["clips"])


def test_shade_is_the_share_of_the_row_and_never_none_where_there_are_clips():
    labels = np.array([0] * 40 + [1] * 2)
    probabilities = np.full((42, 3), [0.8, 0.1, 0.1])
    probabilities[0] = [0.1, 0.8, 0.1]
    matrix = confusion_of(
        drawn_results(clips=42, labels=labels, probabilities=probabilities, classes=("a", "b", "c"))
    )
    assert [[cell.shade for cell in row] for row in matrix.rows] == [
        [10, 1, 0],
        [10, 0, 0],
        [0, 0, 0],
    ]
    assert matrix.most_frequent_error == "Most frequent error: b, taken for a in 2 of 2 clips."
    assert not matrix.is_compact
    assert confusion_of(drawn_results(classes=tuple("abcdefghijklmnopqrs"))).is_compact


def test_errors_are_the_surest_wrong_clips():
    results = drawn_results(clips=100, skill=0.5)
    found = confident_errors(results, 5)
    wrong = np.flatnonzero(results.predicted != results.labels)
    surest = wrong[np.argsort(results.probabilities[wrong].max(axis=1))[::-1][:5]]
    assert [error.clip for error in found] == [results.clip_ids[clip] for clip in surest]
    for error, clip in zip(found, surest, strict=True):
        label = results.labels[clip]
        assert error.label == results.classes[label]
        assert error.predicted == results.classes[results.predicted[clip]]
        assert error.probability == results.probabilities[clip].max()
        assert error.probability_of_label == results.probabilities[clip, label]
        order = np.argsort(-results.probabilities[clip]).tolist()
        assert error.rank_of_label == order.index(label) + 1


def test_the_papers_numbers_stand_beside_classes_and_model_that_it_has():
    results = drawn_results(clips=160, classes=OLYMPIC)
    table = class_table(results, "conv_attention")
    assert table.paper is OLYMPIC_SPORTS
    assert table.paper_mean == 0.755
    assert {row.name: row.paper for row in table.rows}["snatch"] == 0.261
    for row in table.rows:
        assert row.average_precision == results.per_class[row.name]["average_precision"]
        assert row.interval[0] <= row.average_precision <= row.interval[1]
    assert class_table(results, "softmax_regression").paper is None
    others = class_table(drawn_results(classes=("hop", "snatch")), "cham")
    assert others.paper is None
    assert [row.paper for row in others.rows] == [None, None]


def test_the_page_has_a_column_of_the_papers_numbers_where_there_are_some(tmp_path, no_pictures):
    for name, classes, heads in (("sports", OLYMPIC, 1), ("others", ("hop", "run"), 0)):
        run = made_up_run(tmp_path / name, classes, clips=160)
        page = parts_of(write_report(run, latency=False).path)
        assert page.texts("th").count("the paper's") == heads
        assert page.texts("td").count("47.8 %") >= heads  # snatch, CHAM


def test_interval_of_a_class_is_that_of_draws_with_its_clips():
    rng = np.random.default_rng(0)
    results = drawn_results(clips=60, groups=12, skill=1.0)
    names, groups = np.unique(results.groups), results.groups
    drawn = []
    for _ in range(600):
        clips = np.concatenate(
            [np.flatnonzero(groups == group) for group in rng.choice(names, len(names))]
        )
        drawn.append(
            [
                average_precision(
                    results.labels[clips] == label, results.probabilities[clips, label]
                )
                for label in range(3)
            ]
        )
    expected = np.nanquantile(drawn, [0.025, 0.975], axis=0).T
    found = [row.interval for row in class_table(results, "cham").rows]
    np.testing.assert_allclose(found, expected, atol=0.04)


def test_without_groups_or_clips_there_is_no_interval():
    one_group = drawn_results(groups=1)
    assert [row.interval for row in class_table(one_group, "cham").rows] == [None] * 3
    labels = np.arange(40) % 2
    rows = class_table(drawn_results(labels=labels), "cham").rows
    assert rows[2].clips == 0
    assert rows[2].interval is None
    assert rows[0].interval is not None


def test_a_class_without_clips_has_a_dash(tmp_path, no_pictures):
    run = made_up_run(tmp_path / "run", ("hop", "run", "skip"), labels=np.arange(60) % 2)
    page = parts_of(write_report(run, latency=False).path)
    assert page.texts("td").count("–") >= 3


def test_attention_scores_are_a_table_of_measures_and_maps(tmp_path, no_pictures):
    run = made_up_run(tmp_path / "run", ("hop", "run"))
    assert read_attention_scores(run) is None
    page = parts_of(write_report(run, latency=False).path)
    command = f"cham score-attention {run.folder} --shards SHARDS --boxes boxes.csv"
    assert command in page.texts("code")
    rows = [
        {"measure": "pointing game", "map": "model", "value": 0.71, "interval": [0.6, 0.8]},
        {
            "measure": "pointing game",
            "map": "uniform",
            "value": 0.25,
            "interval": None,
            "difference": 0.46,
            "difference_interval": [-0.05, 0.5],
        },
        {"measure": "<energy>", "map": "model", "value": None, "interval": [None, None]},
    ]
    (run.folder / "attention").mkdir()
    stored = {"schema_version": 1, "split": "test", "clips": 20, "rows": rows}
    (run.folder / "attention" / "scores.json").write_text(json.dumps(stored))
    scores = read_attention_scores(run)
    assert not scores.is_of_another_model
    assert scores.rows == (
        ScoreRow("pointing game", "model", "0.710", "0.600 to 0.800", "", ""),
        ScoreRow("pointing game", "uniform", "0.250", "", "+0.460", "\u22120.050 to +0.500"),
        ScoreRow("<energy>", "model", "–", "", "", ""),
    )
    page = parts_of(write_report(run, latency=False).path)
    [meaning] = [text for text in page.texts("li") if text.startswith("pointing game: ")]
    assert meaning.endswith("higher is better")
    assert {"pointing game", "<energy>"} <= set(page.texts("th"))
    cells = page.texts("td")
    place = cells.index("uniform")
    assert cells[place : place + 5] == ["uniform", "0.250", "–", "+0.460", "\u22120.050 to +0.500"]
    assert command not in page.texts("code")


@pytest.mark.parametrize("stored", ["[]", '{"rows": [{"map": "model"}]}', "{"])
def test_attention_scores_of_another_form_are_refused(tmp_path, stored):
    run = made_up_run(tmp_path / "run", ("hop", "run"))
    path = run.folder / "attention" / "scores.json"
    path.parent.mkdir()
    path.write_text(stored)
    with pytest.raises(ValueError, match=rf"{path} must (hold `rows`|be JSON)"):
        read_attention_scores(run)


def test_attention_scores_of_an_earlier_model_are_shown_with_a_word(tmp_path, no_pictures):
    run = made_up_run(tmp_path / "run", ("hop", "run"))
    (run.folder / "model.keras").write_bytes(b"one")
    path = run.folder / "attention" / "scores.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"rows": [], "model_sha256": run.model_sha256()}))
    earlier = "These scores are of an earlier model of this run."
    page = parts_of(write_report(run, latency=False).path)
    assert not [text for text in page.texts("p") if text.startswith(earlier)]
    (run.folder / "model.keras").write_bytes(b"another")
    page = parts_of(write_report(run, latency=False).path)
    assert [text for text in page.texts("p") if text.startswith(earlier)]


def test_the_best_pooled_baseline_stands_below_the_scores(tmp_path, no_pictures):
    run = made_up_run(tmp_path / "run", ("hop", "run"))
    row = {"clip_accuracy": 0.76, "held_out_accuracy": 0.7, "held_out_log_loss": 0.5}
    rows = [
        {"pooling": "mean_std", "interval": [0.7, 0.82], **row},
        {"pooling": "mean", "interval": [None, None], **row, "clip_accuracy": 0.9},
    ]
    facts = {"split": "test", "clips_fitted_on": 40, "classifier": "logistic", "baselines": rows}
    path = run.folder / "evaluation" / "test-baselines.json"
    path.write_text(json.dumps({"form": 1, "shards": "abc", **facts}))
    page = parts_of(write_report(run, latency=False).path)
    said = [text for text in page.texts("p") if text.startswith("A yardstick")]
    assert said == [
        "A yardstick: logistic regression on pooled features recognises 76.0 % of the same clips "
        "(95 % interval 70.0 to 82.0 %). The pooling is mean_std, which did best of 2 on held-out "
        "training clips."
    ]


def test_plot_beside_a_film_says_since_when_the_wrong_class_leads():
    results = drawn_results(clips=30, classes=("hop", "run", "skip"), skill=0.0)
    [error] = confident_errors(results, 1)
    means = np.full((5, 3), 0.2)
    means[:, results.classes.index(error.label)] = [0.5, 0.5, 0.4, 0.3, 0.1]
    means[:, results.classes.index(error.predicted)] = [0.4, 0.6, 0.3, 0.5, 0.75]
    plot = film_plot(error, Film("data:", 4.0, means), results.classes)
    assert plot["alternative"] == f"Mean score so far: {error.predicted} leads from step 4 of 5 on."
    assert plot["predicted"].split()[0] == "0.0,30.0"
    assert plot["predicted"].split()[-1] == "200.0,12.5"
    assert len(plot["label"].split()) == 5


class _Run:
    """Stands for a run: a model of drawn weights."""

    def __init__(self, name):
        self.settings = RunSettings(model=ModelSettings(name=name))
        self.num_frames = 3
        self.manifest = type("Manifest", (), {"feature_shape": (3, 4, 5)})
        self.has_model = True

    def load_model(self):
        sizes = {} if self.settings.model.name == "softmax_regression" else {"filters": 2}
        return build_model(ModelSettings(name=self.settings.model.name, **sizes), (3, 4, 5), 2)


@pytest.mark.parametrize(
    ("name", "timed"), [("fc_attention", 2), ("softmax_regression", 1), ("cham", 2)]
)
def test_latency_of_a_clip_and_of_a_frame_where_there_are_states(monkeypatch, name, timed):
    monkeypatch.setattr(latency, "SECONDS_OF_CALLS", 0.0)
    found, remark = latency.measure_latency(_Run(name))
    assert [times.frames for times in found] == [3, 1][:timed]
    for times in found:
        assert 0 < times.lower <= times.median <= times.upper
        assert times.calls == latency.LEAST_CALLS
        assert times.frames_per_second == pytest.approx(1000 * times.frames / times.median)
    assert bool(remark) == (timed == 1)
