"""What a search proposes: what goes together, each thing once, in the order of the seed."""

import dataclasses
import itertools

import numpy as np
import pytest
from keras_tuner.engine.trial import Trial as BookedTrial

from cham_keras.runs import DataSettings, ModelSettings, OptimizerSettings, RunSettings
from cham_keras.settings import settings_from_dict
from cham_keras.training import resolve
from cham_keras.tuning import SearchSpace, wide_space
from cham_keras.tuning.oracles import OBJECTIVE, make_oracle
from cham_keras.tuning.proposals import Proposals
from cham_keras.tuning.search_space import values_in, why_invalid, with_values

# keras-tuner names its threads in the old way.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning:keras_tuner"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning:keras_tuner"),
]

SHAPE = (7, 7, 16)


def always(values):
    return True


def drawn(proposals, count):
    found = []
    for number in range(count):
        values = proposals.draw(number, {proposals.key(before) for before in found})
        if values is None:
            break
        found.append(values)
    return found


def test_combinations_are_the_product_of_the_choices():
    space = SearchSpace(filters=(2, 4), learning_rate=(0.1,), candidate_activation=("tanh",))
    found = [space.combination(number) for number in range(space.num_combinations())]
    expected = itertools.product((1, 3, 5), (1, 3), (2, 4), ("tanh",), (0.1,))
    assert [tuple(values.values()) for values in found] == list(expected)
    assert list(found[0]) == list(space.choices())


def test_every_combination_is_drawn_once_and_then_none():
    proposals = Proposals(SearchSpace(), None, seed=0, goes=always)
    found = drawn(proposals, 30)
    everything = [SearchSpace().combination(number) for number in range(24)]
    assert len(found) == 24
    assert found != everything
    assert sorted(found, key=everything.index) == everything


def test_the_seed_decides_the_order_and_more_trials_do_not_change_it():
    orders = [drawn(Proposals(SearchSpace(), None, seed, always), 24) for seed in (0, 0, 1, 2)]
    assert orders[0] == orders[1]
    assert len({str(order) for order in orders}) == 3
    assert drawn(Proposals(SearchSpace(), None, 0, always), 5) == orders[0][:5]


def test_the_settings_as_they_stand_come_first():
    base = resolve(RunSettings(model=ModelSettings(filters=128)))
    first = values_in(base, SearchSpace())
    assert first == {"kernel_size": 3, "input_kernel_size": 3, "filters": 128}
    for seed in range(3):
        assert drawn(Proposals(SearchSpace(), first, seed, always), 2)[0] == first
    assert values_in(base, SearchSpace(filters=(8, 16))) is None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (RunSettings(), ""),
        (RunSettings(data=DataSettings(num_frames=2)), "skip 2 is not below num_frames 2"),
        (RunSettings(data=DataSettings(num_frames=3)), ""),
        (
            RunSettings(model=ModelSettings("conv_attention"), data=DataSettings(num_frames=1)),
            "",
        ),
        (RunSettings(model=ModelSettings(input_kernel_size=15)), "a kernel of 15 has taps"),
        (RunSettings(model=ModelSettings(attention_kernel_size=13)), ""),
        (
            RunSettings(optimizer=OptimizerSettings(accumulation_steps=3)),
            "batch_size 64 is not a multiple of accumulation_steps 3",
        ),
    ],
)
def test_what_does_not_go_together_is_told(settings, reason):
    found = why_invalid(settings, SHAPE)
    assert found.startswith(reason) and bool(found) == bool(reason)


def test_of_a_wide_space_only_what_goes_together_is_drawn():
    base = resolve(RunSettings())
    space = wide_space(SearchSpace(num_frames=(1, 2, 3, 30)), "cham")
    assert space.num_combinations() > 10**6

    def goes(values):
        return not why_invalid(with_values(base, values), SHAPE)

    found = drawn(Proposals(space, None, 0, goes), 60)
    assert len(found) == 60 and len({str(values) for values in found}) == 60
    assert all(values["skip"] < values["num_frames"] for values in found)
    # Most combinations of three frames or fewer are left out, yet not all.
    assert {values["num_frames"] for values in found} == {2, 3, 30}


def test_a_wide_space_has_what_the_model_has_and_keeps_what_is_given():
    given = SearchSpace(dropout=(0.25,), filters=(8,))
    of_cham, of_other = (wide_space(given, name) for name in ("cham", "conv_attention"))
    assert of_cham.dropout == (0.25,) and of_cham.filters == (8,)
    assert set(of_cham.choices()) == {field.name for field in dataclasses.fields(SearchSpace)}
    assert set(of_cham.choices()) - set(of_other.choices()) == {"skip"}


