"""A table on a miniature of each data set in its true layout, from the files on disk on."""

import json
from pathlib import Path

import numpy as np
import pytest
from dataset_layouts_official import (
    HMDB51,
    make_hmdb51,
    make_olympic_sports,
    write_hmdb51_lists,
    write_sequence,
    write_video_clip,
)
from ucf_sports_testing import make_ucf_sports

from cham_keras.data import clips_in_split, read_clip_list, read_manifest
from cham_keras.evaluation import read_results
from cham_keras.recipes import read_recipe
from cham_keras.reproduce import TableSettings, estimate_table, make_table
from cham_keras.reproduce.method_settings import methods_of, recipe_of
from cham_keras.reproduce.methods import methods_named
from cham_keras.reproduce.paper_tables import HMDB51 as HMDB51_TABLE
from cham_keras.reproduce.paper_tables import OLYMPIC_SPORTS, UCF_SPORTS

SMALL = {
    "iterations": 2,
    "model": {"filters": 4, "attention_filters": 4, "head_units": 4},
    "data": {"num_frames": 3, "batch_size": 8},
}
NUMBERS_A_FRAME = 2 * 2 * 24  # of the filter bank at 32 pixels
FEATURES = {"backbone": "filter_bank", "image_size": 32, "changes": SMALL}


def small(data_set: str, root: Path, **others) -> TableSettings:
    values = {"methods": ("softmax_regression",), "seeds": (0,), **FEATURES, **others}
    return TableSettings(data_set=data_set, root=str(root), **values)


def hmdb51(root: Path) -> Path:
    """Three splits of the miniature: in the second and third, other clips are tested on."""
    make_hmdb51(root, write=write_video_clip)
    for split in (2, 3):
        clips = {}
        for label, sides in HMDB51.items():
            names, numbers = list(sides), list(sides.values())
            shift = split - 1
            clips[label] = dict(zip(names, numbers[shift:] + numbers[:shift], strict=True))
        write_hmdb51_lists(root.parent / "testTrainMulti_7030_splits", clips, split)
    return root


def test_hmdb51_is_extracted_once_and_trained_on_its_three_splits(tmp_path):
    out = tmp_path / "out"
    table = make_table(out, small("hmdb51", hmdb51(tmp_path / "hmdb51"), methods=("cham",)))
    manifest = read_manifest(out / "shards")
    used = [clip for split in manifest.splits for clip in clips_in_split(out / "shards", split)]
    for number in (1, 2, 3):
        listed = read_clip_list(out / "divisions" / f"split-{number}")
        tested = {clip.id for clip in listed.clips_of_split("test")}
        view = out / "views" / f"split-{number}"
        assert {clip.id for clip in clips_in_split(view, "test")} == tested
        assert not list(view.glob("*.tfrecord"))
    assert len({clip.id for clip in used}) == len(used)
    values = [
        read_results(out / "runs" / "cham" / f"split-{n}" / "seed-0").scores["clip_accuracy"]
        for n in (1, 2, 3)
    ]
    stored = json.loads((out / "table.json").read_text())
    cham = next(row for row in stored["rows"] if row["method"] == "cham")
    assert cham["value"] == pytest.approx(np.mean(values))
    assert cham["paper"] == 0.434
    assert cham["runs"] == 3
    difference = f"{100 * np.mean(values) - 43.4:+.1f}"
    line = next(line for line in table.to_markdown().splitlines() if line.startswith("| CHAM |"))
    assert [cell.strip() for cell in line.split("|")][2:5:2] == ["43.4", difference]
    assert "copied" in table.to_markdown()


def test_olympic_sports_has_a_row_for_each_class_of_table_2(tmp_path):
    root = make_olympic_sports(tmp_path / "olympic", write=write_sequence)
    methods = ("fc_attention", "cham")
    table = make_table(tmp_path / "out", small("olympic-sports", root, methods=methods))
    lines = table.to_markdown().splitlines()
    row = next(line for line in lines if line.startswith("| clean_and_jerk |"))
    ours = read_results(tmp_path / "out" / "runs" / "cham" / "official" / "seed-0").per_class
    cells = [cell.strip() for cell in row.split("|")[2:-1]]
    assert cells[0] == "76.0"  # FC-Attention in the paper
    assert cells[2] == "84.8"  # CHAM in the paper
    assert cells[3] == f"{100 * ours['clean_and_jerk']['average_precision']:.1f}"
    assert any(line.startswith("| diving_platform_10m | 84.1 |") for line in lines)


