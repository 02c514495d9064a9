"""The verb `resplit`: another split, or folds, over shards that are there already."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from cham_keras.cli.locations import Location

if TYPE_CHECKING:
    from rich.table import Table

    from cham_keras.data.shards.manifest import Manifest

# More folds than these get a row each, and no counts by class.
_MOST_COLUMNS = 10


def resplit(
    shards: Location,
    /,
    *,
    out: Location,
    clips: Location | None = None,
    folds: int | None = None,
    leave_one_out: Annotated[bool, Parameter(negative="")] = False,
    validation_fraction: float = 0.2,
    seed: int = 0,
    missing: Literal["refuse", "leave_out_unreadable", "leave_out"] = "refuse",
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Lay another split, or folds for cross-validation, over shards that are there already.

    No feature is copied: what is written is a view, a folder with a manifest that names the
    records of each split. Every verb that takes shards takes a view. The shards must stay as
    they are; view and shards can be moved together, and the view alone.

    Example: `cham resplit shards/hmdb51 --clips hmdb51-split2 --out shards/hmdb51-split2`

    Example: `cham resplit shards/mine --folds 5 --out shards/mine-folds`

    Example: `cham resplit shards/ucf_sports --leave-one-out --validation-fraction 0 --out
    shards/ucf_sports-folds`

    Parameters
    ----------
    shards
        Folder that `cham extract` wrote, or a view of one; a path or a URL.
    out
        New folder for the view; with --folds and --leave-one-out a folder of views, fold-0,
        fold-1 and so on.
    clips
        `clips.json` that `cham prepare` wrote, or the folder that holds it: the new split.
    folds
        Number of folds. Each clip is tested on in one of them, no group stands on two sides,
        and each fold has its share of every class as far as groups allow.
    leave_one_out
        A fold for each group: a clip where it is the only one of its group.
    validation_fraction
        Of folds: which fraction of the clips that are not tested on is validated on; 0 for
        none.
    seed
        Of folds: which clips go where.
    missing
        With --clips: what to do about clips that the shards do not hold.
    overwrite
        Replace OUT if it is there.
    """
    import shlex
    import sys

    from cham_keras.data.clip_list import read_clip_list
    from cham_keras.data.fold_views import resplit_into_folds
    from cham_keras.data.split_views import resplit as lay_split
    from cham_keras.progress import stdout

    if (clips is not None) + (folds is not None) + leave_one_out != 1:
        raise ValueError(
            "One of --clips, --folds and --leave-one-out must say how to split. Received: "
            f"clips={clips}, folds={folds}, leave-one-out={leave_one_out}."
        )
    command = shlex.join(["cham", *sys.argv[1:]])
    if clips is not None:
        found = {
            "": lay_split(
                shards,
                read_clip_list(clips),
                out,
                missing=missing,
                overwrite=overwrite,
                command=command,
            )
        }
    else:
        manifests = resplit_into_folds(
            shards,
            out,
            "leave_one_out" if folds is None else folds,
            validation_fraction=validation_fraction,
            seed=seed,
            overwrite=overwrite,
            command=command,
        )
        found = {str(fold): manifest for fold, manifest in enumerate(manifests)}
    stdout.print(_counts_table(found))
    first = next(iter(found.values()))
    if clips is not None and first.unreadable:
        stdout.print(
            f"{len(first.unreadable)} clip(s) of the list are not in the shards and were left out; "
            f"{out}/manifest.json lists them under `unreadable`.",
            highlight=False,
            soft_wrap=True,
        )
    view = out if clips is not None else out / f"fold-{'0' * len(str(len(found) - 1))}"
    print(f"Wrote {out}; no feature was copied.")
    print(f"Next: {shlex.join(['cham', 'train', str(view), '--out', f'runs/{view.name}'])}")


def _counts_table(found: Mapping[str, "Manifest"]) -> "Table":
    """Clips of each class, split and fold."""
    from rich.markup import escape
    from rich.table import Table

    from cham_keras.data.clip_list import SPLITS

    def counts(manifest: "Manifest", label: str | None) -> list[str]:
        splits = [manifest.splits.get(split) for split in SPLITS]
        if label is None:
            return [str(split.clips) if split else "0" for split in splits]
        return [str(split.clips_per_class.get(label, 0)) if split else "0" for split in splits]

    classes = next(iter(found.values())).classes
    if len(found) > _MOST_COLUMNS:
        table = Table("fold", *SPLITS, title="Clips", title_justify="left")
        for fold, manifest in found.items():
            table.add_row(fold, *counts(manifest, None))
        return table
    if len(found) == 1:
        table = Table("class", *SPLITS, title="Clips", title_justify="left")
        (manifest,) = found.values()
        rows = [counts(manifest, label) for label in (*classes, None)]
    else:
        title = f"Clips: {' / '.join(SPLITS)}"
        table = Table("class", *(f"fold {fold}" for fold in found), title=title)
        rows = [
            [" / ".join(counts(manifest, label)) for manifest in found.values()]
            for label in (*classes, None)
        ]
    for label, cells in zip(classes, rows[:-1], strict=True):
        table.add_row(escape(label), *cells)
    table.add_section()
    table.add_row("all", *rows[-1])
    for column in table.columns[1:]:
        column.justify = "right"
    return table
