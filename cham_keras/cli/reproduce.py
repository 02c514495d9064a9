"""`cham reproduce` and `cham compare`: from clips on disk to the table of all methods."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.markdown import Markdown

from cham_keras.progress import stderr, stdout

Flag = Annotated[bool, Parameter(negative="")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableOptions:
    """What both verbs ask for."""

    out: Path
    """Folder for everything this makes."""
    methods: Annotated[tuple[str, ...] | None, Parameter(negative="", consume_multiple=True)] = None
    """Rows of the table; all that need nothing but the features and have a recipe by default."""
    seeds: Annotated[tuple[int, ...], Parameter(negative="", consume_multiple=True)] = (0, 1, 2)
    """Each method is run with each."""
    backbone: str = "resnet152"
    """As in `cham extract`."""
    weights: str | None = None
    """As in `cham extract`."""
    image_size: int | None = None
    """As in `cham extract`."""
    scaling: Literal["none", "tf", "caffe", "torch"] | None = None
    """As in `cham extract`."""
    frame_stride: int = 1
    """1 takes every frame, 2 every other one."""
    changes: Path | None = None
    """TOML file of settings that are laid over the recipe of every method; its table
    `finetuning` is for the spatial ConvNet."""
    dry_run: Flag = False
    """Tell what it will take, and end."""
    overwrite: Flag = False
    """Begin the table that is already there anew."""


Shared = Annotated[TableOptions, Parameter(name="*")]
#: The options that say what to do, not what the table holds.
_NO_SETTINGS = ("out", "changes", "dry_run", "overwrite")


def reproduce(
    data_set: Literal["ucf-sports", "olympic-sports", "hmdb51"],
    *,
    root: Path,
    protocol: Literal["stratified", "leave-one-out", "103-47"] = "stratified",
    lists: Path | None = None,
    extract_to: Path | None = None,
    validation_fraction: float = 0.0,
    table: Shared,
) -> None:
    """Make one of the paper's tables: its numbers, ours, the difference, the interval.

    Begins with the data set on disk. Says first how long it will take and how much disk;
    goes on where it was if it is interrupted and started again.

    Examples:

        cham reproduce ucf-sports --root "ucf action" --out tables/ucf_sports
        cham reproduce hmdb51 --root hmdb51_org --out hmdb51 --methods cham --seeds 0
        cham reproduce olympic-sports --root olympic_sports --out olympic --dry-run

    Parameters
    ----------
    data_set
        Which data set.
    root
        Where it lies.
    protocol
        What of UCF Sports is tested on; stratified draws a division for each seed.
    lists
        The official lists, if not in the root or beside it (olympic-sports, hmdb51).
    extract_to
        Where archives are extracted to (hmdb51).
    validation_fraction
        Fraction of the training clips to validate on. The paper states none: by default
        all are trained on, and the last epoch's model is taken.
    """
    _make(
        table,
        data_set=data_set,
        root=str(root),
        lists=_text(lists),
        extract_to=_text(extract_to),
        protocol=protocol,
        validation_fraction=validation_fraction,
    )


def compare(
    *,
    root: Path,
    folds: int | None = None,
    recipes: str = "paper",
    validation_fraction: float = 0.15,
    table: Shared,
) -> None:
    """Make the table of all methods on any clips.

    Says first how long it will take and how much disk; goes on where it was if it is
    interrupted and started again.

    Examples:

        cham compare --root my_clips --out tables/mine --changes small.toml
        cham compare --root clips.csv --out folds --folds 5 --seeds 0 --seeds 1

    Parameters
    ----------
    root
        Folder of class folders, or a CSV with path, label and, best, group.
    folds
        Cross-validation with so many parts, by whole groups; left out, the splits that
        the folders or the CSV state, or a drawn one.
    recipes
        Folder of recipes (`cham recipes`): paper or small_data.
    validation_fraction
        Fraction to validate on.
    """
    _make(
        table,
        data_set="clips",
        root=str(root),
        folds=folds,
        recipes=recipes,
        validation_fraction=validation_fraction,
    )


def _make(options: TableOptions, **values: Any) -> None:
    from cham_keras.reproduce import TableSettings, estimate_table, make_table
    from cham_keras.reproduce.make_table import TABLE_SETTINGS_FILE, check_extract_to
    from cham_keras.settings import read_toml, settings_from_dict

    shared = dataclasses.asdict(options)
    values |= {name: value for name, value in shared.items() if name not in _NO_SETTINGS}
    if options.changes is not None:
        values["changes"] = read_toml(options.changes)
        values["finetuning"] = values["changes"].pop("finetuning", {})
    stated = {name: value for name, value in values.items() if value is not None}
    table_settings = settings_from_dict(TableSettings, stated, source="cham")
    out = options.out
    check_extract_to(out, table_settings)
    if options.dry_run and table_settings.extract_to:
        raise ValueError(
            "`--dry-run` writes nothing, and `--extract-to` unpacks archives. Unpack them first "
            "with `cham prepare hmdb51`, or leave one of the two out."
        )
    if options.dry_run or options.overwrite or not (out / TABLE_SETTINGS_FILE).is_file():
        stderr.print(estimate_table(table_settings).to_table())
    if options.dry_run:
        return
    table = make_table(out, table_settings, overwrite=options.overwrite)
    stdout.print(Markdown(table.to_markdown()))
    stdout.print(f"Written to {out}/table.md, .csv and .json.", highlight=False, soft_wrap=True)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
