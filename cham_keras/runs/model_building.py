"""From model settings to a model."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping

import keras

from cham_keras import models
from cham_keras.runs.settings import ModelSettings

_UNITS = {"filters": "units", "attention_filters": "attention_units"}

#: Settings that a builder calls by another name.
_OTHER_NAMES = {"fc_attention": _UNITS, "average_pooled_lstm": _UNITS}


def build_model(
    model_settings: ModelSettings,
    feature_shape: tuple[int, int, int],
    num_classes: int,
    seed: int | None = None,
) -> keras.Model:
    """Builds the model that settings describe, with features and lengths as inputs.

    Args:
        model_settings: which model, and its sizes.
        feature_shape: height, width and channels of a frame's features.
        num_classes: number of classes.
        seed: seed of the dropouts; weights follow `keras.utils.set_random_seed`.

    Returns:
        a functional model for clips of any length.

    Raises:
        ValueError: a setting is away from its default that the model does not have.

    Example:

    >>> model = build_model(ModelSettings(filters=4), (7, 7, 8), num_classes=3)
    >>> sorted(model.input)
    ['features', 'lengths']
    """
    return _builder(model_settings)(
        (None, *feature_shape),
        num_classes,
        lengths=True,
        seed=seed,
        **builder_arguments(model_settings),
    )


def builder_arguments(model_settings: ModelSettings) -> dict[str, object]:
    """The keyword arguments of the builder that settings stand for.

    Settings that are None keep the builder's own default.

    Raises:
        ValueError: a setting is away from its default that the model does not have.
    """
    name = model_settings.name
    known = _parameters(model_settings)
    arguments = {}
    for field in dataclasses.fields(model_settings):
        value = getattr(model_settings, field.name)
        if field.name == "name" or value is None:
            continue
        argument = _argument(name, field.name)
        if argument in known:
            arguments[argument] = value
        elif value != field.default:
            raise ValueError(
                f"`model.{field.name}` is no setting of the model {name}. "
                f"Received: {value!r}. Leave it out, or choose another `model.name`."
            )
    return arguments


def resolved_model_settings(model_settings: ModelSettings) -> ModelSettings:
    """Fills in what is not given with the model's own defaults.

    Args:
        model_settings: which model, and its sizes.

    Returns:
        settings that build the same model. What the model does not have stays as it
        is, and so does what follows another setting, like `input_kernel_size`.

    Raises:
        ValueError: a setting is away from its default that the model does not have.

    Example:

    >>> resolved = resolved_model_settings(ModelSettings(name="conv_alstm"))
    >>> resolved.head_units, resolved.dropout, resolved.initial_state
    (1024, 0.7, 'mean_conv')
    """
    builder_arguments(model_settings)  # refuses what the model does not have
    known = _parameters(model_settings)
    filled = {}
    for field in dataclasses.fields(model_settings):
        argument = _argument(model_settings.name, field.name)
        if getattr(model_settings, field.name) is None and argument in known:
            filled[field.name] = known[argument].default
    return dataclasses.replace(model_settings, **filled)


def settings_of_model(model_settings: ModelSettings) -> frozenset[str]:
    """Names of the settings that a model has, without `name`.

    Example:

    >>> "skip" in settings_of_model(ModelSettings(name="conv_attention"))
    False
    """
    known = _parameters(model_settings)
    names = (field.name for field in dataclasses.fields(model_settings))
    return frozenset(name for name in names if _argument(model_settings.name, name) in known) - {
        "name"
    }


def _builder(model_settings: ModelSettings) -> Callable[..., keras.Model]:
    return getattr(models, model_settings.name)


def _parameters(model_settings: ModelSettings) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(_builder(model_settings)).parameters


def _argument(model_name: str, setting: str) -> str:
    """What the model's builder calls a setting."""
    return _OTHER_NAMES.get(model_name, {}).get(setting, setting)
