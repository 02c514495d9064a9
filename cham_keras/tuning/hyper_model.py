"""What keras-tuner varies: kernel sizes, channels and the rest of a run's settings."""

import dataclasses
from typing import Any

import keras
import keras_tuner

from cham_keras.runs import RunSettings, build_model
from cham_keras.runs.model_building import settings_of_model
from cham_keras.training import compile_model
from cham_keras.tuning.search_space import SearchSpace, Value, with_values

#: The models that have what is searched.
_WITH_KERNELS = ("cham", "conv_attention", "conv_alstm")

#: What makes a model large.
_SIZES = (
    "filters",
    "kernel_size",
    "input_kernel_size",
    "attention_filters",
    "attention_kernel_size",
)

#: Under this name Hyperband says how many epochs a trial has.
EPOCHS_OF_HYPERBAND = "tuner/epochs"


class CHAMHyperModel(keras_tuner.HyperModel):
    """A model of this package whose kernel sizes, channels and so on a tuner chooses.

    `tune` searches with it; it goes into any other tuner of keras-tuner as well.

    Args:
        base: all settings that are not searched.
        feature_shape: height, width and channels of a frame's features.
        num_classes: number of classes.
        space: the values that are tried.
        steps_per_epoch: of the fit; needed where `base` lets the learning rate fall after some
            epochs.

    Raises:
        ValueError: the model of `base` has no kernels to choose, or not a setting that is
            searched.

    Example:

    >>> from cham_keras.runs import ModelSettings, RunSettings
    >>> base = RunSettings(model=ModelSettings(head_units=8))
    >>> space = SearchSpace(filters=(4, 8))
    >>> hyper_model = CHAMHyperModel(base, (7, 7, 8), num_classes=3, space=space)
    >>> model = hyper_model.build(keras_tuner.HyperParameters())
    >>> model.get_layer("recurrence").cells[0].filters
    4
    """

    def __init__(
        self,
        base: RunSettings,
        feature_shape: tuple[int, int, int],
        num_classes: int,
        space: SearchSpace | None = None,
        steps_per_epoch: int | None = None,
    ):
        super().__init__(name=base.model.name)
        self.space = space or SearchSpace()
        if base.model.name not in _WITH_KERNELS:
            raise ValueError(
                f"`model.name` must be a model with kernels: {', '.join(_WITH_KERNELS)}. "
                f"Received: {base.model.name}."
            )
        known = settings_of_model(base.model)
        of_models = {field.name for field in dataclasses.fields(base.model)}
        for name in self.space.choices():
            if name in of_models and name not in known:
                raise ValueError(
                    f"`space.{name}` is no setting of the model {base.model.name}. "
                    "Leave it out, or choose another `model.name`."
                )
        self.base = base
        self.feature_shape = feature_shape
        self.num_classes = num_classes
        self.steps_per_epoch = steps_per_epoch

    def settings_of(self, hp: keras_tuner.HyperParameters) -> RunSettings:
        """The base settings with the values of one trial in their places."""
        chosen = {}
        for name, choices in self.space.choices().items():
            numbers = not isinstance(choices[0], str)
            chosen[name] = _nearest(hp.Choice(name, list(choices), ordered=numbers), choices)
        run_settings = with_values(self.base, chosen)
        if EPOCHS_OF_HYPERBAND in hp.values:
            return dataclasses.replace(run_settings, epochs=hp.values[EPOCHS_OF_HYPERBAND])
        return run_settings

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Names what is searched, without a model; the first one may be too large to build."""
        self.settings_of(hp)

    def check(self) -> None:
        """Builds the smallest model of the base settings; sizes alone decide nothing here.

        Raises:
            ValueError: settings do not go together.
        """
        sizes: dict[str, Any] = dict.fromkeys(_SIZES, 1)
        if self.base.model.head_units is not None:
            sizes["head_units"] = min(self.base.model.head_units, 1)
        known = settings_of_model(self.base.model)
        model = dataclasses.replace(
            self.base.model, **{name: size for name, size in sizes.items() if name in known}
        )
        smallest = build_model(model, self.feature_shape, self.num_classes)
        compile_model(smallest, self.base, self.steps_per_epoch)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles the model of one trial, from the same seed each time."""
        run_settings = self.settings_of(hp)
        keras.utils.set_random_seed(run_settings.seed)
        model = build_model(
            run_settings.model, self.feature_shape, self.num_classes, seed=run_settings.seed
        )
        compile_model(model, run_settings, self.steps_per_epoch)
        return model


def _nearest(value: Value, choices: tuple[Value, ...]) -> Value:
    # Between machines keras-tuner sends numbers in 32 bits, where 0.001 is another number.
    if isinstance(value, float):
        return min(choices, key=lambda choice: abs(choice - value))  # type: ignore[operator]
    return value
