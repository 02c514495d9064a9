"""What a call of `train` meets in its run folder, and what it makes of it.

Comes in: the folder, settings and the shards' manifest. Goes out: a refusal, a new run, or an
unfinished run of the same settings and shards with the state that it goes on from. A run is
finished when its `metrics.json` is there.
"""

import shutil
from pathlib import Path

from cham_keras.data import Manifest, read_manifest, write_manifest
from cham_keras.files import write_json
from cham_keras.runs import RunSettings
from cham_keras.runs.run_folder import (
    CHECKPOINT_FILE,
    EVALUATION_FOLDER,
    HISTORY_FILE,
    LAST_MODEL_FILE,
    MANIFEST_FILE,
    METRICS_FILE,
    MODEL_FILE,
    SETTINGS_FILE,
    TENSORBOARD_FOLDER,
    VERSIONS_FILE,
    environment,
)
from cham_keras.settings import flat_settings, read_settings, settings_to_dict, write_settings
from cham_keras.training.checkpoint import Values, read_checkpoint
from cham_keras.training.resume_state import FitState

# The checkpoint goes first: without it and with old settings, a folder is a run to begin anew.
_OF_A_FIT = (CHECKPOINT_FILE, METRICS_FILE, MODEL_FILE, LAST_MODEL_FILE, HISTORY_FILE)
_ABOUT_THE_SHARDS = ("classes", "feature_shape", "feature_dtype", "backbone", "splits")


def check_run_folder(out: Path, settings: RunSettings, manifest: Manifest, overwrite: bool) -> bool:
    """Refuses a folder that this run must not be written to.

    Args:
        out: the run folder.
        settings: of the run, resolved.
        manifest: of its shards.
        overwrite: whether anything that is there may be written over.

    Returns:
        whether the folder holds this very run, unfinished.

    Raises:
        FileExistsError: the folder holds a finished run, or files that are no run.
        ValueError: it holds an unfinished run with other settings or shards.
    """
    if overwrite or not out.exists() or not any(out.iterdir()):
        return False
    is_run = (out / SETTINGS_FILE).is_file() and (out / MANIFEST_FILE).is_file()
    if not is_run and all(path.name in _KNOWN or _is_partial(path) for path in out.iterdir()):
        return False  # killed while it wrote its settings
    if not is_run or (out / METRICS_FILE).is_file():
        what = "a finished run" if is_run else "a folder with other files"
        raise FileExistsError(
            "The run folder must be new or empty, or hold this run unfinished. "
            f"Received: {out}, {what}. Name another folder, or pass --overwrite."
        )
    check_same_run(out, settings, manifest)
    return True


def check_same_run(out: Path, settings: RunSettings, manifest: Manifest) -> None:
    """Refuses a run folder, finished or not, of other settings or shards.

    Args:
        out: a run folder.
        settings: of the run, resolved.
        manifest: of its shards.

    Raises:
        ValueError: the folder is of a run with other settings or shards; they are named.
    """
    other = _differences(read_settings(RunSettings, out / SETTINGS_FILE), settings)
    before = read_manifest(out / MANIFEST_FILE)
    other += [
        f"the shards' {name.replace('_', ' ')}"
        for name in _ABOUT_THE_SHARDS
        if getattr(before, name) != getattr(manifest, name)
    ]
    if other:
        kind = "a finished" if (out / METRICS_FILE).is_file() else "an unfinished"
        raise ValueError(
            "A run goes on with the settings and shards that it began with. "
            f"{out} holds {kind} run with other ones: {'; '.join(other)}. "
            "Name another folder, or pass --overwrite to begin anew."
        )


def begin_run(
    out: Path, settings: RunSettings, manifest: Manifest, overwrite: bool
) -> tuple[FitState, Values | None]:
    """Writes what is known of a new run, or reads where an unfinished one stands.

    Call it within `locked_folder(out, "train")`.

    Args:
        out: the run folder.
        settings: of the run, resolved.
        manifest: of its shards.
        overwrite: whether anything that is there may be written over.

    Returns:
        where the fit stands, and the values of its variables; None for new ones.

    Raises:
        FileExistsError, ValueError: as `check_run_folder`; or the checkpoint is damaged.
    """
    goes_on = check_run_folder(out, settings, manifest, overwrite)
    for path in out.iterdir():
        if _is_partial(path):  # of a process that was killed
            path.unlink()
    if goes_on and (out / CHECKPOINT_FILE).is_file():
        return read_checkpoint(out / CHECKPOINT_FILE)
    for name in _OF_A_FIT:
        (out / name).unlink(missing_ok=True)
    # What was found out about the model before goes with it.
    for name in (TENSORBOARD_FOLDER, EVALUATION_FOLDER):
        shutil.rmtree(out / name, ignore_errors=True)
    # The settings last: they are what makes a folder a run.
    write_manifest(manifest, out / MANIFEST_FILE)
    write_json(out / VERSIONS_FILE, {**environment(), "seed": settings.seed})
    write_settings(
        out / SETTINGS_FILE, settings, comment="Train again with: cham train SHARDS --settings"
    )
    return FitState(), None


_KNOWN = {*_OF_A_FIT, MANIFEST_FILE, VERSIONS_FILE, SETTINGS_FILE, TENSORBOARD_FOLDER}


def _is_partial(path: Path) -> bool:
    """Whether `files.replacing_file` was killed before this file took its place."""
    return path.name.startswith(".") and path.suffixes[-2:-1] == [".partial"]


def _differences(before: RunSettings, now: RunSettings) -> list[str]:
    then, wanted = (dict(flat_settings(settings_to_dict(value))) for value in (before, now))
    return [
        f"`{name}` is {then.get(name, 'not given')!r} there and {wanted.get(name, 'not given')!r} "
        "here"
        for name in {**then, **wanted}
        if then.get(name) != wanted.get(name)
    ]
