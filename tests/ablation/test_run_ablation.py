"""An ablation on tiny shards: every run once, lines added later, mistakes before the first run."""

import dataclasses
import importlib
import itertools
import json

import pytest
from shard_making import make_shards

from cham_keras.ablation import AblationLine, AblationSettings, run_ablation
from cham_keras.cli.main import run_command
from cham_keras.data import clips_in_split
from cham_keras.evaluation import read_results
from cham_keras.runs import open_run

# The package has a function of the same name.
training = importlib.import_module("cham_keras.training.train")
QUICK = {
    "epochs": 1,
    "model": {"filters": 2, "attention_filters": 2},
    "data": {"num_frames": 3, "batch_size": 6},
}
MORE = AblationLine(name="4 filters", changes={**QUICK, "model": {"filters": 4}})
STOPPED = AblationLine(
    name="early stopping",
    changes={**QUICK, "epochs": 2, "patience": 1},
    validation_fraction=0.3,
)


def settings(*lines, **others):
    return AblationSettings(folds=3, lines=lines, **others)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(scope="module")
def made(shards, tmp_path_factory):
    """The recipe itself is too slow for a test, so the one here is changed in its file."""
    out = tmp_path_factory.mktemp("ablation") / "out"
    with pytest.MonkeyPatch.context() as patch:
        _quick_recipe(patch)
        return out, run_ablation(shards, out, settings(MORE))


def _quick_recipe(patch):
    of_settings = importlib.import_module("cham_keras.ablation.settings")
    read = of_settings.read_recipe
    patch.setattr(
        of_settings,
        "read_recipe",
        lambda name: of_settings.changed_recipe(read(name), QUICK, "a test"),
    )


@pytest.fixture
def quick_recipe(monkeypatch):
    _quick_recipe(monkeypatch)


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("trained again")

    monkeypatch.setattr(training, "train", refuse)


def test_every_line_is_trained_without_every_two_folds_and_scored_on_both(made, shards):
    out, scores = made
    assert [line.name for line in scores.lines] == ["the recipe", "4 filters"]
    everything = {
        clip.id
        for split in ("train", "validation", "test")
        for clip in clips_in_split(shards, split)
    }
    for line, pair in itertools.product(("the-recipe", "4-filters"), ("0-1", "0-2", "1-2")):
        folder = out / "runs" / line / f"without-{pair}" / "seed-0"
        view = out / "views" / "validation-0" / f"without-{pair}"
        trained = {clip.id for clip in clips_in_split(view, "train")}
        tested = {clip.id for clip in clips_in_split(view, "test")}
        assert trained | tested == everything and not trained & tested
        assert set(read_results(folder).clip_ids) == tested
        assert open_run(folder).settings.model.filters == (2 if line == "the-recipe" else 4)
    chosen = read_results(out)
    assert set(chosen.clip_ids) == everything
    stored = json.loads((out / "ablation.json").read_text())
    assert stored["chosen"]["clip_accuracy"] == chosen.point_scores["clip_accuracy"]
    assert stored["choices"] == list(scores.choices)
    assert "| 4 filters |" in (out / "ablation.md").read_text()


def test_what_is_finished_is_not_trained_again(made, shards, quick_recipe, no_training):
    out, scores = made
    again = run_ablation(shards, out, settings(MORE))
    assert again.lines == scores.lines


def test_a_line_may_be_added_with_validation_clips_of_its_own(made, shards, quick_recipe):
    out, scores = made
    again = run_ablation(shards, out, settings(MORE, STOPPED))
    assert again.lines[:2] == tuple(_with_chosen(line, again.choices) for line in scores.lines)
    view = out / "views" / "validation-0.3" / "without-0-1"
    sides = [{clip.group for clip in clips_in_split(view, s)} for s in ("train", "validation")]
    assert sides[1] and not sides[0] & sides[1]
    tested = [{c.id for c in clips_in_split(v, "test")} for v in (view, _sibling(view))]
    assert tested[0] == tested[1]
    assert (
        open_run(out / "runs" / "early-stopping" / "without-0-1" / "seed-0").settings.patience == 1
    )


