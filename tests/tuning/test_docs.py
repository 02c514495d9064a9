"""The Python of docs/tuning.md runs as it stands, and its settings file is one."""

import re
import tomllib
from pathlib import Path

import pytest
from shard_making import make_shards

from cham_keras.settings import settings_from_dict
from cham_keras.tuning.settings import TuningSettings

# keras-tuner names its threads in the old way, and copies keys of HDF5 files by theirs.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning:keras_tuner"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning:keras_tuner"),
]

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "tuning.md").read_text()


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_shards(Path("shards"))
    blocks = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    assert len(blocks) == 2
    names: dict = {}
    for block in blocks:
        exec(compile(block, "tuning.md", "exec"), names)
    assert len(names["search"].trials) == 2
    assert Path("search", "report.md").is_file()
    assert set(names["tuner"].get_best_hyperparameters()[0].values) >= {"kernel_size", "filters"}
    assert f"{names['search'].trials[0].score} " in capsys.readouterr().out


def test_the_settings_file_is_one():
    (file,) = re.findall(r"    # small.toml\n((?:    .*\n)+)", TEXT)
    values = tomllib.loads("\n".join(line[4:] for line in file.splitlines()))
    found = settings_from_dict(TuningSettings, values, "tuning.md")
    assert found.space.choices()["filters"] == (8, 16, 32)
    assert (found.max_trials, found.model.filters) == (30, 16)
    (others,) = re.findall(r"# also (.*)\n", file)
    assert set(others.split(", ")) <= set(TuningSettings.__dataclass_fields__)
