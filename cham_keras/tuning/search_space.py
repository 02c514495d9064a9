"""The values that a search tries."""

import dataclasses
import itertools
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveInt

from cham_keras.runs.settings import OddInt
from cham_keras.settings import settings


def _all_different(values: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(values)) < len(values):
        raise ValueError("must hold each value once")
    return values


_EachOnce = AfterValidator(_all_different)
OddChoices = Annotated[tuple[OddInt, ...], Field(min_length=1), _EachOnce]
PositiveChoices = Annotated[tuple[PositiveInt, ...], Field(min_length=1), _EachOnce]


@settings
class SearchSpace:
    """The values that are tried. One value alone fixes a setting."""

    kernel_size: OddChoices = (1, 3, 5)
    """Kernels from state to state."""
    input_kernel_size: OddChoices = (1, 3)
    """Kernels from input to state."""
    filters: PositiveChoices = (64, 128, 256, 512)
    """Channels of the states."""
    attention_filters: PositiveChoices | None = None
    """Channels inside the attention; not given: what the model's settings say."""

    def choices(self) -> dict[str, tuple[int, ...]]:
        """The values of each setting that is searched.

        Example:

        >>> SearchSpace(kernel_size=(3,), filters=(8, 16)).choices()
        {'kernel_size': (3,), 'input_kernel_size': (1, 3), 'filters': (8, 16)}
        """
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: choices for name, choices in values.items() if choices is not None}

    def combinations(self) -> list[dict[str, int]]:
        """Every combination of the values, each once.

        Example:

        >>> len(SearchSpace().combinations())
        24
        """
        choices = self.choices()
        return [
            dict(zip(choices, values, strict=True))
            for values in itertools.product(*choices.values())
        ]
