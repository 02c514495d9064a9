"""`cham tune` as a command: what options and settings files say, and what is said back."""

import dataclasses
import inspect
import re
import shlex
import tomllib
import typing
from pathlib import Path

import pytest
from cyclopts import App
from shard_making import make_shards

from cham_keras.cli.main import VERBS
from cham_keras.cli.tune import tune as tune_command
from cham_keras.runs import RunSettings
from cham_keras.settings import flat_settings, settings_to_dict, write_settings
from cham_keras.tuning import Search, SearchSpace, Trial, TrialCost, tuner
from cham_keras.tuning.settings import TuningSettings

# keras-tuner names its threads in the old way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning:keras_tuner"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning:keras_tuner"),
]

#: Every field of a run away from its default; of the model those that cham has.
ANOTHER_RUN = {
    "seed": 3,
    "iterations": 7,
    "epochs": 5,
    "patience": 2,
    "min_delta": 0.25,
    "min_epochs": 1,
    "monitor": "loss",
    "loss_over_time": "mean",
    "label_smoothing": 0.125,
    "class_weights": "balanced",
    "precision": "mixed_bfloat16",
    "checkpoint_minutes": 2.5,
    "model": {
        "name": "cham",
        "filters": 2,
        "kernel_size": 1,
        "input_kernel_size": 1,
        "attention_filters": 3,
        "attention_kernel_size": 3,
        "attention_scale": 2.0,
        "attention_penalty": 0.5,
        "candidate_activation": "tanh",
        "unit_forget_bias": True,
        "skip": 3,
        "initial_state": "learned",
        "pooling": "max",
        "head_units": 4,
        "dropout": 0.25,
        "recurrent_dropout": 0.125,
        "standardize": True,
        "temporal_differences": "beside",
        "feature_dropout": 0.5,
    },
    "data": {"num_frames": 5, "batch_size": 6, "short_clips": "pad", "mirror": True},
    "optimizer": {
        "learning_rate": 0.5,
        "decay_iteration": 9,
        "decay_epoch": 4,
        "decay_factor": 0.5,
        "clip_norm": 1.5,
        "weight_decay": 0.25,
        "accumulation_steps": 2,
    },
}
#: What cham does not have, and the model's name itself.
OF_OTHER_MODELS = {"model.l2", "model.name"}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "some shards")


@pytest.fixture
def no_training(monkeypatch):
    def broken(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuner, "trained", broken)


@pytest.fixture
def searches(monkeypatch):
    """What the command calls `tune` with, in place of a search."""
    calls = []

    def noted(shards, out, run, space, max_trials, **others):
        calls.append({"run": run, "space": space, "max_trials": max_trials, **others})

    monkeypatch.setattr("cham_keras.tuning.tune", noted)
    return calls


def as_toml(values):
    return dict(flat_settings(values))


def test_every_setting_of_a_run_in_a_settings_file_reaches_the_search(
    cham, shards, tmp_path, no_training
):
    every = {name for name, _ in as_flat_fields(RunSettings)} - OF_OTHER_MODELS
    given = as_toml(ANOTHER_RUN)
    assert every <= set(given)
    default = as_toml(settings_to_dict(RunSettings()))
    assert [name for name in every if given[name] == default.get(name)] == []
    write_settings(tmp_path / "run.toml", TuningSettings(**ANOTHER_RUN))
    space = ("--space.filters", 2, "--space.kernel-size", 1, "--space.input-kernel-size", 1)
    code, said = cham(
        *("--settings", tmp_path / "run.toml", "tune", shards, "--out", tmp_path / "search"), *space
    )
    assert code == 130, said
    written = as_toml(tomllib.loads((tmp_path / "search" / "search.toml").read_text()))
    assert {name: written.get(name) for name in every} == {name: given[name] for name in every}


