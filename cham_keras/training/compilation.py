"""From settings to a compiled model: precision, optimizer, learning rate, loss, accuracies.

Comes in: settings and what the shards hold. Goes out: a new model that `fit` takes. `train`
calls it; `compile_model` is also what a tuner's hyper-model needs.

A step is one change of the weights by `data.batch_size` clips. Where gradients are
accumulated, Keras counts each part as an iteration: its learning-rate schedules see parts,
so the fall is placed at the part with which the stated step begins.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from cham_keras.data import Manifest
from cham_keras.losses import SequenceCrossEntropy
from cham_keras.metrics import ClipAccuracy, FrameAccuracy
from cham_keras.runs import OptimizerSettings, RunSettings, build_model

# Names of the weights that are added to or multiplied with a channel, which need no decay.
_NO_DECAY = ("bias", "gamma", "beta")


def build_and_compile(
    settings: RunSettings, manifest: Manifest, steps_per_epoch: int | None = None
) -> keras.Model:
    """A new, compiled model for shards, the same one for the same settings.

    Args:
        settings: what to train and how.
        manifest: of the shards; gives the features' shape and the classes.
        steps_per_epoch: as for `compile_model`.

    Raises:
        ValueError: a setting does not fit the model.
    """
    keras.utils.set_random_seed(settings.seed)
    with _dtype_policy(settings.precision):
        model = build_model(
            settings.model, manifest.feature_shape, len(manifest.classes), seed=settings.seed
        )
    compile_model(model, settings, steps_per_epoch)
    return model


def compile_model(
    model: keras.Model, settings: RunSettings, steps_per_epoch: int | None = None
) -> None:
    """Gives a model the optimizer, the loss of Eq. 9 and the accuracies.

    Args:
        model: of `cham_keras.models`.
        settings: what decides on these; the model's own precision is kept.
        steps_per_epoch: needed where the learning rate is decayed after some epochs.

    Raises:
        ValueError: it is needed and missing.
    """
    optimizer = optimizer_of_fit(settings.optimizer, steps_per_epoch)
    model.compile(
        optimizer=_optimizer(model, dataclasses.replace(settings, optimizer=optimizer)),
        loss=SequenceCrossEntropy(
            over_time=settings.loss_over_time, label_smoothing=settings.label_smoothing
        ),
        metrics=[FrameAccuracy(), ClipAccuracy()],
        auto_scale_loss=False,  # the optimizer does it already where it is needed
    )


def optimizer_of_fit(settings: OptimizerSettings, steps_per_epoch: int | None) -> OptimizerSettings:
    """The same settings with a `decay_iteration` where they state a `decay_epoch`.

    Args:
        settings: of the optimizer.
        steps_per_epoch: of the fit.

    Raises:
        ValueError: they state a `decay_epoch`, and `steps_per_epoch` is missing.

    Example:

    >>> optimizer_of_fit(OptimizerSettings(decay_epoch=3), steps_per_epoch=15).decay_iteration
    45
    """
    if settings.decay_epoch is None:
        return settings
    if steps_per_epoch is None:
        raise ValueError(
            "`optimizer.decay_epoch` goes with `steps_per_epoch`. Received: "
            f"decay_epoch={settings.decay_epoch} without it. Pass it, or set `decay_iteration`."
        )
    iteration = settings.decay_epoch * steps_per_epoch
    return dataclasses.replace(settings, decay_epoch=None, decay_iteration=iteration)


def learning_rate_schedule(settings: OptimizerSettings) -> Any:
    """The learning rate as a number, or as a Keras schedule with one fall."""
    if settings.decay_iteration == "never":
        return settings.learning_rate
    first_part_after = settings.decay_iteration * settings.accumulation_steps
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        # The schedule changes after its boundary; the decayed rate holds from the step on.
        [first_part_after - 1],
        [settings.learning_rate, settings.learning_rate * settings.decay_factor],
    )


def learning_rate_at(settings: OptimizerSettings, step: int) -> float:
    """The learning rate of one step, without asking the device.

    Args:
        settings: of the optimizer.
        step: number of the step, counted from 0.

    Example:

    >>> [learning_rate_at(OptimizerSettings(decay_factor=0.5), step) for step in (9_999, 10_000)]
    [0.0001, 5e-05]
    """
    if settings.decay_iteration == "never" or step < settings.decay_iteration:
        return settings.learning_rate
    return settings.learning_rate * settings.decay_factor


def _optimizer(model: keras.Model, settings: RunSettings) -> keras.optimizers.Optimizer:
    """Adam, or AdamW; around it, in float16, what keeps small gradients above zero."""
    wanted = settings.optimizer
    arguments: dict[str, Any] = {
        "learning_rate": learning_rate_schedule(wanted),
        # Keras clips the mean of the parts' gradients, so this limits the step's gradient.
        "global_clipnorm": wanted.clip_norm,
    }
    if wanted.accumulation_steps > 1:
        arguments["gradient_accumulation_steps"] = wanted.accumulation_steps
    if wanted.weight_decay:
        optimizer = keras.optimizers.AdamW(weight_decay=wanted.weight_decay, **arguments)
        undecayed = [v for v in model.trainable_variables if v.name.endswith(_NO_DECAY)]
        optimizer.exclude_from_weight_decay(var_list=undecayed)
    else:
        optimizer = keras.optimizers.Adam(**arguments)
    if settings.precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Layers that are made in the block take this policy; afterwards all is as before."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
