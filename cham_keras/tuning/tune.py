"""The search: shards in, the best settings out, as a file that `cham train` takes."""

import math
from pathlib import Path

import keras_tuner

from cham_keras.data import Manifest, read_manifest, write_manifest
from cham_keras.paths import AnyPath, as_path
from cham_keras.runs import RunSettings
from cham_keras.settings import read_settings, settings, write_settings
from cham_keras.training import resolve
from cham_keras.tuning.hyper_model import CHAMHyperModel
from cham_keras.tuning.search import Search
from cham_keras.tuning.search_space import SearchSpace
from cham_keras.tuning.tuner import ShuffledCombinations, TrainingTuner

SEARCH_FILE = "search.toml"


@settings
class SearchSettings:
    """What decides the trials of a search, and must not change while it goes on."""

    run: RunSettings
    """All settings that are not searched."""
    space: SearchSpace
    """The values that are tried."""


def tune(
    shards: AnyPath | str,
    out: Path,
    settings: RunSettings | None = None,
    space: SearchSpace | None = None,
    max_trials: int = 10,
) -> Search:
    """Searches kernel sizes and channels by random search.

    Each trial is a run of `train` with the same seed, on the split `train`; the best
    accuracy over the clips of `validation` is its score. No combination is tried twice.
    A model that is too large for the memory, or whose loss diverges, fails and stands at
    the end of the table. A search that was broken off goes on where it was, and one that
    has ended goes on with a larger `max_trials`.

    Args:
        shards: a folder that `cham extract` has written, with a split `validation`.
        out: the folder to write: new, empty, or with a search to go on with.
        settings: all settings that are not searched.
        space: the values that are tried.
        max_trials: number of combinations; all, if there are fewer.

    Returns:
        the search. In `out` lie `best.toml` and `trials.md`, written anew after each
        trial, a run folder a trial, of which the best one's holds its model, and
        keras-tuner's books.

    Raises:
        ValueError: the shards have no split `validation`, the model has no kernels or not
            a setting that it was given, the folder holds a search with other settings or
            shards, or no trial ended well.
        FileExistsError: the folder holds files and no search.
    """
    shards, out = as_path(shards), Path(out)
    if max_trials < 1:
        raise ValueError(f"`max_trials` must be at least 1. Received: {max_trials}.")
    plan = SearchSettings(resolve(settings or RunSettings()), space or SearchSpace())
    manifest = read_manifest(shards)
    if "validation" not in manifest.splits:
        raise ValueError(
            "A search needs shards with a split `validation`, whose clips score the trials. "
            f"Received: {shards} with {', '.join(manifest.splits)}. Give some clips of the clip "
            "list that split and extract again."
        )
    hyper_model = CHAMHyperModel(
        plan.run,
        manifest.feature_shape,
        len(manifest.classes),
        plan.space,
        math.ceil(manifest.split("train").clips / plan.run.data.batch_size),
    )
    hyper_model.build(keras_tuner.HyperParameters())  # refuses settings before anything is written
    _open_folder(out, plan, manifest)
    oracle = ShuffledCombinations(plan.space.combinations(), max_trials, plan.run.seed)
    tuner = TrainingTuner(oracle, hyper_model, shards, out)
    try:
        tuner.search()
    except keras_tuner.errors.FatalError as error:
        raise error.__cause__ or error from None
    search = tuner.found()
    if search is None:
        raise ValueError(
            f"A search must have at least one trial that ends well. Received none in {out}; why "
            "stands above. Name another folder, with smaller models or a lower "
            "`optimizer.learning_rate`."
        )
    return search


def _open_folder(out: Path, plan: SearchSettings, manifest: Manifest) -> None:
    """Notes in a new folder what is searched; refuses a folder that holds anything else."""
    if not out.exists() or not any(out.iterdir()):
        out.mkdir(parents=True, exist_ok=True)
        write_manifest(manifest, out)
        write_settings(out / SEARCH_FILE, plan, comment="What this search tries.")
    if not (out / SEARCH_FILE).is_file():
        raise FileExistsError(
            f"The folder must be new, empty or hold a search. Received: {out}. "
            "Name another with --out."
        )
    before = read_manifest(out)
    same_shards = (before.classes, before.backbone, before.splits) == (
        manifest.classes,
        manifest.backbone,
        manifest.splits,
    )
    if read_settings(SearchSettings, out / SEARCH_FILE) != plan or not same_shards:
        raise ValueError(
            f"A search goes on with the settings and shards that it began with. {out} holds one "
            f"with other {'settings' if same_shards else 'shards'}. Name another folder."
        )
