"""From a data set on disk to the table of all methods on it.

Each clip is extracted once; each division of the data set is a view of the same shards;
each method is trained on each division with each seed. Every stage leaves its files in the
table's folder, and what is there is not done again, so the same command goes on after
whatever interrupts it.

    table.toml                       what the table is made of
    divisions/<division>/clips.json  the clips and their splits
    shards/                          features of every clip
    views/<division>/                shards with the division's splits
    descriptors/                     trajectories of every clip, where they are asked for
    runs/<method>/<division>/seed-<n>/  run folders with their evaluation
    results/<method>/<division>/     results with the seeds averaged, as `cham paired` takes them;
                                     the folds of a cross-validation are one division, `folds`
    table.md, table.json, table.csv  the table, written anew after each method
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from cham_keras.baselines.trajectories.trajectory_baseline import DESCRIPTORS_FOLDER
from cham_keras.data import (
    Backbone,
    ClipList,
    extract,
    load_backbone,
    read_clip_list,
    resplit,
    union_of_clip_lists,
    write_clip_list,
)
from cham_keras.data.clip_list import CLIP_LIST_FILE
from cham_keras.progress import stderr
from cham_keras.reproduce.data_sets import PAPER_TABLES, Division, divisions
from cham_keras.reproduce.estimate import Estimate, estimate
from cham_keras.reproduce.method_runs import run_method
from cham_keras.reproduce.method_settings import methods_of, recipe_of
from cham_keras.reproduce.methods import Method
from cham_keras.reproduce.rows import Unit
from cham_keras.reproduce.settings import TableSettings
from cham_keras.reproduce.tables import Table
from cham_keras.runs.run_folder import EVALUATION_FOLDER
from cham_keras.settings import read_settings, write_settings

TABLE_SETTINGS_FILE = "table.toml"
_MANIFEST = "manifest.json"


def make_table(out: Path, settings: TableSettings, *, overwrite: bool = False) -> Table:
    """Trains and evaluates every method on a data set, and writes the table.

    Args:
        out: the folder for everything it makes; new, or of the same table begun earlier.
        settings: data set, backbone, methods, seeds.
        overwrite: whether a table that is already there is begun anew.

    Returns:
        the table, also written to `table.md`, `table.json` and `table.csv`.

    Raises:
        FileNotFoundError: the data set is not there.
        FileExistsError: the folder holds something else.
        ValueError: the folder holds a table of other settings, or a setting breaks its rule.
    """
    out = Path(out)
    methods = methods_of(settings)
    for method in methods:
        recipe_of(method, settings, settings.seeds[0])  # an error in a recipe comes first
    check_extract_to(out, settings)
    _open_folder(out, settings, overwrite)
    parts = _divided(out, settings)
    views = _views(out, settings, parts)
    table = Table(PAPER_TABLES.get(settings.data_set), settings, ())
    for number, method in enumerate(methods, start=1):
        stderr.print(f"[bold]{number}/{len(methods)}[/bold] {method.label}", highlight=False)
        units = tuple(_units(out, settings, method, parts, views))
        table = table.with_row(method, units)
        for name, (averaged,) in table.rows[-1].averaged_over_seeds.divisions.items():
            folder = out / "results" / method.name / name / EVALUATION_FOLDER
            averaged.write(folder, pictures=False)
        table.write(out)
    return table


def estimate_table(settings: TableSettings) -> Estimate:
    """How long a table will take and how much disk; archives of the data set are unpacked for it.

    Raises:
        FileNotFoundError: the data set is not there.
        ValueError: a setting breaks its rule.
    """
    parts = divisions(settings)
    clips = union_of_clip_lists([part.clip_list for part in parts])
    return estimate(settings, parts, clips, _backbone(settings))


def check_extract_to(out: Path, settings: TableSettings) -> None:
    """Refuses to unpack archives into the table's folder, which begins empty.

    Raises:
        ValueError: they would be unpacked there.
    """
    if settings.extract_to and Path(settings.extract_to).resolve().is_relative_to(out.resolve()):
        raise ValueError(
            f"`extract_to` must not lie in the table's folder {out}. Received: "
            f"{settings.extract_to}. Name a folder beside it."
        )


def _open_folder(out: Path, settings: TableSettings, overwrite: bool) -> None:
    if overwrite and (out / TABLE_SETTINGS_FILE).is_file():
        shutil.rmtree(out)
    if not out.exists() or not any(out.iterdir()):
        write_settings(out / TABLE_SETTINGS_FILE, settings, comment="What this table is made of.")
    if not (out / TABLE_SETTINGS_FILE).is_file():
        raise FileExistsError(
            f"The table's folder must be new or empty. Received: {out}. Name another with --out."
        )
    if read_settings(TableSettings, out / TABLE_SETTINGS_FILE) != settings:
        raise ValueError(
            f"{out} holds a table of other settings; {out / TABLE_SETTINGS_FILE} lists them. "
            "Name another folder, or pass --overwrite."
        )


def _divided(out: Path, settings: TableSettings) -> tuple[Division, ...]:
    """The divisions, with their clip lists on disk."""
    parts = divisions(settings)
    for problem in parts[0].problems:
        stderr.print(f"Problem: {problem}", markup=False, highlight=False, soft_wrap=True)
    for part in parts:
        folder = out / "divisions" / part.name
        if not (folder / CLIP_LIST_FILE).is_file():
            write_clip_list(part.clip_list, folder)
        elif read_clip_list(folder) != part.clip_list:
            raise ValueError(
                f"{settings.root} holds other clips than when the table {out} was begun. Name "
                "another folder, or pass --overwrite."
            )
    return parts


def _views(out: Path, settings: TableSettings, parts: tuple[Division, ...]) -> dict[str, Path]:
    """Features of every clip, and the divisions laid over them."""
    shards = out / "shards"
    if not (shards / _MANIFEST).is_file():
        clips: ClipList = union_of_clip_lists([part.clip_list for part in parts])
        extract(clips, shards, _backbone(settings), frame_stride=settings.frame_stride)
    views = {}
    for part in parts:
        views[part.name] = out / "views" / part.name
        if not (views[part.name] / _MANIFEST).is_file():
            resplit(shards, part.clip_list, views[part.name], missing="leave_out_unreadable")
    return views


def _backbone(settings: TableSettings) -> Backbone:
    return load_backbone(
        settings.backbone, settings.weights, settings.image_size, scaling=settings.scaling
    )


def _units(
    out: Path,
    settings: TableSettings,
    method: Method,
    parts: tuple[Division, ...],
    views: dict[str, Path],
) -> Iterator[Unit]:
    """The results of a method, one for each division and seed."""
    for part in parts:
        # Nothing of the pooled baselines depends on a seed but the folds that choose.
        for seed in part.seeds[:1] if method.kind == "pooled" else part.seeds:
            folder = out / "runs" / method.name / part.name / f"seed-{seed}"
            results = run_method(
                method, settings, part, views[part.name], folder, seed, out / DESCRIPTORS_FOLDER
            )
            yield Unit(part.name, seed, results)
