"""The settings of fine-tuning: how long, how fast, which layers, which frames.

`cham finetune` makes an option of every field; `finetuning.toml` in a run folder holds them.
What is not here (the model, the loss, class weights) stays as in the run that is tuned.
"""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from cham_keras.data.reading.frame_augmentation import FrameAugmentation
from cham_keras.settings import settings


def _one_or_ten(value: int) -> int:
    if value not in (1, 10):
        raise ValueError("must be 1 or 10")
    return value


@settings
class UnfreezingSettings:
    """Which layers of the CNN are trained. All by default; set one of the two at the most."""

    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The last share of its layers that have weights."""
    from_layer: str | None = None
    """From the layer of this name on, to the end."""
    batch_normalization: Literal["frozen", "trained"] = "frozen"
    """Whether statistics stay as they came (dropout then does nothing, too) or go on."""


@settings
class FinetuningOptimizerSettings:
    """Adam with one learning rate for the model and a share of it for the CNN."""

    learning_rate: PositiveFloat = 1e-4
    """Learning rate of the model above the CNN."""
    backbone_factor: NonNegativeFloat = 0.1
    """What the CNN's learning rate is as a share of that."""
    decay_iteration: PositiveInt | Literal["never"] = "never"
    """The step from which on both are decayed, or never."""
    decay_factor: PositiveFloat = 0.1
    """What they are multiplied by then."""
    clip_norm: PositiveFloat | None = None
    """Limit of the gradients' common norm; not given: none."""
    accumulation_steps: PositiveInt = 1
    """In how many parts a step is computed, which saves memory; must divide batch_size."""


@settings
class FrameEvaluationSettings:
    """How a split is scored from frames when the tuning is done."""

    split: Literal["test", "validation", "none"] = "test"
    """The split; none scores nothing."""
    num_frames: PositiveInt | None = None
    """Evenly spaced frames a clip; by default 25 for spatial_convnet, else as in training."""
    crops: Annotated[int, AfterValidator(_one_or_ten)] = 1
    """1: whole frames; 10: corners and centre and their mirror images."""


@settings
class FinetuningSettings:
    """Everything that decides what fine-tuning does with a run."""

    seed: NonNegativeInt = 0
    """Seed of order, frames and crops."""
    epochs: PositiveInt = 10
    """Passes over the training clips, the frozen ones among them."""
    frozen_epochs: NonNegativeInt = 0
    """So many first epochs train the model alone, with the CNN as it is."""
    patience: PositiveInt | None = None
    """Stop after so many epochs whose figure was no better; not given: never."""
    num_frames: PositiveInt | None = None
    """Frames a clip; by default as in the run that is tuned."""
    batch_size: PositiveInt = 8
    """Clips a training step, in all its parts."""
    checkpoint_minutes: PositiveFloat = 10.0
    """Within long epochs, how often a checkpoint is written that a killed run goes on from."""
    strict: bool = False
    """Whether a clip that cannot be read is an error; else it is left out and named."""
    unfreezing: UnfreezingSettings = UnfreezingSettings()
    """The layers of the CNN that are trained."""
    optimizer: FinetuningOptimizerSettings = FinetuningOptimizerSettings()
    """The optimizer."""
    augmentation: FrameAugmentation = FrameAugmentation()
    """How the frames of training clips are varied."""
    evaluation: FrameEvaluationSettings = FrameEvaluationSettings()
    """The scoring afterwards."""
