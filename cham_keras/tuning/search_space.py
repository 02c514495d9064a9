"""The values that a search tries."""

from typing import Annotated

from pydantic import Field, PositiveInt

from cham_keras.runs.settings import OddInt
from cham_keras.settings import settings

Choices = Field(min_length=1)


@settings
class SearchSpace:
    """The values that are tried. One value alone fixes a setting."""

    kernel_size: Annotated[tuple[OddInt, ...], Choices] = (1, 3, 5)
    """Kernels from state to state."""
    input_kernel_size: Annotated[tuple[OddInt, ...], Choices] = (1, 3)
    """Kernels from input to state."""
    filters: Annotated[tuple[PositiveInt, ...], Choices] = (64, 128, 256, 512)
    """Channels of the states."""
    attention_filters: Annotated[tuple[PositiveInt, ...], Choices] | None = None
    """Channels inside the attention; not given: like the states."""
