"""What the demo draws and how it trains."""

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from cham_keras.runs.settings import DataSettings, ModelSettings, OptimizerSettings, RunSettings
from cham_keras.settings import settings

#: The models that are compared, in the order of the paper's tables.
DEMO_MODELS = ("fc_attention", "conv_attention", "cham")


@settings
class DemoSettings:
    """The size of the demo. The defaults take some minutes on two processor cores."""

    seed: NonNegativeInt = 0
    """Seed of the clips and of the training."""
    train_clips: PositiveInt = 40
    """Training clips of each class."""
    validation_clips: PositiveInt = 10
    """Validation clips of each class."""
    test_clips: PositiveInt = 20
    """Test clips of each class."""
    epochs: PositiveInt = 36
    """Passes over the training clips."""
    num_frames: Annotated[int, Field(ge=2, le=24)] = 16
    """Frames that are taken of each clip of 24."""


def run_settings(name: str, demo: DemoSettings) -> RunSettings:
    """The settings of one of the demo's three runs.

    The paper's are made for features of 2048 channels and 20,000 iterations. These
    are for 24 channels and a few hundred: few filters, a higher learning rate, and,
    for the convolutional models, tanh candidates and attention maps that sum to 10
    (maps that sum to 1 make the inputs so small that training stands still at first).

    Args:
        name: the model.
        demo: the demo's settings.
    """
    convolutional = {"attention_scale": 10.0, "candidate_activation": "tanh"}
    return RunSettings(
        seed=demo.seed,
        epochs=demo.epochs,
        loss_over_time="mean",
        model=ModelSettings(
            name=name,  # type: ignore[arg-type]
            filters=16,
            head_units=64,
            dropout=0.2,
            unit_forget_bias=True,
            **({} if name == "fc_attention" else convolutional),  # type: ignore[arg-type]
        ),
        data=DataSettings(num_frames=demo.num_frames, batch_size=16),
        optimizer=OptimizerSettings(learning_rate=3e-3, clip_norm=1.0, decay_iteration="never"),
    )