def as_flat_fields(cls, prefix=""):
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(field.type):
            yield from as_flat_fields(field.type, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", field


def test_no_option_of_a_verb_takes_the_place_of_a_setting():
    for verb in VERBS:
        if isinstance(verb, App):
            continue
        parameters = inspect.signature(verb, eval_str=True).parameters
        for parameter in parameters.values():
            annotation = parameter.annotation
            at_the_top = [
                part for part in getattr(annotation, "__metadata__", ()) if part.name == ("*",)
            ]
            if at_the_top:
                (cls, *_) = typing.get_args(annotation)
                fields = {field.name for field in dataclasses.fields(cls)}
                assert not fields & (set(parameters) - {parameter.name}), verb.__name__


def test_a_settings_file_fixes_and_restricts_the_space(cham, tmp_path, searches):
    (tmp_path / "tune.toml").write_text(
        "epochs = 4\nmax_trials = 7\nstrategy = 'bayesian'\nmax_parameters = 5000\n"
        "memory_limit_gib = 0.5\nwide = true\n"
        "[model]\nname = 'conv_attention'\n"
        "[space]\nfilters = [8, 16]\nkernel_size = [3]\nlearning_rate = [0.01]\n"
    )
    command = ("--settings", tmp_path / "tune.toml", "tune", "shards", "--out", tmp_path / "search")
    assert cham(*command)[0] == 0
    assert cham(*command, "--space.filters", 4, "--max-trials", 2)[0] == 0
    of_file, of_both = searches
    assert of_file["space"].choices()["filters"] == (8, 16)
    assert of_file["space"].choices()["kernel_size"] == (3,)
    assert of_file["space"].choices()["learning_rate"] == (0.01,)
    assert of_file["space"].dropout == (0.0, 0.3, 0.5, 0.7)  # as wide says
    assert of_file["run"].epochs == 4
    assert (of_file["max_trials"], of_file["strategy"]) == (7, "bayesian")
    assert of_file["max_parameters"] == 5000
    assert of_file["memory_limit_bytes"] == 2**29
    assert of_both["space"] == dataclasses.replace(of_file["space"], filters=(4,))
    assert of_both["max_trials"] == 2


def test_the_settings_of_a_search_make_the_same_search_again(cham, shards, tmp_path, no_training):
    options = ("--epochs", 3, "--model.head-units", 4, "--data.batch-size", 6, "--max-parameters")
    options += (900, "--strategy", "bayesian", "--space.filters", 2, 4, "--space.kernel-size", 1)
    out = tmp_path / "search"
    assert cham("tune", shards, "--out", out, *options)[0] == 130
    again = ("--settings", out / "search.toml", "tune", shards, "--out")
    assert cham(*again, out)[0] == 130  # the very same: it goes on
    assert cham(*again, tmp_path / "other")[0] == 130
    assert (tmp_path / "other" / "search.toml").read_text() == (out / "search.toml").read_text()


def test_one_flag_takes_several_values(cham, tmp_path, searches):
    command = ("tune", "shards", "--out", tmp_path / "search")
    assert cham(*command, "--space.filters", 2, 4, "--space.kernel-size", 3)[0] == 0
    assert cham(*command, "--space.filters", 2, "--space.filters", 4)[0] == 0
    for call in searches:
        assert call["space"].filters == (2, 4)
    assert searches[0]["space"].kernel_size == (3,)
    assert "--space.filters 16 32" in cham("tune", "--help")[1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--space.kernel-size", 2),
            "cham: `space.kernel_size` must be an odd positive integer. Received: '2'.",
        ),
        (
            ("--space.filters", 8, 8),
            "cham: `space.filters` must hold each value once. Received: ['8', '8'].",
        ),
        (("--model.filters", 0), "cham: `model.filters` must be greater than 0. Received: '0'."),
        (
            ("--strategy", "hyperband", "--epochs", 3, "--max-trials", 5),
            "cham: `max_trials` goes with the strategies random and bayesian; the number of "
            "Hyperband's trials follows from `epochs`. Received: 5. Leave it out.",
        ),
        *(
            (
                ("--memory-limit-gib", number),
                "cham: `--memory-limit-gib` must be a number of GiB above 0. "
                f"Received: {number}. Leave it out for this machine's memory.",
            )
            for number in ("inf", "nan", "0", "-1")
        ),
    ],
)
def test_a_bad_option_gets_one_sentence(options, sentence, cham, shards, tmp_path):
    code, said = cham("tune", shards, "--out", tmp_path / "search", *options)
    assert (code, said) == (2, sentence)
    assert not (tmp_path / "search").exists()


def test_the_next_command_can_be_copied_where_a_path_has_spaces(
    shards, tmp_path, capsys, monkeypatch
):
    cost = TrialCost(5, 10, 1.0, 2**20, 60.0)
    trials = tuple(
        Trial(name, {"filters": filters, "skip": 2}, Path(name), RunSettings(), score, cost)
        for name, filters, score in (("000", 4, 0.75), ("001", 8, 0.5))
    )
    out = tmp_path / "my search"
    found = Search(trials, (), out, validation_clips=8)
    monkeypatch.setattr("cham_keras.tuning.tune", lambda *arguments, **others: found)
    tune_command(shards, out=out, space=SearchSpace())
    printed = capsys.readouterr().out
    (command,) = re.findall("^cham .*$", printed, re.MULTILINE)
    assert shlex.split(command) == [
        *("cham", "--settings", str(out / "best.toml"), "train", str(shards), "--out", "RUN")
    ]
    # Of a single trade-off, too, what was chosen is shown.
    assert "filters 4" in printed and "skip" not in printed
