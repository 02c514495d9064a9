"""The runs of an ablation, and its folder.

What is finished is not done again; what was broken off goes on; lines may be added later.

    ablation.toml                    what it is made of
    views/<fraction>/without-0-1/    shards without two folds, which are tested on
    runs/<line>/without-0-1/seed-0/  run folders with their evaluation
    ablation.md, ablation.json       the table, written anew after each line
    evaluation/test.*                the results of choosing a line for each fold
"""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import keras

from cham_keras.ablation.ablation_table import ablation_table
from cham_keras.ablation.line_scores import AblationScores, Pair, score_lines
from cham_keras.ablation.settings import AblationLine, AblationSettings
from cham_keras.data import clips_in_split, read_manifest, resplit_without_pairs_of_folds
from cham_keras.data.fold_views import FOLDS_FILE
from cham_keras.evaluation import Results, ensemble, evaluate, read_results
from cham_keras.files import read_json, replacing_file, write_json
from cham_keras.paths import AnyPath, local_path
from cham_keras.progress import stderr
from cham_keras.runs import RunSettings
from cham_keras.runs.run_folder import EVALUATION_FOLDER, environment
from cham_keras.settings import read_settings, settings_to_dict, write_settings
from cham_keras.training import trained

SETTINGS_FILE = "ablation.toml"
TABLE_FILE = "ablation.md"
_JSON_FILE = "ablation.json"
_SPLIT = "test"


def run_ablation(
    shards: AnyPath | str, out: Path, settings: AblationSettings, *, overwrite: bool = False
) -> AblationScores:
    """Trains and scores every line without every two folds, and writes the table.

    Args:
        shards: all clips; their splits do not matter.
        out: the folder for everything it makes; new, or of the same ablation begun earlier,
            which may have had fewer lines.
        settings: the recipe, its changes, folds and seeds.
        overwrite: whether an ablation that is already there is begun anew.

    Returns:
        the scores, also written to `ablation.md` and `ablation.json`.

    Raises:
        FileNotFoundError: the shards are not there.
        FileExistsError: the folder holds something else.
        ValueError: the folder holds another ablation, a change breaks its rule, or there are
            fewer groups than folds.
    """
    out = local_path(out, "`out`")
    lines = settings.all_lines
    of_line = {  # an error in a line comes before the first run
        line.name: [settings.run_settings(line, seed) for seed in settings.seeds] for line in lines
    }
    _open_folder(out, settings, overwrite)
    results: dict[str, dict[Pair, Results]] = {}
    for number, line in enumerate(lines, start=1):
        stderr.print(f"[bold]{number}/{len(lines)}[/bold] {line.name}", highlight=False)
        views = _views(shards, out, settings, line.validation_fraction)
        results[line.name] = {
            pair: ensemble(
                [_run(view, out, line, run_settings) for run_settings in of_line[line.name]]
            )
            for view, pair in views.items()
        }
        scores = score_lines(results, _fold_of_clip(views))
        _write(out, scores, settings)
    return scores


def _run(view: Path, out: Path, line: AblationLine, settings: RunSettings) -> Results:
    folder = out / "runs" / line.slug / view.name / f"seed-{settings.seed}"
    run = trained(view, folder, settings)
    if not (folder / EVALUATION_FOLDER / f"{_SPLIT}.json").is_file():
        evaluate(run, view, pictures=False)
        keras.backend.clear_session()  # or hundreds of graphs pile up
    return read_results(folder)


def _views(
    shards: AnyPath | str, out: Path, settings: AblationSettings, validation_fraction: float
) -> dict[Path, Pair]:
    """The views and the two folds that each tests on."""
    folder = out / "views" / f"validation-{validation_fraction:g}"
    if not (folder / FOLDS_FILE).is_file():
        resplit_without_pairs_of_folds(
            shards,
            folder,
            settings.folds,
            settings.pairs,
            validation_fraction=validation_fraction,
            seed=settings.fold_seed,
        )
    _check_shards(shards, folder, out)
    pairs: dict[str, list[int]] = read_json(folder / FOLDS_FILE)["pairs"]
    return {folder / name: (first, second) for name, (first, second) in pairs.items()}


def _check_shards(shards: AnyPath | str, views: Path, out: Path) -> None:
    """Refuses views that were laid over other shards than these."""
    view = next(views.glob("without-*"))
    laid_over, named = (
        {shard.sha256 for split in read_manifest(folder).splits.values() for shard in split.shards}
        for folder in (view, shards)
    )
    if not laid_over <= named:
        raise ValueError(
            f"{out} holds an ablation on other shards than {shards}. Name another folder, or pass "
            "--overwrite."
        )


def _fold_of_clip(views: dict[Path, Pair]) -> dict[str, int]:
    """The fold of each clip: the one that all views have in common that test on it."""
    folds: dict[str, set[int]] = {}
    for view, pair in views.items():
        for clip in clips_in_split(view, _SPLIT):
            folds[clip.id] = folds.get(clip.id, set(pair)) & set(pair)
    return {clip: fold for clip, (fold,) in folds.items()}


def _open_folder(out: Path, settings: AblationSettings, overwrite: bool) -> None:
    path = out / SETTINGS_FILE
    if overwrite and path.is_file():
        shutil.rmtree(out)
    if path.is_file():
        found = read_settings(AblationSettings, path)
        others = dataclasses.replace(found, lines=settings.lines)
        if others != settings or any(line not in settings.lines for line in found.lines):
            raise ValueError(
                f"{out} holds another ablation; {path} says which. Lines may be added to it, and "
                "nothing else changed. Name another folder, or pass --overwrite."
            )
    elif out.exists() and any(out.iterdir()):
        raise FileExistsError(
            f"The folder must be new, empty, or of an ablation. Received: {out}. Name another "
            "with --out."
        )
    write_settings(path, settings, comment="What this ablation is made of.")


def _write(out: Path, scores: AblationScores, settings: AblationSettings) -> None:
    facts: dict[str, Any] = {
        "settings": settings_to_dict(settings),
        "lines": [dataclasses.asdict(line) for line in scores.lines],
        "choices": list(scores.choices),
        "chosen": scores.chosen.point_scores,
        "environment": environment(),
    }
    write_json(out / _JSON_FILE, facts)
    scores.chosen.write(out / EVALUATION_FOLDER, pictures=False)
    with replacing_file(out / TABLE_FILE) as temporary:
        temporary.write_text(ablation_table(scores, settings))
