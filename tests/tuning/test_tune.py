"""The tuner on tiny shards: what a search leaves, how it goes on, what it refuses."""

import dataclasses
import shutil
import socket
import threading

import grpc
import keras_tuner
import pytest
from shard_making import make_shards

from cham_keras.cli.tune import tune as tune_command
from cham_keras.data import read_manifest
from cham_keras.runs import (
    DataSettings,
    ModelSettings,
    OptimizerSettings,
    RunSettings,
    build_model,
    open_run,
)
from cham_keras.settings import read_settings, settings_from_dict
from cham_keras.training import resolve, train, trained
from cham_keras.tuning import (
    CHAMHyperModel,
    Cluster,
    SearchSpace,
    best_trade_offs,
    hyper_model,
    tune,
    tuner,
)
from cham_keras.tuning.proposals import Proposals
from cham_keras.tuning.report import trials_table

# keras-tuner names its threads in the old way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning:keras_tuner"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning:keras_tuner"),
]

TINY = RunSettings(
    epochs=2,
    model=ModelSettings(
        name="conv_attention", head_units=8, candidate_activation="tanh", attention_scale=12.0
    ),
    data=DataSettings(num_frames=5, batch_size=6),
    optimizer=OptimizerSettings(learning_rate=0.02),
)
SPACE = SearchSpace(kernel_size=(1, 3), input_kernel_size=(1,), filters=(2, 4))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    counts = {"train": 6, "validation": 5, "test": 1}
    return make_shards(tmp_path_factory.mktemp("data") / "shards", clips_per_class=counts)


class Training:
    """Stands for `trained`: notes the settings; a trial of choice is broken off.

    Where it is given a run, it copies that one in place of training.
    """

    def __init__(self, broken_off=None, copied=None):
        self.settings = []
        self.broken_off = broken_off
        self.copied = copied

    def __call__(self, shards, out, settings):
        self.settings.append(settings)
        if len(self.settings) == self.broken_off:
            raise KeyboardInterrupt
        if self.copied is None:
            return trained(shards, out, settings)
        return open_run(shutil.copytree(self.copied, out))


@pytest.fixture(scope="module")
def training():
    return Training(broken_off=2)


@pytest.fixture(scope="module")
def search(shards, training, tmp_path_factory):
    """Three trials, in three goes: one alone, one that is broken off, the rest."""
    folder = tmp_path_factory.mktemp("searches") / "search"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuner, "trained", training)
        tune(shards, folder, TINY, SPACE, max_trials=1)
        with pytest.raises(KeyboardInterrupt):
            tune(shards, folder, TINY, SPACE, max_trials=3)
        return tune(shards, folder, TINY, SPACE, max_trials=3)


def combinations(space):
    return [space.combination(number) for number in range(space.num_combinations())]


def values_of(search):
    return [trial.values for trial in search.trials]


def rows_of(table):
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()]


def test_a_rate_that_falls_after_epochs_falls_at_their_steps():
    falling = dataclasses.replace(
        TINY, optimizer=OptimizerSettings(learning_rate=0.02, decay_epoch=2)
    )
    arguments = (falling, (3, 4, 5), 3, SPACE)
    model = CHAMHyperModel(*arguments, steps_per_epoch=5).build(keras_tuner.HyperParameters())
    for step, rate in ((9, 0.02), (10, 0.002)):
        model.optimizer.iterations.assign(step)
        assert float(model.optimizer.learning_rate) == pytest.approx(rate)
    with pytest.raises(ValueError, match="`optimizer.decay_epoch` goes with `steps_per_epoch`"):
        CHAMHyperModel(*arguments).build(keras_tuner.HyperParameters())


def test_best_settings_are_those_of_the_best_trial_and_read_back(search):
    best = read_settings(RunSettings, search.folder / "best.toml")
    assert best == search.best == search.trials[0].settings
    chosen = search.trials[0].values
    model = dataclasses.replace(TINY.model, **chosen)
    assert best == resolve(dataclasses.replace(TINY, model=model))
    assert search.trials[0].score == max(trial.score for trial in search.trials)


def test_training_with_the_best_settings_gives_the_trials_accuracy_again(search, shards, tmp_path):
    best = read_settings(RunSettings, search.folder / "best.toml")
    run = train(shards, tmp_path / "run", best)
    assert run.metrics()["kept"]["val_clip_accuracy"] == search.trials[0].score
    assert run.metrics()["parameters"] == search.trials[0].cost.parameters


