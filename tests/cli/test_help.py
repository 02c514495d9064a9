"""What `--help` shows: an example of every verb, whole on a terminal of 80 columns."""

import inspect
import re

import pytest

from cham_keras.cli.main import app

#: What is left of 80 columns inside a block of examples.
COLUMNS = 78

VERBS = sorted(name for name in app if not name.startswith("-") and name != "prepare")


def examples_of(verb):
    """The command lines in a verb's docstring."""
    text = inspect.cleandoc(app[verb].default_command.__doc__)
    inline = re.findall(r"^Example: `(.*)`$", text, flags=re.MULTILINE)
    return inline + [line.removeprefix("    ") for line in text.splitlines() if _is_example(line)]


def _is_example(line):
    return re.match(r"    (cham |    --)", line) is not None


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_examples_that_can_be_copied(verb):
    examples = examples_of(verb)
    assert any(re.match(rf"cham (--settings \S+ )?{verb}\b", line) for line in examples), examples
    assert [line for line in examples if len(line) > COLUMNS] == []