def test_values_go_to_their_places():
    values = {
        "filters": 8,
        "candidate_activation": "tanh",
        "num_frames": 12,
        "batch_size": 3,
        "learning_rate": 0.5,
    }
    settings = with_values(RunSettings(seed=7), values)
    assert settings == RunSettings(
        seed=7,
        model=ModelSettings(filters=8, candidate_activation="tanh"),
        data=DataSettings(num_frames=12, batch_size=3),
        optimizer=OptimizerSettings(learning_rate=0.5),
    )


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"attention_scale": [0.0]}, "attention_scale"),
        ({"candidate_activation": ["relu"]}, "candidate_activation"),
        ({"dropout": [1.0]}, "dropout"),
        ({"head_units": [4, 4]}, "must hold each value once"),
    ],
)
def test_choices_that_break_a_rule_are_refused(values, rule):
    with pytest.raises(ValueError, match=rule):
        settings_from_dict(SearchSpace, values, source="test")


def search_with(oracle, score, tmp_path, most=200):
    """Runs an oracle on a function in the place of training."""
    oracle._set_project_dir(tmp_path, "books")
    asked = []
    while len(asked) < most:
        trial = oracle.create_trial("tuner0")
        if trial.status != "RUNNING":
            break
        asked.append(dict(trial.hyperparameters.values))
        oracle.update_trial(trial.trial_id, {OBJECTIVE: score(asked[-1])})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return asked


def registered(oracle, space):
    for name, choices in space.choices().items():
        oracle.hyperparameters.Choice(name, list(choices), ordered=True)
    return oracle


SMOOTH = SearchSpace(
    kernel_size=(1, 3, 5, 7, 9),
    input_kernel_size=(1, 3, 5, 7, 9),
    filters=(2, 4, 6, 8, 10, 12, 14, 16),
    skip=(1, 2, 3, 4, 5),
)


def smooth_score(values):
    """Best, 0, at 7, 3, 12 and 4."""
    at = [values["kernel_size"] / 8, values["input_kernel_size"] / 8, values["filters"] / 14]
    at.append(values["skip"] / 4)
    best = np.array([7 / 8, 3 / 8, 12 / 14, 1])
    return -float(((np.array(at) - best) ** 2).sum())


@pytest.mark.parametrize("strategy", ["random", "bayesian"])
def test_an_oracle_tries_what_goes_together_and_nothing_twice(strategy, tmp_path):
    proposals = Proposals(SMOOTH, None, 0, lambda values: values["skip"] != 3)
    oracle = registered(make_oracle(strategy, proposals, 25, max_epochs=1), SMOOTH)
    asked = search_with(oracle, smooth_score, tmp_path)
    assert len(asked) == 25 == len({str(values) for values in asked})
    assert all(values["skip"] != 3 for values in asked)


def test_the_gaussian_process_finds_better_values_than_chance(tmp_path):
    means = {}
    for strategy in ("random", "bayesian"):
        late = []
        for seed in range(2):
            proposals = Proposals(SMOOTH, None, seed, always)
            oracle = registered(make_oracle(strategy, proposals, 24, max_epochs=1), SMOOTH)
            asked = search_with(oracle, smooth_score, tmp_path / f"{strategy}{seed}")
            late += [smooth_score(values) for values in asked[-8:]]
        means[strategy] = np.mean(late)
    assert means["bayesian"] > means["random"] + 0.1


def test_hyperband_trains_the_better_ones_for_more_epochs(tmp_path):
    proposals = Proposals(SMOOTH, None, 0, always)
    oracle = registered(make_oracle("hyperband", proposals, 1, max_epochs=9), SMOOTH)
    asked = search_with(oracle, smooth_score, tmp_path)
    by_epochs = {}
    for values in asked:
        if values["tuner/bracket"] == 2:
            by_epochs.setdefault(values["tuner/epochs"], []).append(smooth_score(values))
    assert [*by_epochs] == [1, 3, 9]
    assert [len(scores) for scores in by_epochs.values()] == sorted(
        (len(scores) for scores in by_epochs.values()), reverse=True
    )
    # Those that go on are the best of those before.
    for fewer, more in itertools.pairwise(by_epochs.values()):
        assert sorted(more) == sorted(fewer)[-len(more) :]


def test_who_asks_while_others_run_the_last_trials_is_told_to_wait(tmp_path):
    oracle = make_oracle("random", Proposals(SearchSpace(), None, 0, always), 1, max_epochs=1)
    oracle._set_project_dir(tmp_path, "books")
    first = oracle.create_trial("a")
    assert (first.status, oracle.create_trial("b").status) == ("RUNNING", "IDLE")
    oracle.update_trial(first.trial_id, {OBJECTIVE: 0.5})
    ended = BookedTrial.from_proto(first.to_proto())  # as it comes from another machine
    ended.status = "COMPLETED"
    oracle.end_trial(ended)
    assert oracle.create_trial("b").status == "STOPPED"
    oracle.end_trial(ended)  # once more, from a worker that was thought dead
    assert oracle.end_order == [first.trial_id]