def test_a_later_trial_scores_as_a_run_of_its_own(search, shards, tmp_path):
    # What one trial leaves behind (seeds, names, an iterator) must not reach the next.
    last = max(search.trials, key=lambda trial: trial.run.name)
    assert last.run.name == "002"
    history = (train(shards, tmp_path / "run", last.settings).folder / "history.csv").read_text()
    assert history == (last.run / "history.csv").read_text()


def test_table_lists_every_trial_the_best_first(search):
    names, _, *rows = rows_of((search.folder / "trials.md").read_text())
    assert names[:4] == ["trial", "kernel_size", "input_kernel_size", "filters"]
    assert names[4:] == [
        *("parameters", "MFLOP a clip", "ms a clip", "peak GiB"),
        "validation accuracy",
    ]
    assert len(rows) == len(search.trials) == 3
    scores = [float(row[-1]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    for row, trial in zip(rows, search.trials, strict=True):
        assert row[0] == trial.run.name
        assert row[1:4] == [str(value) for value in trial.values.values()]
        assert row[4] == f"{trial.cost.parameters:,}"
        assert row[-1] == f"{trial.score:.3f}"


def test_no_combination_is_tried_twice_and_all_come_from_the_space(search):
    tried = values_of(search)
    assert all(values in combinations(SPACE) for values in tried)
    assert len({tuple(values.items()) for values in tried}) == 3


def test_one_value_alone_fixes_a_setting(search):
    assert {trial.settings.model.input_kernel_size for trial in search.trials} == {1}


def test_of_equal_scores_the_smaller_model_stands_first(search):
    first = search.trials[0]
    cost = dataclasses.replace(first.cost, parameters=first.cost.parameters - 1)
    smaller = dataclasses.replace(first, cost=cost)
    better = dataclasses.replace(first, score=first.score + 0.1)
    assert sorted([first, smaller, better], key=lambda trial: trial.rank) == [
        better,
        smaller,
        first,
    ]


def test_the_best_trade_offs_alone_keep_their_models(search):
    front = best_trade_offs(search.trials)
    assert search.trials[0] in front
    for trial in search.trials:
        if trial in front:
            assert open_run(trial.run).load_model().count_params() == trial.cost.parameters
        else:
            assert not (trial.run / "model.keras").exists()
        assert not (trial.run / "last.keras").exists()


def test_a_search_that_stopped_goes_on_as_if_it_had_not(search, training):
    first, broken_off, again, last = training.settings
    assert broken_off == again
    proposals = Proposals(SPACE, None, TINY.seed, lambda values: True)
    expected: list = []
    for number in range(3):
        tried = {proposals.key(values) for values in expected}
        expected.append(proposals.draw(number, tried))
    in_order = sorted(search.trials, key=lambda trial: trial.run.name)
    assert [trial.values for trial in in_order] == expected
    assert [trial.settings for trial in in_order] == [resolve(s) for s in (first, again, last)]


def test_a_search_that_breaks_off_in_its_first_trial_goes_on(search, shards, tmp_path, monkeypatch):
    training = Training(broken_off=1, copied=search.trials[0].run)
    monkeypatch.setattr(tuner, "trained", training)
    with pytest.raises(KeyboardInterrupt):
        tune(shards, tmp_path / "search", TINY, SPACE, max_trials=20)
    assert not (tmp_path / "search" / "best.toml").exists()
    one = tune(shards, tmp_path / "search", TINY, SPACE, max_trials=1)
    assert [trial.settings for trial in one.trials] == [resolve(training.settings[0])]


def test_a_search_that_has_ended_is_read_and_not_run_again(search, shards, monkeypatch, capsys):
    monkeypatch.delattr(tuner, "trained")
    assert tune(shards, search.folder, TINY, SPACE, max_trials=3) == search
    assert capsys.readouterr().out == ""  # results only go there


def test_files_that_are_missing_are_written_again(search, shards, monkeypatch):
    monkeypatch.delattr(tuner, "trained")
    names = ("report.md", "trade-offs.png", "trials.md", "best.toml")
    before = {name: (search.folder / name).read_bytes() for name in names}
    for name in names:
        (search.folder / name).unlink()
    tune(shards, search.folder, TINY, SPACE, max_trials=3)
    after = {name: (search.folder / name).read_bytes() for name in names}
    assert {**after, "trade-offs.png": b""} == {**before, "trade-offs.png": b""}
    assert after["trade-offs.png"].startswith(b"\x89PNG")
    logs = list((search.folder / "tensorboard").rglob("events*"))
    assert len(logs) == 3  # none twice


def test_a_chief_of_an_ended_search_has_its_results_and_ends(search, shards, monkeypatch):
    monkeypatch.delattr(tuner, "trained")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    found = tune(
        *(shards, search.folder, TINY, SPACE),
        max_trials=3,
        cluster=Cluster("chief", f"127.0.0.1:{port}"),
    )
    assert found == search


def test_no_model_is_built_before_its_trial(shards, tmp_path, monkeypatch):
    built = []

    def noted(settings, *arguments, **others):
        built.append(settings)
        return build_model(settings, *arguments, **others)

    monkeypatch.setattr(hyper_model, "build_model", noted)
    large = SearchSpace(kernel_size=(5,), input_kernel_size=(1,), filters=(64,))
    with pytest.raises(ValueError, match="parameters, the limit is 1,000"):
        tune(shards, tmp_path / "refused", TINY, large, max_parameters=1000)
    monkeypatch.setattr(tuner, "trained", Training(broken_off=1))
    with pytest.raises(KeyboardInterrupt):
        tune(shards, tmp_path / "begun", TINY, large, memory_limit_bytes=2**50)
    assert built and {(s.filters, s.kernel_size, s.head_units) for s in built} == {(1, 1, 1)}


def test_settings_that_make_no_model_are_refused_before_the_first_trial(shards, tmp_path):
    falling = dataclasses.replace(TINY.model, pooling="max", initial_state="mean")
    with pytest.raises(ValueError, match="initial_state"):
        tune(shards, tmp_path / "search", dataclasses.replace(TINY, model=falling), SPACE)
    assert not (tmp_path / "search").exists()


def test_a_chief_that_is_away_at_the_end_of_a_trial_is_no_failure_of_it(search, monkeypatch):
    def away(*arguments):
        raise grpc.RpcError

    booked = keras_tuner.engine.trial.Trial(keras_tuner.HyperParameters(), "000", "RUNNING")
    monkeypatch.setattr(tuner.TrainingTuner, "_run_and_update_trial", away)
    with pytest.raises(grpc.RpcError):
        tuner.TrainingTuner._try_run_and_update_trial(
            tuner.TrainingTuner.__new__(tuner.TrainingTuner), booked
        )
    assert booked.status == "RUNNING"


def test_a_model_that_fails_alone_stands_last_with_its_reason(
    search, shards, tmp_path, monkeypatch
):
    class ResourceExhaustedError(Exception):
        """TensorFlow's has this name."""

    class SmallMemory(Training):
        def __call__(self, shards, out, settings):
            if settings.model.filters == 4:
                raise ResourceExhaustedError("OOM when allocating tensor with shape[64,30,7,7,4]")
            return super().__call__(shards, out, settings)

    monkeypatch.setattr(tuner, "trained", SmallMemory(copied=search.trials[0].run))
    found = tune(shards, tmp_path / "search", TINY, SPACE)
    assert [trial.values["filters"] for trial in found.trials] == [2, 2]
    assert [(trial.values["filters"], trial.reason) for trial in found.failed] == [
        (4, "out of memory")
    ] * 2
    assert found.best.model.filters == 2
    assert rows_of(trials_table(found.trials, found.failed))[-1][4:] == [
        *[""] * 4,
        "failed: out of memory",
    ]


def test_a_search_without_a_good_trial_says_so(shards, tmp_path, capsys):
    diverging = dataclasses.replace(TINY, optimizer=OptimizerSettings(learning_rate=1e38))
    space = dataclasses.replace(SPACE, kernel_size=(1,), filters=(2,))
    sentence = (
        r"at least one trial that ends well. Of 1 in .* none did: the loss is not finite \(1\)"
    )
    for _ in range(2):
        with pytest.raises(ValueError, match=sentence):
            tune(shards, tmp_path / "search", diverging, space)
    said = capsys.readouterr().err
    assert "failed: the loss is not finite" in said
    assert "Traceback" not in said
    assert not (tmp_path / "search" / "best.toml").exists()
    _, _, row = rows_of((tmp_path / "search" / "trials.md").read_text())
    assert row[-1] == "failed: the loss is not finite"


def test_damaged_shards_end_the_search_with_their_sentence_and_leave_no_bar(tmp_path):
    shards = make_shards(tmp_path / "shards")
    shard = shards / read_manifest(shards).splits["train"].shards[0].file
    content = bytearray(shard.read_bytes())
    content[0] ^= 255  # of the first length
    shard.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"Shard \S.*Run `cham verify`"):
        tune(shards, tmp_path / "search", TINY, SPACE)
    assert "_RefreshThread" not in {type(thread).__name__ for thread in threading.enumerate()}


def test_a_model_without_kernels_is_refused_and_nothing_is_written(shards, tmp_path):
    settings = RunSettings(model=ModelSettings(name="fc_attention"))
    with pytest.raises(ValueError, match="must be a model with kernels.*Received: fc_attention"):
        tune(shards, tmp_path / "search", settings, SPACE)
    assert not (tmp_path / "search").exists()


def test_a_setting_that_the_model_lacks_is_refused_and_nothing_is_written(shards, tmp_path):
    settings = dataclasses.replace(TINY, model=ModelSettings(name="conv_attention", skip=3))
    with pytest.raises(ValueError, match="`model.skip` is no setting of the model conv_attention"):
        tune(shards, tmp_path / "search", settings, SPACE)
    space = dataclasses.replace(SPACE, skip=(2,))
    with pytest.raises(ValueError, match="`space.skip` is no setting of the model conv_attention"):
        tune(shards, tmp_path / "search", TINY, space)
    assert not (tmp_path / "search").exists()


def test_shards_without_validation_are_refused_and_nothing_is_written(tmp_path):
    shards = make_shards(tmp_path / "shards", clips_per_class={"train": 2, "test": 1})
    with pytest.raises(ValueError, match="split `validation`.*Received: .* with train, test"):
        tune(shards, tmp_path / "search", TINY, SPACE)
    assert not (tmp_path / "search").exists()


def test_a_number_of_trials_below_one_is_refused(shards, tmp_path):
    with pytest.raises(ValueError, match="`max_trials` must be at least 1. Received: 0"):
        tune(shards, tmp_path / "search", TINY, SPACE, max_trials=0)
    assert not (tmp_path / "search").exists()


def test_a_search_with_other_settings_is_not_gone_on_with(search, shards):
    books = sorted(search.folder.rglob("*"))
    other = dataclasses.replace(TINY, epochs=4)
    with pytest.raises(ValueError, match="one with other settings. Name another folder"):
        tune(shards, search.folder, other, SPACE)
    with pytest.raises(ValueError, match="one with other settings. Name another folder"):
        tune(shards, search.folder, TINY, dataclasses.replace(SPACE, filters=(2, 8)))
    assert sorted(search.folder.rglob("*")) == books


def test_a_search_on_other_shards_is_not_gone_on_with(search, tmp_path):
    shards = make_shards(tmp_path / "shards", seed=1)
    with pytest.raises(ValueError, match="one with other shards. Name another folder"):
        tune(shards, search.folder, TINY, SPACE)


def test_a_folder_with_other_files_is_left_alone(shards, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="must be new, empty or hold a search"):
        tune(shards, tmp_path, TINY, SPACE)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"kernel_size": [2]}, "odd positive integer. Received: 2"),
        ({"filters": []}, "`filters` "),
        ({"filters": [8, 8]}, r"`filters` must hold each value once. Received: \[8, 8\]"),
        ({"kernels": [3]}, "`kernels` is not a known setting. Known: kernel_size"),
    ],
)
def test_a_space_that_breaks_a_rule_is_refused(values, rule):
    with pytest.raises(ValueError, match=rule):
        settings_from_dict(SearchSpace, values, source="test")


def test_the_command_prints_the_table_and_what_comes_next(search, shards, capsys):
    tune_command(shards, out=search.folder, max_trials=3, space=SPACE, run=TINY)
    printed = capsys.readouterr().out
    assert f"{search.trials[0].score:.3f}" in printed
    command = f"cham --settings {search.folder / 'best.toml'} train {shards} --out RUN"
    assert command in printed.splitlines()
