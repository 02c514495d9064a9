"""`cham prepare`: a data set becomes a clip list, `clips.json`. One command a kind of data set."""

from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

if TYPE_CHECKING:
    from rich.table import Table

    from cham_keras.data.clip_list import ClipList

app = App(
    name="prepare",
    help="""Make a clip list of your videos: which clips there are, their classes and splits.

Example: `cham prepare folder my_videos --out my_clips`
""",
)


@app.command(name="csv")
def csv_file(
    file: Path,
    /,
    *,
    out: Path,
    root: Path | None = None,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Make a clip list of a CSV file with the columns path and label.

    Optional columns: split (train, validation or val, test) and group. Clips of
    one group, such as those cut from one source video, stay on one side of the
    split. A file that states splits is taken as it is; else clips are split by
    groups, with the proportions of the classes kept.

    Example: `cham prepare csv videos/clips.csv --out my_clips`

    Parameters
    ----------
    file
        The CSV file.
    out
        Folder to write clips.json to.
    root
        Folder that the paths in the file are relative to; the file's own by default.
    test_fraction
        Fraction of all clips to test on, where the file states no splits.
    validation_fraction
        Fraction of all clips to validate on, where the file states no splits.
    seed
        The same seed gives the same split.
    overwrite
        Replace a clips.json that is already there.
    """
    from cham_keras.data.prepare import prepare_csv

    _check_out(out, overwrite)
    _finish(prepare_csv(file, root, test_fraction, validation_fraction, seed), out)


@app.command
def folder(
    root: Path,
    /,
    *,
    out: Path,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Make a clip list of a folder with one folder a class.

    The folder is laid out as ROOT/CLASS/CLIP, or, with its own splits, as
    ROOT/SPLIT/CLASS/CLIP, where SPLIT is train, validation (or val) or test.
    Each clip counts as a source of its own; where several clips are cut from one
    video, use `cham prepare csv` with a column group.

    Example: `cham prepare folder my_videos --out my_clips --test-fraction 0.2`

    Parameters
    ----------
    root
        The folder.
    out
        Folder to write clips.json to.
    test_fraction
        Fraction of all clips to test on, where the folders state no splits.
    validation_fraction
        Fraction of all clips to validate on, where the folders state no splits.
    seed
        The same seed gives the same split.
    overwrite
        Replace a clips.json that is already there.
    """
    from cham_keras.data.prepare import prepare_folder

    _check_out(out, overwrite)
    _finish(prepare_folder(root, test_fraction, validation_fraction, seed), out)


def _check_out(out: Path, overwrite: bool) -> None:
    from cham_keras.data.clip_list import CLIP_LIST_FILE

    if (out / CLIP_LIST_FILE).exists() and not overwrite:
        raise FileExistsError(
            f"There is a clip list already: {out / CLIP_LIST_FILE}. "
            "Name another folder, or pass --overwrite to replace it."
        )


def _finish(clip_list: "ClipList", out: Path) -> None:
    """Writes the list, and prints what is in it and what comes next."""
    import shlex

    from cham_keras.data.clip_list import CLIP_LIST_FILE, write_clip_list
    from cham_keras.progress import stdout

    write_clip_list(clip_list, out / CLIP_LIST_FILE)
    stdout.print(_counts_table(clip_list))
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
