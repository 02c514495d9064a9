"""Settings: what is read, what is refused, and in what words."""

import dataclasses
import typing

import pytest

from cham_keras.baselines.trajectories import TrajectorySettings
from cham_keras.demo import DemoSettings
from cham_keras.finetuning import FinetuningSettings
from cham_keras.runs import ModelSettings, OptimizerSettings, RunSettings
from cham_keras.settings import read_settings, settings_from_dict, write_settings
from cham_keras.training.compilation import learning_rate_schedule
from cham_keras.tuning import SearchSpace


def test_settings_survive_their_file(tmp_path):
    settings = RunSettings(epochs=3, model=ModelSettings(filters=8, input_kernel_size=5))
    write_settings(tmp_path / "settings.toml", settings, comment="what\nand why")
    assert (tmp_path / "settings.toml").read_text().startswith("# what\n# and why\n")
    assert read_settings(RunSettings, tmp_path / "settings.toml") == settings


@pytest.mark.parametrize(
    "cls", [RunSettings, DemoSettings, SearchSpace, TrajectorySettings, FinetuningSettings]
)
def test_none_stands_only_where_it_is_the_default(cls):
    fields = list(dataclasses.fields(cls))
    while fields:
        field = fields.pop()
        if dataclasses.is_dataclass(field.type):
            fields += dataclasses.fields(field.type)
        elif type(None) in typing.get_args(field.type):
            assert field.default is None, f"{field.name} could not be read back from TOML"


def test_a_rate_that_never_falls_survives_its_file(tmp_path):
    settings = RunSettings(optimizer=OptimizerSettings(decay_iteration="never"))
    write_settings(tmp_path / "settings.toml", settings)
    assert read_settings(RunSettings, tmp_path / "settings.toml") == settings
    assert learning_rate_schedule(settings.optimizer) == 1e-4


def test_what_is_left_out_keeps_its_default():
    settings = settings_from_dict(RunSettings, {"model": {"filters": 8}}, source="here")
    assert settings.model.kernel_size == 3
    assert settings.data.batch_size == 64


def test_an_unknown_setting_lists_the_known_ones():
    with pytest.raises(ValueError, match="here: `epoch` is not a known setting. Known: seed, iter"):
        settings_from_dict(RunSettings, {"epoch": 3}, source="here")
    with pytest.raises(ValueError, match="`model.filter` is not a known setting. Known: name, fil"):
        settings_from_dict(RunSettings, {"model": {"filter": 3}}, source="here")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": {"filters": 0}}, "`model.filters` must be greater than 0. Received: 0"),
        ({"model": {"kernel_size": 4}}, "`model.kernel_size` must be an odd positive integer"),
        ({"model": {"name": "chamm"}}, "`model.name` must be 'cham', 'conv_attention', 'fc_"),
        ({"data": {"batch_size": "many"}}, "`data.batch_size` must be a valid integer.*'many'"),
        ({"model": {"dropout": 1.0}}, "`model.dropout` must be less than 1"),
    ],
)
def test_a_bad_value_is_named_with_its_rule(values, message):
    with pytest.raises(ValueError, match=message):
        settings_from_dict(RunSettings, values, source="here")


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no settings file"):
        read_settings(RunSettings, tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("epochs = = 3")
    with pytest.raises(ValueError, match=r"broken.toml must be TOML"):
        read_settings(RunSettings, tmp_path / "broken.toml")
