"""The README's Python runs as it stands, and what it links to is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_python_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_every_link_and_picture_of_the_readme_is_there():
    targets = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_every_command_of_the_readme_is_a_verb():
    from cham_keras.cli.main import app

    verbs = set(re.findall(r"^cham (?:--settings \S+ )?([\w-]+)", README, flags=re.MULTILINE))
    assert {"prepare", "extract", "train", "evaluate"} <= verbs
    assert verbs <= {name for name in app if not name.startswith("-")}
