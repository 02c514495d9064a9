"""The fit: from a folder of shards and settings to a run folder."""

import dataclasses
import functools
import math
import time
from pathlib import Path
from typing import Any

import keras

from cham_keras.data import (
    Manifest,
    clip_dataset,
    clips_in_split,
    read_manifest,
    shard_errors_named,
    write_manifest,
)
from cham_keras.files import write_json
from cham_keras.losses import SequenceCrossEntropy
from cham_keras.metrics import ClipAccuracy, FrameAccuracy
from cham_keras.paths import AnyPath, as_path
from cham_keras.progress import stderr
from cham_keras.runs import OptimizerSettings, Run, RunSettings, build_model, open_run
from cham_keras.runs.run_folder import (
    HISTORY_FILE,
    MANIFEST_FILE,
    METRICS_FILE,
    MODEL_FILE,
    SETTINGS_FILE,
    TENSORBOARD_FOLDER,
    VERSIONS_FILE,
    environment,
)
from cham_keras.settings import write_settings
from cham_keras.training.callbacks import HistoryFile, KeepModel, ProgressBar, StopOnBadLoss


def train(
    shards: AnyPath | str,
    out: Path,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
) -> Run:
    """Trains a model on shards and writes a run folder.

    The model with the best accuracy over the clips of the split `validation`
    is kept; without such a split, the model of the last epoch. The split `test`
    is not looked at.

    Args:
        shards: a folder that `cham extract` has written.
        out: the run folder to write; new or empty.
        settings: what to train and how; the paper's protocol by default.
        overwrite: whether a run that is already there may be written over.

    Returns:
        the run.

    Raises:
        ValueError: a setting does not fit the model or the shards, or the loss diverges.
        FileExistsError: the folder holds files.
    """
    shards, out = as_path(shards), Path(out)
    manifest = read_manifest(shards)
    settings = resolve(settings or RunSettings())
    if out.exists() and any(out.iterdir()) and not overwrite:
        raise FileExistsError(
            f"The run folder must be new or empty. Received: {out}. "
            "Name another folder, or pass --overwrite."
        )
    keras.utils.set_random_seed(settings.seed)
    model = build_model(
        settings.model, manifest.feature_shape, len(manifest.classes), seed=settings.seed
    )
    compile_model(model, settings)
    training_clips, validation_clips = clip_datasets(shards, settings)
    _notice_short_clips(shards, settings)

    steps_per_epoch = math.ceil(manifest.split("train").clips / settings.data.batch_size)
    num_epochs = settings.epochs or math.ceil(settings.iterations / steps_per_epoch)
    bar = ProgressBar(f"training {settings.model.name}", num_epochs * steps_per_epoch)
    watched = "val_clip_accuracy" if validation_clips is not None else None
    keep = KeepModel(out / MODEL_FILE, watched)
    early_stopping = _early_stopping(watched, settings.patience)
    _write_what_is_known(out, manifest, settings)
    started = time.monotonic()
    try:
        with shard_errors_named():
            history = model.fit(
                training_clips,
                validation_data=validation_clips,
                epochs=num_epochs,
                steps_per_epoch=steps_per_epoch,
                shuffle=False,  # the data set shuffles
                verbose=0,
                callbacks=[
                    bar,
                    StopOnBadLoss(),
                    HistoryFile(out / HISTORY_FILE),
                    keras.callbacks.TensorBoard(out / TENSORBOARD_FOLDER),
                    keep,
                    *early_stopping,
                ],
            ).history
    finally:
        bar.close()
    metrics = _summary(model, history, keep.epoch, settings, time.monotonic() - started)
    write_json(out / METRICS_FILE, metrics)
    return open_run(out)


def resolve(settings: RunSettings) -> RunSettings:
    """Fills in what depends on other settings: the paper's number of frames for the model."""
    data = dataclasses.replace(settings.data, num_frames=settings.num_frames)
    return dataclasses.replace(settings, data=data)


def compile_model(model: keras.Model, settings: RunSettings) -> None:
    """Gives a model the optimizer, the loss of Eq. 9 and the accuracies."""
    model.compile(
        optimizer=keras.optimizers.Adam(
            learning_rate_schedule(settings.optimizer),
            global_clipnorm=settings.optimizer.clip_norm,
        ),
        loss=SequenceCrossEntropy(over_time=settings.loss_over_time),
        metrics=[FrameAccuracy(), ClipAccuracy()],
    )


def learning_rate_schedule(settings: OptimizerSettings) -> Any:
    """The learning rate as a number, or as a schedule with one fall."""
    if settings.decay_iteration == "never":
        return settings.learning_rate
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        # The schedule changes after its boundary; the decayed rate holds from the iteration on.
        [settings.decay_iteration - 1],
        [settings.learning_rate, settings.learning_rate * settings.decay_factor],
    )


def clip_datasets(shards: AnyPath | str, settings: RunSettings) -> tuple[Any, Any]:
    """The training clips, random and without end, and the validation clips or None."""
    read = functools.partial(
        clip_dataset,
        shards,
        num_frames=settings.num_frames,
        batch_size=settings.data.batch_size,
        short_clips=settings.data.short_clips,
        seed=settings.seed,
    )
    training_clips = read(split="train", sampling="random", shuffle=True, repeat=True)
    if "validation" not in read_manifest(shards).splits:
        stderr.print("No split `validation` in the shards: the last epoch's model is kept.")
        return training_clips, None
    return training_clips, read(split="validation", sampling="uniform")


def _early_stopping(watched: str | None, patience: int | None) -> list[Any]:
    if patience is None:
        return []
    if watched is None:
        raise ValueError(
            "`patience` needs a split `validation`. "
            f"Received: patience={patience} and shards without one."
        )
    return [keras.callbacks.EarlyStopping(monitor=watched, mode="max", patience=patience)]


def _write_what_is_known(out: Path, manifest: Manifest, settings: RunSettings) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in (MODEL_FILE, METRICS_FILE):  # of a run that is being written over
        (out / name).unlink(missing_ok=True)
    write_settings(
        out / SETTINGS_FILE, settings, comment="Train again with: cham train SHARDS --settings"
    )
    write_manifest(manifest, out / MANIFEST_FILE)
    write_json(out / VERSIONS_FILE, {**environment(), "seed": settings.seed})


def _summary(
    model: keras.Model,
    history: dict[str, list[float]],
    kept_epoch: int,
    settings: RunSettings,
    seconds: float,
) -> dict[str, Any]:
    return {
        "model": settings.model.name,
        "parameters": model.count_params(),
        "epochs": len(history["loss"]),
        "kept_epoch": kept_epoch,
        "seconds": round(seconds, 1),
        "kept": {name: values[kept_epoch - 1] for name, values in history.items()},
    }


def _notice_short_clips(shards: AnyPath, settings: RunSettings) -> None:
    """Says how many clips are shorter than what is sampled, and what they get."""
    num_frames = settings.num_frames
    clips = clips_in_split(shards, "train")
    short = sum(clip.num_frames < num_frames for clip in clips)
    if short:
        gets = {"repeat": "repeat their last frame", "pad": "are padded"}
        stderr.print(
            f"{short} of {len(clips)} training clips are shorter than {num_frames} frames "
            f"and {gets[settings.data.short_clips]}."
        )
