"""What every `cham prepare` command does at its beginning and at its end."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cham_keras.paths import AnyPath

if TYPE_CHECKING:
    from rich.table import Table

    from cham_keras.data.clip_list import ClipList
    from cham_keras.data.prepare.prepared import Duplicates, Prepared

_PROBLEMS_SHOWN = 10


@Parameter(name="*")
@dataclass(frozen=True)
class DuplicateOptions:
    """What to do about identical files; options that every command takes."""

    allow_duplicates: Annotated[
        bool,
        Parameter(
            negative="", help="Let identical files stand on both sides of a split, as a problem."
        ),
    ] = False
    check_duplicates: Annotated[
        bool,
        Parameter(
            negative="--no-check-duplicates",
            help="Look for identical files, which reads those that are equal in size.",
        ),
    ] = True

    @property
    def choice(self) -> "Duplicates":
        """As `write_prepared` takes it."""
        if not self.check_duplicates:
            return "unchecked"
        return "allow" if self.allow_duplicates else "refuse"


def check_out(out: AnyPath, overwrite: bool) -> None:
    """Refuses a folder that holds a clip list already, before the work and not after it."""
    from cham_keras.data.clip_list import CLIP_LIST_FILE

    if (out / CLIP_LIST_FILE).exists() and not overwrite:
        raise FileExistsError(
            f"There is a clip list already: {out / CLIP_LIST_FILE}. "
            "Name another folder, or pass --overwrite to replace it."
        )


def finish(
    prepared: "Prepared",
    out: AnyPath,
    duplicates: DuplicateOptions = DuplicateOptions(),
) -> None:
    """Writes what was found, and prints what is in it, what is wrong and what comes next."""
    import shlex

    from cham_keras.data.clip_list import CLIP_LIST_FILE
    from cham_keras.data.prepare.prepared import REPORT_FILE, write_prepared
    from cham_keras.progress import stdout

    prepared = write_prepared(prepared, out, duplicates.choice)
    stdout.print(_counts_table(prepared.clip_list))
    shown = prepared.problems[:_PROBLEMS_SHOWN]
    for problem in shown:
        stdout.print(f"Problem: {problem}", markup=False, highlight=False, soft_wrap=True)
    if len(prepared.problems) > len(shown):
        print(f"{len(prepared.problems) - len(shown)} more problem(s) in {out / REPORT_FILE}.")
    print(f"Wrote {out / CLIP_LIST_FILE}.")
    print(f"Next: cham extract {shlex.quote(str(out))} --out {shlex.quote(str(out / 'shards'))}")


def _counts_table(clip_list: "ClipList") -> "Table":
    """A table: a row a class, a column a split, clips and groups in each."""
    from rich.markup import escape
    from rich.table import Table

    from cham_keras.data.clip_list import SPLITS

    table = Table(title="Clips (groups)")
    table.add_column("class")
    for split in (*SPLITS, "all"):
        table.add_column(split, justify="right")

    def row(name: str, label: str | None) -> None:
        clips = [clip for clip in clip_list.clips if label is None or clip.label == label]
        of_split = [[clip for clip in clips if clip.split == split] for split in SPLITS]
        cells = [f"{len(part)} ({len({c.group for c in part})})" for part in (*of_split, clips)]
        table.add_row(escape(name), *cells)

    for label in clip_list.classes:
        row(label, label)
    table.add_section()
    row("all", None)
    return table
