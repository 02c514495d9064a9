"""One look for every progress bar and table of the package.

Long work calls `track` around its loop. Bars go to standard error, so that
standard output holds results only.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

Item = TypeVar("Item")

# In characters, on a narrow terminal.
_LEAST_BAR = 8

stderr = Console(stderr=True)
stdout = Console()


def progress_bar() -> Progress:
    """A progress bar with count, remaining time and a note, on standard error.

    On a narrow terminal the bar shrinks first, and then the end of the note goes.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None, table_column=Column(ratio=1, width=_LEAST_BAR)),
        MofNCompleteColumn(),
        _Time(compact=True, elapsed_when_finished=True),
        _Note(),
        console=stderr,
        expand=True,
    )


class _Time(TimeRemainingColumn):
    """What is left, and at the end how long it took, with the word for it."""

    def render(self, task: Task) -> Text:
        return Text.assemble("in " if task.finished else "left ", super().render(task))


class _Note(ProgressColumn):
    """The latest figures, on one line."""

    def get_table_column(self) -> Column:
        return Column(no_wrap=False)  # the one that a table makes narrower

    def render(self, task: Task) -> Text:
        # A column of no width makes rich narrow the others.
        return Text(task.fields["note"] or " ", no_wrap=True, overflow="ellipsis")


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Iterates over `items` behind a progress bar.

    Args:
        items: what to iterate over.
        description: what is being done, in a few words.
        total: how many items there are, where `items` cannot tell.

    Yields:
        the items.
    """
    if total is None:
        try:
            total = len(items)  # type: ignore[arg-type]
        except TypeError:  # an iterator, or a data set of unknown length
            total = None
    with progress_bar() as bar:
        task = bar.add_task(description, total=total, note="")
        for item in items:
            yield item
            bar.advance(task)
