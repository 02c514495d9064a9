"""The model that is tuned: a run's model with its CNN below, compiled for one stage.

Comes in: a run, its backbone, settings. Goes out: a compiled model from frames. `finetune` and
`fit` call it.
"""

import dataclasses
from typing import Any

import keras

from cham_keras import models
from cham_keras.data import Backbone
from cham_keras.finetuning.settings import FinetuningSettings
from cham_keras.finetuning.two_rate_adam import TwoRateAdam
from cham_keras.finetuning.unfreezing import unfreeze
from cham_keras.losses import SequenceCrossEntropy
from cham_keras.metrics import ClipAccuracy, FrameAccuracy
from cham_keras.runs import OptimizerSettings, Run, RunSettings
from cham_keras.training.compilation import learning_rate_schedule


def model_from_frames(run: Run, backbone: Backbone, settings: FinetuningSettings) -> keras.Model:
    """Puts the backbone of a run below its model.

    Args:
        run: a finished run.
        backbone: as the run's manifest describes it.
        settings: decide on the batch normalisation.

    Raises:
        FileNotFoundError: the run has no model.
    """
    return models.from_frames(
        backbone.model,
        run.load_model(),
        backbone.preprocess,
        inference=settings.unfreezing.batch_normalization == "frozen",
    )


def compile_stage(
    model: keras.Model,
    settings: FinetuningSettings,
    run_settings: RunSettings,
    *,
    frozen: bool,
    steps_before: int = 0,
) -> list[str]:
    """Compiles the model for the epochs with a frozen CNN, or for those after them.

    Args:
        model: from `model_from_frames`.
        settings: the layers and the learning rates.
        run_settings: of the run; its loss is taken over.
        frozen: whether the CNN stays as it is.
        steps_before: steps of earlier stages, which count for the fall of the learning rate.

    Returns:
        the names of the CNN's layers that are trained.

    Raises:
        ValueError: as `unfreeze`.
    """
    network, _ = models.parts_of_from_frames(model)
    trained = unfreeze(network, settings.unfreezing)  # says also before a frozen stage what fails
    if frozen:
        network.trainable = False
        trained = []
    wanted = settings.optimizer
    of_network = {id(variable) for variable in network.trainable_variables}
    factors = [
        wanted.backbone_factor if id(variable) in of_network else 1.0
        for variable in model.trainable_variables
    ]
    arguments: dict[str, Any] = {"global_clipnorm": wanted.clip_norm}
    if wanted.accumulation_steps > 1:
        arguments["gradient_accumulation_steps"] = wanted.accumulation_steps
    rate = learning_rate_schedule(_after(optimizer_settings(settings), steps_before))
    model.compile(
        optimizer=TwoRateAdam(factors, learning_rate=rate, **arguments),
        loss=SequenceCrossEntropy(
            over_time=run_settings.loss_over_time, label_smoothing=run_settings.label_smoothing
        ),
        metrics=[FrameAccuracy(), ClipAccuracy()],
    )
    return trained


def optimizer_settings(settings: FinetuningSettings) -> OptimizerSettings:
    """The learning rate of the model above the CNN in the words of a run."""
    wanted = settings.optimizer
    return OptimizerSettings(
        learning_rate=wanted.learning_rate,
        decay_iteration=wanted.decay_iteration,
        decay_factor=wanted.decay_factor,
        clip_norm=wanted.clip_norm,
        accumulation_steps=wanted.accumulation_steps,
    )


def _after(wanted: OptimizerSettings, steps: int) -> OptimizerSettings:
    """The same rates for an optimizer whose first step is number `steps`, from 0."""
    if wanted.decay_iteration == "never" or not steps:
        return wanted
    if wanted.decay_iteration > steps:
        return dataclasses.replace(wanted, decay_iteration=wanted.decay_iteration - steps)
    rate = wanted.learning_rate * wanted.decay_factor
    return dataclasses.replace(wanted, learning_rate=rate, decay_iteration="never")
