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
    TextColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")

stderr = Console(stderr=True)
stdout = Console()


def progress_bar() -> Progress:
    """A progress bar with count, remaining time and a note, on standard error."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[note]}"),
        console=stderr,
        expand=True,
    )


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
