"""Fine-tuning a run from frames, its CNN with it: the flow.

Comes in: a run on the features of a frozen CNN, which is the first stage, and the clips. Goes
out: a run folder like every other, with the tuned CNN beside the tuned model. A call that was
killed or stopped goes on with the same call.
"""

import dataclasses
import math
import shutil
from pathlib import Path
from typing import Any

import keras

from cham_keras import models
from cham_keras.data import (
    ClipList,
    Manifest,
    load_backbone_from_spec,
    read_clip_list,
)
from cham_keras.data.shards.stored_features import StorageError
from cham_keras.files import locked_folder, read_json, write_json
from cham_keras.finetuning.finish import write_tuned_run
from cham_keras.finetuning.frame_batches import FrameBatches, FrameSplits, frame_splits
from cham_keras.finetuning.settings import FinetuningSettings
from cham_keras.finetuning.staged_fit import StagedFit
from cham_keras.finetuning.step_memory import require_memory
from cham_keras.finetuning.tuned_model import model_from_frames, optimizer_settings
from cham_keras.finetuning.unfreezing import unfreeze
from cham_keras.paths import AnyPath
from cham_keras.progress import stderr
from cham_keras.runs import Run, RunSettings, open_run
from cham_keras.runs.run_folder import METRICS_FILE
from cham_keras.settings import read_settings, write_settings
from cham_keras.training.resume_state import FitPlan
from cham_keras.training.run_start import begin_run
from cham_keras.training.stop_signals import StopSignals

#: What a run folder that was tuned holds beside what every one holds.
FINETUNING_FILE = "finetuning.toml"
#: What lies in it until the tuning is done.
UNFINISHED_FOLDER = "unfinished"
_START_FILE = "start.json"
_INDEX_FILE = "frame_counts.json"


def finetune(
    run: Run,
    clips: ClipList | AnyPath | str,
    out: Path,
    settings: FinetuningSettings | None = None,
    *,
    weights: Path | None = None,
    overwrite: bool = False,
) -> Run:
    """Trains a run's model and the CNN below it from frames, and writes a run folder.

    The frames are resized and prepared as the run's manifest says, so that with a CNN that
    does not move this is the training that went before. Statistics with which the model
    standardises features stay as they are. The weights with the best figure over whole frames
    of the split `validation` are kept, those of the last epoch without such a split; `test` is
    not looked at.

    Where the folder holds the same tuning unfinished, it goes on from its last checkpoint.

    Args:
        run: a finished run, on features of a CNN that can be trained.
        clips: a clip list with the run's classes, or where `cham prepare` wrote it.
        out: the run folder to write; new or empty, or with this tuning unfinished.
        settings: what is trained, and how.
        weights: where the weights file of the run's backbone lies now, if it was moved.
        overwrite: whether to begin anew in a folder that holds files.

    Returns:
        the run. `backbone.keras` in its folder is the CNN with its preprocessing, which
        `cham extract --backbone` takes.

    Raises:
        ValueError: a setting does not fit, a step does not fit into memory, the backbone has
            nothing to train or is not here, the clips do not fit the run, or the folder holds
            another unfinished tuning.
        FileNotFoundError: the run has no model, or the backbone's weights are gone.
        FileExistsError: the folder holds a finished run or other files.
        NonFiniteLossError: training diverges.
        BlockingIOError: another process tunes in the folder.
        TrainingStopped: after Ctrl-C or SIGTERM; the same call goes on.
    """
    settings, out = settings or FinetuningSettings(), Path(out)
    _check_settings(settings)
    _check_folder(run, out, settings, overwrite)
    clip_list = clips if isinstance(clips, ClipList) else read_clip_list(clips)
    scored = settings.evaluation.split
    if scored != "none" and not clip_list.clips_of_split(scored):
        raise ValueError(
            f"`evaluation.split` must be one that has clips in the list, or none. "
            f"Received: {scored!r}, which has none."
        )
    keras.utils.set_random_seed(settings.seed)  # a CNN that drops out draws its seeds
    backbone = load_backbone_from_spec(run.manifest.backbone, weights)
    run_settings = settings_of_tuned_run(run, settings)
    model = model_from_frames(run, backbone, settings)
    network, _ = models.parts_of_from_frames(model)
    unfreeze(network, settings.unfreezing)
    require_memory(network, settings, run_settings.num_frames)
    with locked_folder(out, "train"), StopSignals() as signals:
        if overwrite:
            _empty(out)
        splits = frame_splits(clip_list, run.manifest, settings, out / _INDEX_FILE)
        manifest = _manifest(run, splits)
        unfinished = out / UNFINISHED_FOLDER
        unfinished.mkdir(exist_ok=True)
        write_json(out / _START_FILE, _start(run))
        write_settings(out / FINETUNING_FILE, settings, comment=f"Tuned from {run.folder}")
        state, restored = begin_run(unfinished, run_settings, manifest, overwrite)
        batches = FrameBatches(splits, manifest, settings, run_settings)
        plan = _plan(settings, run_settings, splits)
        _notice(batches, run_settings, "validation" in splits.clips)
        if restored is not None:
            stderr.print(
                f"An unfinished tuning goes on at step {state.step(plan)} of "
                f"{plan.num_epochs * plan.steps_per_epoch}."
            )
        fit = StagedFit(
            model,
            batches,
            settings,
            run_settings,
            plan,
            unfinished,
            state,
            restored,
            signals,
            num_classes=len(manifest.classes),
        )
        fit.run()
        write_tuned_run(
            out, unfinished, model, state, plan, manifest, run_settings, fit.trained_layers, run
        )
        shutil.rmtree(unfinished)
        for name in (_INDEX_FILE, _START_FILE):
            (out / name).unlink(missing_ok=True)
    return open_run(out)


