"""How each kind of method is carried out on one division with one seed.

Comes in: a method, a division, its view of the shards, a folder. Goes out: the results on the
division's test clips. What a folder already holds is not done again. `make_table` calls this.
"""

from pathlib import Path

import keras

from cham_keras.baselines import pooled_baselines
from cham_keras.baselines.pooled_baselines import TABLE_FILE, classifiers_for, folds_for
from cham_keras.baselines.trajectories import TrajectorySettings, trajectory_baseline
from cham_keras.data import clips_in_split, read_manifest
from cham_keras.evaluation import Results, evaluate, read_results
from cham_keras.files import read_json
from cham_keras.finetuning import evaluate_from_frames, finetune
from cham_keras.reproduce.data_sets import Division
from cham_keras.reproduce.method_settings import finetuning_of, recipe_of
from cham_keras.reproduce.methods import Method
from cham_keras.reproduce.settings import TableSettings
from cham_keras.runs import Run, open_run
from cham_keras.runs.run_folder import EVALUATION_FOLDER, METRICS_FILE
from cham_keras.training import trained

_SPLIT = "test"
#: What networks choose their epoch by; who chooses by cross-validation is fitted on it, too.
_VALIDATION = "validation"
#: Where `finetune` puts what it found from frames.
_FROM_FRAMES = "test-from-frames"


def run_method(
    method: Method,
    settings: TableSettings,
    division: Division,
    view: Path,
    folder: Path,
    seed: int,
    descriptors: Path,
) -> Results:
    """Runs a method, or what is left to run of it, and gives its results.

    Args:
        method: what is run.
        settings: of the table.
        division: the clips and their splits.
        view: shards with the division's splits.
        folder: where the run leaves its files.
        seed: seed of the run.
        descriptors: the folder of the clips' trajectories, which all divisions share.
    """
    if method.kind == "pooled":
        return _pooled(view, folder, seed)
    if method.kind == "trajectories":
        return _trajectories(division, folder, seed, descriptors)
    if method.kind == "frames":
        return _from_frames(method, settings, division, view, folder, seed)
    run = _trained(method, settings, view, folder, seed)
    if not (folder / EVALUATION_FOLDER / f"{_SPLIT}.json").is_file():
        evaluate(run, view, pictures=False)
        keras.backend.clear_session()  # or hundreds of graphs pile up
    return read_results(folder)


def _trained(method: Method, settings: TableSettings, view: Path, folder: Path, seed: int) -> Run:
    return trained(view, folder, recipe_of(method, settings, seed))


def _from_frames(
    method: Method,
    settings: TableSettings,
    division: Division,
    view: Path,
    folder: Path,
    seed: int,
) -> Results:
    """Trained on features, then with the CNN below it from frames."""
    if not (folder / EVALUATION_FOLDER / f"{_FROM_FRAMES}.json").is_file():
        frozen = _trained(method, settings, view, folder.with_name(f"{folder.name}-frozen"), seed)
        tuning = finetuning_of(settings, seed)
        if (folder / METRICS_FILE).is_file():
            run = open_run(folder)
        else:
            run = finetune(frozen, division.clip_list, folder, tuning)
        evaluate_from_frames(run, division.clip_list, tuning.evaluation, pictures=False)
    return read_results(folder, _FROM_FRAMES)


def _trajectories(division: Division, folder: Path, seed: int, descriptors: Path) -> Results:
    if not (folder / EVALUATION_FOLDER / f"{_SPLIT}.json").is_file():
        trajectory_baseline(
            division.clip_list,
            folder,
            TrajectorySettings(seed=seed),
            add_validation=bool(division.clip_list.clips_of_split(_VALIDATION)),
            skip_unreadable=True,
            descriptors=descriptors,
            pictures=False,
        )
    return read_results(folder)


def _pooled(view: Path, folder: Path, seed: int) -> Results:
    """The baseline that did best on clips held out of those that it is fitted on."""
    if not (folder / TABLE_FILE).is_file():
        splits = read_manifest(view).splits
        fitted_on = [split for split in ("train", _VALIDATION) if split in splits]
        clips = [clip for split in fitted_on for clip in clips_in_split(view, split)]
        pooled_baselines(
            view,
            folder,
            classifiers=classifiers_for(len(clips)),
            add_validation=_VALIDATION in fitted_on,
            num_folds=folds_for({clip.group for clip in clips}),
            seed=seed,
        )
    stated = {path.parent: read_json(path) for path in sorted(folder.glob("*/method.json"))}
    chosen = {name: facts for name, facts in stated.items() if "held_out_log_loss" in facts}
    return read_results(min(chosen, key=lambda name: chosen[name]["held_out_log_loss"]))
