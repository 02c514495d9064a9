"""The fit: from a folder of shards and settings to a run folder.

A fit that was killed or stopped goes on with the same call, and ends as if nothing had been:
`run_start` finds it, `checkpoint` gives its variables back, `training_data` begins with the
batch that comes next, and `callbacks.keep_run` writes all that is needed for it.

Many devices or one: `devices` chooses a `DeviceLayout`, which is asked where the model lives, what
`fit` gets and which folder is written.
"""

import dataclasses
import functools
import shutil
from pathlib import Path

import keras
import tensorflow as tf

from cham_keras import models
from cham_keras.data import Manifest, read_manifest, shard_errors_named
from cham_keras.files import locked_folder, replacing_file, write_json
from cham_keras.paths import AnyPath, as_path
from cham_keras.progress import stderr
from cham_keras.runs import Run, RunSettings, open_run
from cham_keras.runs.model_building import resolved_model_settings
from cham_keras.runs.run_folder import (
    CHECKPOINT_FILE,
    LAST_MODEL_FILE,
    METRICS_FILE,
    MODEL_FILE,
    TENSORBOARD_FOLDER,
)
from cham_keras.training.bad_batches import BadBatches
from cham_keras.training.callbacks.keep_run import KeepRun
from cham_keras.training.callbacks.tensorboard import AttentionLog
from cham_keras.training.checkpoint import Values, restore_variables
from cham_keras.training.compilation import build_and_compile, optimizer_of_fit
from cham_keras.training.device_layout import DeviceLayout
from cham_keras.training.devices import Devices, device_layout
from cham_keras.training.feature_statistics import feature_statistics
from cham_keras.training.fit import Fit
from cham_keras.training.hosts import Hosts
from cham_keras.training.resume_state import FitPlan, FitState, fit_plan
from cham_keras.training.run_start import (
    begin_run,
    check_run_folder,
    check_same_run,
)
from cham_keras.training.stop_signals import StopSignals
from cham_keras.training.training_data import (
    batch_size_of_part,
    notice_short_clips,
    training_clips,
    validation_clips,
)


def train(
    shards: AnyPath | str,
    out: Path,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
    devices: Devices = 1,
    hosts: Hosts | None = None,
) -> Run:
    """Trains a model on shards and writes a run folder; goes on with a run that was broken off.

    The model with the best figure (`monitor`) over the clips of the split `validation`
    is kept; without such a split, the model of the last epoch. The split `test`
    is not looked at.

    Where the folder holds the same run unfinished, it goes on from its last checkpoint.
    On a CPU it ends with the bits of an unbroken run: weights, optimizer, history, metrics.

    Args:
        shards: a folder that `cham extract` has written.
        out: the run folder to write; new or empty, or with this run unfinished.
        settings: what to train and how; the paper's protocol by default.
        overwrite: whether to begin anew in a folder that holds files.
        devices: how many devices of this host share a step, or "all". What is trained does
            not depend on it, but for the order of additions (docs/many_devices.md).
        hosts: the hosts that train together, on JAX; each of them makes the same call.

    Returns:
        the run; on other hosts than the first one, of a folder that is gone.

    Raises:
        ValueError: a setting does not fit the model, the shards or the devices, or the
            folder holds an unfinished run with other settings or shards.
        NonFiniteFeaturesError: a clip holds NaN or infinite features; it is named.
        NonFiniteLossError: training diverges.
        FileExistsError: the folder holds a finished run or other files.
        BlockingIOError: another process trains in the folder.
        TrainingStopped: after Ctrl-C or SIGTERM; the same call goes on.
    """
    shards, out = as_path(shards), Path(out)
    settings = resolve(settings or RunSettings())
    layout = device_layout(devices, hosts)
    with layout.scope():
        manifest = read_manifest(shards)
        layout.check(settings, manifest)
        with layout.run_folder(out) as folder:
            return _train(shards, folder, settings, manifest, layout, overwrite)


def trained(shards: AnyPath | str, out: Path, settings: RunSettings | None = None) -> Run:
    """The run of these settings on these shards: as it lies there, or trained by now.

    Args:
        shards: as for `train`.
        out: the run folder; new, or of this very run, finished or not.
        settings: as for `train`.

    Raises:
        ValueError: the folder holds a run with other settings or shards.
    """
    if not (out / METRICS_FILE).is_file():
        return train(shards, out, settings)
    check_same_run(out, resolve(settings or RunSettings()), read_manifest(shards))
    return open_run(out)