def test_ucf_sports_is_divided_anew_with_each_seed(tmp_path):
    root = make_ucf_sports(tmp_path / "ucf")
    settings = small("ucf-sports", root, seeds=(0, 1))
    table = make_table(tmp_path / "out", settings)
    tested = []
    for seed in (0, 1):
        listed = read_clip_list(tmp_path / "out" / "divisions" / f"division-{seed}")
        assert len(listed.clips) == 150
        assert not listed.clips_of_split("validation")
        tested.append({clip.id for clip in listed.clips_of_split("test")})
    assert tested[0] != tested[1]
    row = table.rows[0]
    frames = [
        read_results(tmp_path / "out/runs/softmax_regression" / f"division-{s}" / f"seed-{s}")
        for s in (0, 1)
    ]
    assert row.values_of_seeds == tuple(r.scores["frame_accuracy"] for r in frames)
    assert row.deviation == pytest.approx(np.std(row.values_of_seeds, ddof=1))
    assert row.interval[0] <= row.value <= row.interval[1]
    assert not list((tmp_path / "out").rglob("*.png"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Twelve clips of two classes in six groups, as a CSV beside them."""
    root = tmp_path_factory.mktemp("clips")
    rows = ["path,label,group"]
    for number in range(12):
        write_video_clip(root / f"{number}.mp4")
        rows.append(f"{number}.mp4,{('hop', 'run')[number % 2]},source {number // 2}")
    (root / "clips.csv").write_text("\n".join(rows) + "\n")
    return root / "clips.csv"


def test_folds_of_any_clips_test_every_clip_once_and_are_pooled(clips, tmp_path):
    settings = small("clips", clips, folds=2, seeds=(0, 1))
    table = make_table(tmp_path / "out", settings)
    for row in table.rows:
        averaged = read_results(tmp_path / "out" / "results" / row.method.name / "folds")
        assert averaged.scores["clip_accuracy"] == row.averaged_over_seeds.value
        (pooled,) = row.divisions.values()
        assert len(pooled) == 2  # seeds
        for of_seed in pooled:
            assert sorted(of_seed.clip_ids) == sorted(f"{number}.mp4" for number in range(12))
        hits = [np.mean(of_seed.predicted == of_seed.labels) for of_seed in pooled]
        assert row.values_of_seeds == pytest.approx(hits)
        assert row.interval[0] <= row.value <= row.interval[1]


def test_what_is_there_is_not_done_again_and_the_rest_is(clips, tmp_path):
    out, settings = tmp_path / "out", small("clips", clips, seeds=(0, 1))
    make_table(out, settings)
    first = (out / "table.csv").read_text()
    runs = [out / "runs" / "softmax_regression" / "split" / f"seed-{seed}" for seed in (0, 1)]
    stamps = [(run / "model.keras").stat().st_mtime_ns for run in runs]
    (out / "table.csv").unlink()
    for path in (runs[1] / "evaluation").iterdir():
        path.unlink()
    (runs[1] / "evaluation").rmdir()
    make_table(out, settings)
    assert (out / "table.csv").read_text() == first
    assert [(run / "model.keras").stat().st_mtime_ns for run in runs] == stamps


def test_a_folder_of_another_table_is_refused(clips, tmp_path):
    out, settings = tmp_path / "out", small("clips", clips)
    make_table(out, settings)
    with pytest.raises(ValueError, match="holds a table of other settings"):
        make_table(out, small("clips", clips, seeds=(1,)))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    with pytest.raises(FileExistsError, match="must be new or empty"):
        make_table(tmp_path / "other", settings)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"methods": ("chm",)}, "`methods` must be among .* Received: 'chm'"),
        ({"changes": {"model": {"filtres": 3}}}, "`model.filtres` is not a known setting"),
        ({"changes": {"model": {"skip": 0}}}, "`model.skip` must be greater than 0"),
        ({"recipes": "papre"}, "no recipe 'papre/"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_written(clips, tmp_path, wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_table(tmp_path / "out", small("clips", clips, **wrong))
    assert not (tmp_path / "out").exists()


def test_changes_reach_the_models_that_have_them_and_pass_over_the_others():
    settings = small("clips", Path("clips"))
    softmax, cham = (
        recipe_of(method, settings, seed=7)
        for method in methods_named(("cham", "softmax_regression"))
    )
    assert (cham.model.filters, cham.data.batch_size, cham.seed) == (4, 8, 7)
    assert cham.model.skip == read_recipe("paper/cham").model.skip
    assert softmax.data.batch_size == 8


def test_the_estimate_counts_frames_bytes_and_steps_and_writes_nothing(clips, tmp_path):
    before = sorted(clips.parent.iterdir())
    found = estimate_table(small("clips", clips, seeds=(0, 1), frame_stride=2))
    assert (found.clips, found.frames) == (12, 48)
    assert found.disk_bytes == 48 * NUMBERS_A_FRAME * 2  # float16
    assert set(found.training_seconds) == {"Softmax regression"}
    assert found.seconds > sum(found.training_seconds.values()) > 0
    assert sorted(clips.parent.iterdir()) == before


@pytest.mark.parametrize("table", [UCF_SPORTS, OLYMPIC_SPORTS, HMDB51_TABLE])
def test_the_papers_means_are_those_of_its_classes(table):
    for method, of_class in table.percent_of_class.items():
        assert len(of_class) == 16
        assert np.mean(list(of_class.values())) == pytest.approx(table.percent[method], abs=0.06)
    order = [table.percent[name] for name in ("fc_attention", "conv_attention", "cham")]
    assert order == sorted(order)


def test_without_names_a_table_has_every_method_on_features_that_has_a_recipe():
    names = [method.name for method in methods_of(TableSettings())]
    assert names[0] == "softmax_regression" and names[-1] == "pooled"
    assert {"cham", "cham_skip_3", "conv_attention_60_frames"} <= set(names)
    assert not {"spatial_convnet", "trajectories"} & set(names)
    # Sixty frames are the paper's; small data has recipes for one number of frames.
    small = [method.name for method in methods_of(TableSettings(recipes="small_data"))]
    assert small == [name for name in names if name != "conv_attention_60_frames"]
