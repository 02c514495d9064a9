"""The progress bar on terminals of several widths."""

import io

import pytest
from rich.console import Console

from cham_keras import progress


@pytest.fixture
def drawn(monkeypatch):
    """What a bar looks like, its last line."""

    def draw(width, completed, note=""):
        console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
        monkeypatch.setattr(progress, "stderr", console)
        with progress.progress_bar() as bar:
            task = bar.add_task("training conv_attention", total=1200, note="")
            bar.update(task, completed=completed, note=note)
        return console.file.getvalue().split("\x1b[2K")[-1].split("\n")[0].strip()

    return draw


@pytest.mark.parametrize("width", [72, 80, 100, 200])
def test_only_the_end_of_the_note_goes_on_a_narrow_terminal(drawn, width):
    note = "loss 0.80 acc 0.70 val 0.75 24.5 steps/s wait 12% lr 0.003"
    line = drawn(width, 300, note)
    assert line.startswith("training conv_attention ━━")
    assert " 300/1200 left --:-- loss 0.80" in line
    assert line.endswith("lr 0.003" if width > 120 else "…")
    assert ("24.5 steps/s" in line) == (width >= 100)  # the bar has given way before


def test_a_bar_ends_with_the_time_that_it_took(drawn):
    assert drawn(80, 1200).endswith("1200/1200 in 00:00")