def _with_chosen(line, choices):
    return dataclasses.replace(line, chosen=choices.count(line.name))


def _sibling(view):
    return view.parents[1] / "validation-0" / view.name


def test_another_ablation_in_the_folder_is_refused(made, shards, quick_recipe, no_training):
    out, _ = made
    for other in (settings(), settings(MORE, fold_seed=1), settings(MORE, seeds=(1,))):
        with pytest.raises(ValueError, match="holds another ablation; .*Lines may be added"):
            run_ablation(shards, out, other)
    with pytest.raises(FileExistsError, match="new, empty, or of an ablation"):
        run_ablation(shards, shards, settings())


def test_runs_of_another_recipe_or_other_shards_are_not_taken_for_these(
    made, shards, tmp_path, monkeypatch
):
    out, _ = made
    with pytest.MonkeyPatch.context() as patch:
        _quick_recipe(patch)
        other = make_shards(tmp_path / "others", seed=5)
        with pytest.raises(ValueError, match="holds an ablation on other shards"):
            run_ablation(other, out, settings(MORE, STOPPED))
    # The recipe's file says something else than when its line was run.
    of_settings = importlib.import_module("cham_keras.ablation.settings")
    read = of_settings.read_recipe
    other = {**QUICK, "model": {"filters": 3}}
    monkeypatch.setattr(
        of_settings,
        "read_recipe",
        lambda name: of_settings.changed_recipe(read(name), other, "a test"),
    )
    with pytest.raises(ValueError, match="finished run with other ones: `model.filters` is 2"):
        run_ablation(shards, out, settings(MORE, STOPPED))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (AblationLine(name="x", changes={"model": {"filtres": 2}}), "line 'x': .*filtres"),
        (AblationLine(name="x", changes={"epochs": 0}), "line 'x': .*epochs"),
        (AblationLine(name="+ the Recipe"), "Received: '\\+ the Recipe' beside 'the recipe'"),
        (AblationLine(name="+"), "Every line must have a name of its own, in letters"),
    ],
)
def test_a_mistake_in_a_line_comes_before_anything_is_written(shards, tmp_path, line, sentence):
    with pytest.raises(ValueError, match=sentence):
        run_ablation(shards, tmp_path / "out", settings(line))
    assert not (tmp_path / "out").exists()


def test_changes_of_all_lines_lie_below_those_of_each():
    both = AblationSettings(
        recipe="paper/cham",
        changes={"optimizer": {"learning_rate": 0.5}, "model": {"filters": 3}},
        first_line="as it was",
        lines=(AblationLine(name="more", changes={"model": {"filters": 4}}),),
    )
    first, more = both.all_lines
    assert first.name == "as it was"
    found = [both.run_settings(line, seed=7) for line in (first, more)]
    assert [settings.model.filters for settings in found] == [3, 4]
    assert [settings.optimizer.learning_rate for settings in found] == [0.5, 0.5]
    assert {settings.seed for settings in found} == {7}


def test_the_command_prints_the_table_and_goes_on(made, shards, tmp_path, capsys, quick_recipe):
    out, scores = made
    lines = tmp_path / "lines.toml"
    lines.write_text((out / "ablation.toml").read_text())
    arguments = ["ablate", str(shards), "--lines", str(lines), "--out", str(out)]
    assert run_command(arguments) == 0
    assert f"{scores.lines[0].log_loss:.3f}" in capsys.readouterr().out
    lines.write_text("recipe = 'small_data/chm'\n")
    assert run_command([*arguments[:-1], str(tmp_path / "new")]) == 2
    assert "There is no recipe 'small_data/chm'" in " ".join(capsys.readouterr().err.split())
