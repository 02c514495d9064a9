"""From settings to models: every name, every setting, what is refused."""

import dataclasses
import inspect
import typing

import pytest

from cham_keras import models
from cham_keras.runs import ModelSettings, RunSettings, build_model
from cham_keras.runs.model_building import builder_arguments, resolved_model_settings
from cham_keras.settings import read_settings, write_settings

NAMES = typing.get_args(ModelSettings.__dataclass_fields__["name"].type)
#: What a builder takes that settings do not say: they come from the data and the run.
NOT_SETTINGS = {"input_shape", "num_classes", "lengths", "seed", "name", "emit"}
WITH_STATES = {"cham", "conv_attention", "fc_attention", "conv_alstm", "average_pooled_lstm"}


def small(name, **settings):
    sizes = {"filters": 2, "head_units": 3} if name in WITH_STATES else {}
    return ModelSettings(name=name, **{**sizes, **settings})


def test_the_names_are_those_of_the_builders():
    builders = {
        name
        for name in models.__all__
        if "num_classes" in inspect.signature(getattr(models, name)).parameters
    }
    assert set(NAMES) == builders


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_built_for_clips_of_any_length(name):
    model = build_model(small(name, standardize=True), (5, 4, 3), num_classes=3, seed=1)
    assert model.name == name
    assert sorted(model.input) == ["features", "lengths"]
    assert model.input["features"].shape == (None, None, 5, 4, 3)
    assert model.output_shape == (None, None, 3)
    assert models.feature_statistics(model)[0].shape == (3,)


@pytest.mark.parametrize("name", NAMES)
def test_settings_reach_every_argument_of_a_builder(name):
    other_names = {"units": "filters", "attention_units": "attention_filters"}
    parameters = set(inspect.signature(getattr(models, name)).parameters) - NOT_SETTINGS
    fields = {field.name for field in dataclasses.fields(ModelSettings)}
    assert {other_names.get(parameter, parameter) for parameter in parameters} <= fields


@pytest.mark.parametrize("name", NAMES)
def test_settings_left_alone_build_with_the_builders_defaults(name):
    known = inspect.signature(getattr(models, name)).parameters
    for argument, value in builder_arguments(ModelSettings(name=name)).items():
        assert value == known[argument].default, argument


@pytest.mark.parametrize("name", NAMES)
def test_resolved_settings_say_all_and_build_the_same(name, tmp_path):
    settings = ModelSettings(name=name, standardize=True)
    resolved = resolved_model_settings(settings)
    known = inspect.signature(getattr(models, name)).parameters
    defaults = {key: value.default for key, value in known.items() if key not in NOT_SETTINGS}
    assert {**defaults, **builder_arguments(resolved)} == {**defaults, "standardize": True}
    assert resolved_model_settings(resolved) == resolved
    write_settings(tmp_path / "settings.toml", RunSettings(model=resolved))
    assert read_settings(RunSettings, tmp_path / "settings.toml").model == resolved


def test_resolving_keeps_what_is_given():
    resolved = resolved_model_settings(ModelSettings(name="conv_alstm", dropout=0.0, head_units=8))
    assert (resolved.dropout, resolved.head_units, resolved.pooling) == (0.0, 8, "flatten")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "softmax_regression", "filters": 8}, "`model.filters` is no setting of the mode"),
        ({"name": "softmax_regression", "dropout": 0.1}, "`model.dropout` is no setting of the mo"),
        ({"name": "spatial_convnet", "l2": 0.1}, "`model.l2` is no setting of the model spatial_c"),
        ({"name": "average_pooled_lstm", "attention_penalty": 0.1}, "`model.attention_penalty` is"),
        ({"name": "average_pooled_lstm", "kernel_size": 5}, "`model.kernel_size` is no setting"),
        ({"name": "conv_alstm", "skip": 3}, "`model.skip` is no setting of the model conv_alstm"),
        ({"name": "fc_attention", "pooling": "flatten"}, "`model.pooling` is no setting of the mo"),
    ],
)
def test_a_setting_that_a_model_lacks_is_refused(settings, message):
    for use in (builder_arguments, resolved_model_settings):
        with pytest.raises(ValueError, match=message):
            use(ModelSettings(**settings))


@pytest.mark.parametrize("name", NAMES)
def test_cham_gets_sixty_frames_and_all_others_thirty(name):
    settings = RunSettings(model=ModelSettings(name=name))
    assert settings.num_frames == (60 if name == "cham" else 30)
