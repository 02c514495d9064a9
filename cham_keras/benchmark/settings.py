"""What a benchmark measures, and at which sizes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt

from cham_keras.runs.settings import OddInt
from cham_keras.settings import settings

SystemName = Literal[
    "hoisted",
    "step",
    "auto",
    "plain_rnn",
    "conv_lstm_2d",
    "cham",
    "torch_eager",
    "torch_compiled",
]


def _all_different(values: tuple) -> tuple:
    if len(set(values)) < len(values):
        raise ValueError("must hold each value once")
    return values


_EachOnce = AfterValidator(_all_different)
Systems = Annotated[tuple[SystemName, ...], Field(min_length=1), _EachOnce]
Sizes = Annotated[tuple[PositiveInt, ...], _EachOnce]


@settings
class BenchmarkSettings:
    """Sizes, systems and how often. Each round runs every system once, in turn."""

    systems: Systems = (
        "hoisted",
        "step",
        "auto",
        "plain_rnn",
        "conv_lstm_2d",
        "torch_eager",
        "torch_compiled",
    )
    """What is measured; the first is what the others are compared with."""
    repeats: PositiveInt = 7
    """Rounds that are counted."""
    batch: PositiveInt = 8
    """Clips at once."""
    steps: PositiveInt = 16
    """Frames a clip."""
    height: PositiveInt = 7
    """Rows of a feature map."""
    width: PositiveInt = 7
    """Columns of a feature map."""
    channels: PositiveInt = 2048
    """Channels of the features."""
    filters: PositiveInt = 128
    """Channels of the states and inside the attention."""
    kernel_size: OddInt = 3
    """Kernel from input to state and from state to state."""
    dtype: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Keras's dtype policy; weights are float32 under each."""
    jit: bool = False
    """Compile with XLA under TensorFlow; JAX always does."""
    memory_budget_bytes: PositiveInt | None = None
    """What SpatialRNN may take for hoisted results; its own default if not given."""
    streaming: bool = True
    """Measure one frame at a time against the whole clip, at batch 1."""
    memory: bool = False
    """Measure the peak memory of each system, each in a process of its own."""
    sweep_batches: Sizes = ()
    """Train steps with these numbers of clips too."""
    sweep_steps: Sizes = ()
    """Train steps with these numbers of frames too."""
    sweep_systems: Systems = ("hoisted", "conv_lstm_2d")
    """The systems of the sweeps."""
    matrix_size: PositiveInt | None = None
    """Rows n of the n x n/2 by n/2 x n product; 4096 if not given, 16384 on an accelerator."""
    seed: NonNegativeInt = 0
    """Seed of features and weights."""