def settings_of_tuned_run(run: Run, settings: FinetuningSettings) -> RunSettings:
    """The settings of a run as it is tuned: its own, but for what the tuning decides."""
    data = dataclasses.replace(
        run.settings.data,
        num_frames=settings.num_frames or run.num_frames,
        batch_size=settings.batch_size,
    )
    return dataclasses.replace(
        run.settings,
        seed=settings.seed,
        epochs=settings.epochs,
        patience=settings.patience,
        data=data,
        optimizer=optimizer_settings(settings),
    )


def _check_settings(settings: FinetuningSettings) -> None:
    parts = settings.optimizer.accumulation_steps
    if settings.batch_size % parts:
        raise ValueError(
            f"`optimizer.accumulation_steps` must divide `batch_size`, {settings.batch_size}. "
            f"Received: {parts}."
        )
    if settings.frozen_epochs > settings.epochs:
        raise ValueError(
            f"`frozen_epochs` must be at most `epochs`, {settings.epochs}. "
            f"Received: {settings.frozen_epochs}."
        )


def _check_folder(run: Run, out: Path, settings: FinetuningSettings, overwrite: bool) -> None:
    """Refuses a folder that holds something else than this tuning, unfinished."""
    if out.resolve() == run.folder.resolve():
        raise ValueError(f"`out` must be another folder than the run that is tuned, {out}.")
    if overwrite or not out.exists() or not any(out.iterdir()):
        return
    is_tuning = (out / FINETUNING_FILE).is_file()
    if (out / METRICS_FILE).is_file() or not (is_tuning or (out / _INDEX_FILE).is_file()):
        raise FileExistsError(
            "The run folder must be new or empty, or hold this tuning unfinished. "
            f"Received: {out}. Name another folder, or pass --overwrite."
        )
    if not is_tuning:
        return  # killed while frames were counted
    same = read_settings(FinetuningSettings, out / FINETUNING_FILE) == settings
    start = out / _START_FILE
    if same and start.is_file():
        same = read_json(start)["model_sha256"] == _start(run)["model_sha256"]
    if not same:
        raise ValueError(
            "A tuning goes on with the settings and the run that it began with. "
            f"{out} holds an unfinished one of another run or with other settings. "
            "Name another folder, or pass --overwrite to begin anew."
        )


def _empty(out: Path) -> None:
    """Removes what an earlier run left, so that nothing of it is taken for the new one's."""
    for path in out.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _start(run: Run) -> dict[str, Any]:
    return {"run": str(run.folder.absolute()), "model_sha256": run.model_sha256()}


def _manifest(run: Run, splits: FrameSplits) -> Manifest:
    """What stands for the shards' manifest: the clips, and the features before they are tuned."""
    return dataclasses.replace(
        run.manifest,
        feature_dtype="float32",
        storage_error=StorageError(largest=0.0, relative_rms=0.0),
        splits=splits.infos(),
        clips_root=str(splits.clip_list.root),
        unreadable=splits.unreadable,
        view_of=None,
        divided_groups=(),
        command="",
    )


def _plan(settings: FinetuningSettings, run_settings: RunSettings, splits: FrameSplits) -> FitPlan:
    has_validation = "validation" in splits.clips
    if settings.patience is not None and not has_validation:
        raise ValueError(
            "`patience` needs a split `validation`. "
            f"Received: patience={settings.patience} and clips without one."
        )
    return FitPlan(
        num_epochs=settings.epochs,
        steps_per_epoch=math.ceil(len(splits.clips["train"]) / settings.batch_size),
        accumulation_steps=settings.optimizer.accumulation_steps,
        monitor=f"val_{run_settings.monitor}" if has_validation else None,
        patience=settings.patience,
        min_epochs=settings.frozen_epochs,
    )


def _notice(batches: FrameBatches, run_settings: RunSettings, has_validation: bool) -> None:
    if not has_validation:
        stderr.print("No split `validation` in the clips: the last epoch's weights are kept.")
    if batches.num_short_clips:
        gets = {"repeat": "repeat their last frame", "pad": "are padded"}
        stderr.print(
            f"{batches.num_short_clips} training clips are shorter than "
            f"{run_settings.num_frames} frames and {gets[run_settings.data.short_clips]}."
        )