def _train(
    shards: AnyPath,
    out: Path,
    settings: RunSettings,
    manifest: Manifest,
    layout: DeviceLayout,
    overwrite: bool,
) -> Run:
    check_run_folder(out, settings, manifest, overwrite)
    validation = validation_clips(shards, settings)
    plan = fit_plan(settings, manifest.split("train").clips, validation is not None)
    model = build_and_compile(settings, manifest, plan.steps_per_epoch)
    notice_short_clips(shards, settings)
    if validation is None:
        stderr.print("No split `validation` in the shards: the last epoch's model is kept.")
    with locked_folder(out, "train"), StopSignals() as signals:
        state, restored = begin_run(out, settings, manifest, overwrite)
        _set_variables(model, shards, settings, restored, out / CHECKPOINT_FILE)
        layout.spread(model)
        if restored is not None:
            stderr.print(
                f"An unfinished run goes on at step {state.step(plan)} of "
                f"{plan.num_epochs * plan.steps_per_epoch}."
            )
        keep = KeepRun(
            out,
            state,
            plan,
            layout.signals(signals),
            checkpoint_minutes=settings.checkpoint_minutes,
            num_classes=len(manifest.classes),
            restored=restored,
        )
        del restored  # as large as the model and its optimizer; `keep` lets it go, too
        keep.begin(model)
        if validation is not None:
            num_clips = manifest.split("validation").clips
            batch_size = batch_size_of_part(settings)
            validation = layout.validation_clips(validation, num_clips, batch_size)
        fit = _fit(model, shards, settings, state, plan, validation, keep, layout, out)
        with shard_errors_named():
            fit.run()
        _write_end(model, state, plan, settings, out)
    return open_run(out)


def resolve(settings: RunSettings) -> RunSettings:
    """Fills in what depends on other settings: the paper's number of frames for the model.

    Raises:
        ValueError: two settings do not go together.
    """
    parts, batch_size = settings.optimizer.accumulation_steps, settings.data.batch_size
    if batch_size % parts:
        raise ValueError(
            f"`optimizer.accumulation_steps` must divide `data.batch_size`, {batch_size}. "
            f"Received: {parts}."
        )
    data = dataclasses.replace(settings.data, num_frames=settings.num_frames)
    model = resolved_model_settings(settings.model)
    return dataclasses.replace(settings, data=data, model=model)


def _set_variables(
    model: keras.Model,
    shards: AnyPath,
    settings: RunSettings,
    restored: Values | None,
    checkpoint: Path,
) -> None:
    """The checkpoint's values; for a new run, the statistics that the model standardizes with."""
    if restored is not None:
        restore_variables(model, restored, checkpoint)
    elif getattr(settings.model, "standardize", False):
        # Softmax regression standardizes and has no differences.
        differences = getattr(settings.model, "temporal_differences", "none")
        statistics = feature_statistics(shards, settings.num_frames, differences)
        models.set_feature_statistics(model, *statistics)


def _fit(
    model: keras.Model,
    shards: AnyPath,
    settings: RunSettings,
    state: FitState,
    plan: FitPlan,
    validation: tf.data.Dataset | None,
    keep: KeepRun,
    layout: DeviceLayout,
    out: Path,
) -> Fit:
    """The fit on features of shards."""
    logs = out / TENSORBOARD_FOLDER
    is_logged = logs.exists()
    callbacks = []
    if validation is not None and models.has_attention(model):
        callbacks.append(AttentionLog(logs, shards, settings, plan.num_epochs))
    return Fit(
        model,
        state,
        plan,
        functools.partial(training_clips, shards, settings, read=layout.read),
        validation,
        keep,
        description=f"training {settings.model.name}",
        optimizer=optimizer_of_fit(settings.optimizer, plan.steps_per_epoch),
        bad_losses=BadBatches(shards, settings),
        logs=logs,
        write_graph=not is_logged,
        layout=layout,
        callbacks=callbacks,
    )


def _write_end(
    model: keras.Model, state: FitState, plan: FitPlan, settings: RunSettings, out: Path
) -> None:
    """The last model and the metrics, with which a run is finished; then no checkpoint."""
    with replacing_file(out / LAST_MODEL_FILE) as temporary:
        model.save(temporary)
    if plan.monitor is None:
        with replacing_file(out / MODEL_FILE) as temporary:
            shutil.copyfile(out / LAST_MODEL_FILE, temporary)
    kept = {name: x for name, x in state.history[state.kept_epoch - 1].items() if name != "epoch"}
    metrics = {
        "model": settings.model.name,
        "parameters": model.count_params(),
        "epochs": state.epoch,
        "kept_epoch": state.kept_epoch,
        "seconds": round(state.seconds, 1),
        "kept": kept,
    }
    write_json(out / METRICS_FILE, metrics)
    (out / CHECKPOINT_FILE).unlink(missing_ok=True)
