"""The reference pages: every public name has an entry, and no entry is bare."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("pdoc", reason="pip install -e '.[docs]'")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    out = tmp_path_factory.mktemp("api") / "pages"
    command = [sys.executable, ROOT / "scripts" / "build_api_reference.py", "--out", out]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "Warn" not in run.stderr
    return out


def test_every_public_name_has_an_entry_with_words(pages):
    packages = ("layers", "models", "data", "training", "evaluation", "attention", "export")
    for package in packages:
        page = (pages / "cham_keras" / f"{package}.html").read_text(encoding="utf-8")
        module = importlib.import_module(f"cham_keras.{package}")
        for name in module.__all__:
            assert f'id="{name}"' in page, f"{package}.{name}"
            assert getattr(module, name).__doc__


def test_what_a_call_takes_is_a_list(pages):
    page = (pages / "cham_keras" / "layers.html").read_text(encoding="utf-8")
    lists = re.findall(r">Call arguments:</h\d>\s*<ul>\s*<li><strong>(\w+):</strong>", page)
    assert lists.count("inputs") >= 4


def test_the_command_line_has_no_page(pages):
    assert not (pages / "cham_keras" / "cli.html").exists()
    assert (pages / "index.html").is_file()
