"""The settings of a run: model, data, optimizer, and how long.

Defaults are the paper's protocol (Sec. 3.2). `cham train` makes an option of
every field; `settings.toml` in a run folder holds all of them resolved.
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

from cham_keras.settings import settings


def _odd(value: int) -> int:
    if value < 1 or value % 2 == 0:
        raise ValueError("must be an odd positive integer")
    return value


#: Frames a clip in the paper's protocol (Sec. 3.2).
PAPER_FRAMES = 30
PAPER_FRAMES_OF_CHAM = 60

OddInt = Annotated[int, AfterValidator(_odd)]
Share = Annotated[float, Field(ge=0, lt=1)]


@settings
class ModelSettings:
    """Which model, and its sizes. A setting that a model does not have must keep its default."""

    name: Literal[
        "cham",
        "conv_attention",
        "fc_attention",
        "conv_alstm",
        "average_pooled_lstm",
        "softmax_regression",
        "spatial_convnet",
    ] = "cham"
    """The model to build."""
    filters: PositiveInt = 512
    """Channels of the states; units of fc_attention and average_pooled_lstm."""
    kernel_size: OddInt = 3
    """Kernel from state to state (cham, conv_attention, conv_alstm)."""
    input_kernel_size: OddInt | None = None
    """Kernel from input to state; like kernel_size if not given (the same models)."""
    attention_filters: PositiveInt | None = None
    """Channels inside the attention; like filters if not given."""
    attention_kernel_size: OddInt = 1
    """Kernel of the attention's projections (cham, conv_attention, conv_alstm)."""
    attention_scale: PositiveFloat = 1.0
    """What an attention map sums to (cham, conv_attention, conv_alstm)."""
    attention_penalty: NonNegativeFloat = 0.0
    """Weight of the penalty on attention that leaves positions out over a clip."""
    candidate_activation: Literal["sigmoid", "tanh"] | None = None
    """Of Eq. 4; by default sigmoid as printed for cham and conv_attention, tanh for others."""
    unit_forget_bias: bool = False
    """Whether the forget gates' biases start at one."""
    skip: PositiveInt = 2
    """The second layer updates every so many steps (cham)."""
    initial_state: Literal["zeros", "mean_conv", "mean", "learned"] | None = None
    """Start of the recurrence: zeros, learned, or of the mean feature (mean_conv for maps)."""
    pooling: Literal["average", "max", "flatten"] | None = None
    """From maps to vectors before the dense layer; by default average, flatten for conv_alstm."""
    head_units: NonNegativeInt | None = None
    """Size of the dense layer, 0 for none; by default 512, 1024 for conv_alstm."""
    dropout: Share | None = None
    """Dropout before the softmax; by default 0.5, 0.7 for conv_alstm."""
    recurrent_dropout: Share = 0.0
    """Dropout of the hidden states, one mask a sequence."""
    standardize: bool = False
    """Features less their mean, divided by their deviation in the training clips; with temporal
    differences, these likewise."""
    temporal_differences: Literal["none", "beside", "only"] = "none"
    """Absolute differences to the frame before: beside the features, or in their place."""
    feature_dropout: Share = 0.0
    """Share of the input's channels dropped in training, for a clip as a whole."""
    l2: NonNegativeFloat = 0.0
    """Weight of the squared weights in the loss (softmax_regression)."""


@settings
class DataSettings:
    """How clips become batches."""

    num_frames: PositiveInt | None = None
    """Frames a clip: randomly chosen in training, evenly spaced in tests; 60 for cham, else 30."""
    batch_size: PositiveInt = 64
    """Clips a training step, in all its parts."""
    short_clips: Literal["repeat", "pad"] = "repeat"
    """What a clip shorter than num_frames gets: its last frame again, or padding."""
    mirror: bool = False
    """Whether half of the training clips, others in each epoch, are mirrored left to right."""


@settings
class OptimizerSettings:
    """Adam and its learning rate."""

    learning_rate: PositiveFloat = 1e-4
    """Learning rate at the start."""
    decay_iteration: PositiveInt | Literal["never"] = 10_000
    """The step from which on the learning rate is decayed, or never."""
    decay_epoch: PositiveInt | None = None
    """Decay it after so many epochs, in place of decay_iteration."""
    decay_factor: PositiveFloat = 0.1
    """What the learning rate is multiplied by then."""
    clip_norm: PositiveFloat | None = None
    """Limit of the gradients' common norm; not given: none."""
    weight_decay: NonNegativeFloat = 0.0
    """Decoupled weight decay (AdamW) of all weights but the biases; 0: plain Adam."""
    accumulation_steps: PositiveInt = 1
    """In how many parts a step is computed, which saves memory; must divide data.batch_size."""


@settings
class RunSettings:
    """Everything that decides what a run does."""

    seed: NonNegativeInt = 0
    """Seed of weights, order, frames and dropout."""
    iterations: PositiveInt = 20_000
    """Training steps; rounded up to whole epochs."""
    epochs: PositiveInt | None = None
    """Passes over the training clips, in place of iterations."""
    patience: PositiveInt | None = None
    """Stop after so many epochs whose `monitor` was no better; not given: never."""
    min_delta: NonNegativeFloat = 0.0
    """With patience: only an epoch that is better by more than this counts as better."""
    min_epochs: NonNegativeInt = 0
    """With patience: do not stop before so many epochs."""
    monitor: Literal["clip_accuracy", "loss"] = "clip_accuracy"
    """Which validation figure decides on the kept model and on stopping."""
    loss_over_time: Literal["sum", "mean"] = "sum"
    """Eq. 9 sums the loss over the steps of a clip."""
    label_smoothing: Share = 0.0
    """Share of a label that is spread over all classes evenly, inside the loss."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weights of the clips in the loss; balanced: each class weighs the same."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """What is computed in; weights are float32 always."""
    checkpoint_minutes: PositiveFloat = 10.0
    """Within long epochs, how often a checkpoint is written that a killed run goes on from."""
    model: ModelSettings = ModelSettings()
    """The model."""
    data: DataSettings = DataSettings()
    """The batches."""
    optimizer: OptimizerSettings = OptimizerSettings()
    """The optimizer."""

    @property
    def num_frames(self) -> int:
        """Frames a clip: as set, or the paper's number for the model."""
        paper = PAPER_FRAMES_OF_CHAM if self.model.name == "cham" else PAPER_FRAMES
        return self.data.num_frames or paper
