"""The values that a search tries, and which of them go together.

Comes in: choices a setting. Goes out: settings of a run with some of them in their places, or a
sentence that says why they cannot be. `proposals` draws from them.
"""

import dataclasses
import math
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt

from cham_keras.runs.model_building import settings_of_model
from cham_keras.runs.settings import ModelSettings, OddInt, RunSettings, Share
from cham_keras.settings import settings

Value = int | float | str
Values = dict[str, Value]


def _all_different(values: tuple[Value, ...]) -> tuple[Value, ...]:
    if len(set(values)) < len(values):
        raise ValueError("must hold each value once")
    return values


Choice = TypeVar("Choice")
Choices = Annotated[tuple[Choice, ...], Field(min_length=1), AfterValidator(_all_different)]


@settings
class SearchSpace:
    """The values that are tried. One value alone fixes a setting; without any, a setting stays as
    the run's settings say.
    """

    kernel_size: Choices[OddInt] = (1, 3, 5)
    """Kernels from state to state."""
    input_kernel_size: Choices[OddInt] = (1, 3)
    """Kernels from input to state."""
    filters: Choices[PositiveInt] = (64, 128, 256, 512)
    """Channels of the states."""
    attention_kernel_size: Choices[OddInt] | None = None
    """Kernels of the attention's projections."""
    attention_filters: Choices[PositiveInt] | None = None
    """Channels inside the attention."""
    attention_scale: Choices[PositiveFloat] | None = None
    """What an attention map sums to."""
    candidate_activation: Choices[Literal["sigmoid", "tanh"]] | None = None
    """Of Eq. 4."""
    skip: Choices[PositiveInt] | None = None
    """The second layer updates every so many steps (cham)."""
    head_units: Choices[NonNegativeInt] | None = None
    """Sizes of the dense layer, 0 for none."""
    dropout: Choices[Share] | None = None
    """Dropout before the softmax."""
    num_frames: Choices[PositiveInt] | None = None
    """Frames a clip."""
    batch_size: Choices[PositiveInt] | None = None
    """Clips a training step."""
    learning_rate: Choices[PositiveFloat] | None = None
    """Learning rates at the start."""

    def choices(self) -> dict[str, tuple[Value, ...]]:
        """The values of each setting that is searched.

        Example:

        >>> SearchSpace(kernel_size=(3,), filters=(8, 16)).choices()
        {'kernel_size': (3,), 'input_kernel_size': (1, 3), 'filters': (8, 16)}
        """
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: choices for name, choices in values.items() if choices is not None}

    def num_combinations(self) -> int:
        """Number of combinations of the values, those that do not go together among them.

        Example:

        >>> SearchSpace().num_combinations()
        24
        """
        return math.prod(len(choices) for choices in self.choices().values())

    def combination(self, number: int) -> Values:
        """The combination of that number, from 0.

        Example:

        >>> SearchSpace().combination(23)
        {'kernel_size': 5, 'input_kernel_size': 3, 'filters': 512}
        """
        values = {}
        for name, choices in reversed(self.choices().items()):
            number, position = divmod(number, len(choices))
            values[name] = choices[position]
        return {name: values[name] for name in self.choices()}


#: What is tried of a setting where the whole space is wanted and no values are given.
WIDE = SearchSpace(
    attention_kernel_size=(1, 3),
    attention_filters=(64, 128, 256, 512),
    attention_scale=(1.0, 7.0, 49.0),
    candidate_activation=("sigmoid", "tanh"),
    skip=(1, 2, 3, 4),
    head_units=(0, 128, 512),
    dropout=(0.0, 0.3, 0.5, 0.7),
    num_frames=(8, 16, 30, 60),
    batch_size=(8, 16, 32, 64),
    learning_rate=(1e-4, 3e-4, 1e-3, 3e-3),
)

#: Where a setting stands that is not the model's.
_PLACES = {"num_frames": "data", "batch_size": "data", "learning_rate": "optimizer"}


def wide_space(space: SearchSpace, model: str) -> SearchSpace:
    """The space with values for every setting that the model has and the space leaves out.

    Example:

    >>> wide_space(SearchSpace(dropout=(0.5,)), "conv_attention").choices()["dropout"]
    (0.5,)
    >>> "skip" in wide_space(SearchSpace(), "conv_attention").choices()
    False
    """
    known = settings_of_model(ModelSettings(name=model))  # type: ignore[arg-type]
    added: dict[str, Any] = {
        name: choices
        for name, choices in WIDE.choices().items()
        if getattr(space, name) is None and (name in _PLACES or name in known)
    }
    return dataclasses.replace(space, **added)


def with_values(base: RunSettings, values: Values) -> RunSettings:
    """Settings with some values in their places.

    Example:

    >>> with_values(RunSettings(), {"filters": 8, "learning_rate": 0.01}).optimizer.learning_rate
    0.01
    """
    parts: dict[str, Values] = {}
    for name, value in values.items():
        parts.setdefault(_PLACES.get(name, "model"), {})[name] = value
    changed = {
        part: dataclasses.replace(getattr(base, part), **of_part) for part, of_part in parts.items()
    }
    return dataclasses.replace(base, **changed)


def values_in(base: RunSettings, space: SearchSpace) -> Values | None:
    """What settings say of all that is searched; None where that is not among the choices.

    Example:

    >>> values_in(RunSettings(), SearchSpace())
    {'kernel_size': 3, 'input_kernel_size': 3, 'filters': 512}
    """
    values: dict[str, Any] = {}
    for name, choices in space.choices().items():
        value = getattr(getattr(base, _PLACES.get(name, "model")), name)
        if value is None:  # these follow another setting
            value = {
                "input_kernel_size": base.model.kernel_size,
                "attention_filters": base.model.filters,
                "num_frames": base.num_frames,
            }.get(name)
        if value not in choices:
            return None
        values[name] = value
    return values


def why_invalid(run: RunSettings, feature_shape: tuple[int, int, int]) -> str:
    """Why values do not go together, in a few words; empty where they do.

    Example:

    >>> from cham_keras.runs import DataSettings
    >>> why_invalid(RunSettings(data=DataSettings(num_frames=2)), (7, 7, 8))
    'skip 2 is not below num_frames 2'
    """
    model, longest = run.model, max(feature_shape[:2])
    if model.name == "cham" and model.skip >= run.num_frames:
        return f"skip {model.skip} is not below num_frames {run.num_frames}"
    kernels = (model.kernel_size, model.input_kernel_size or 1, model.attention_kernel_size)
    if max(kernels) > 2 * longest - 1:
        return f"a kernel of {max(kernels)} has taps that never meet a map of {longest}"
    if run.data.batch_size % run.optimizer.accumulation_steps:
        return (
            f"batch_size {run.data.batch_size} is not a multiple of accumulation_steps "
            f"{run.optimizer.accumulation_steps}"
        )
    return ""
