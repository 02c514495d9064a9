"""From model settings to a model."""

import dataclasses
import inspect

import keras

from cham_keras import models
from cham_keras.runs.settings import ModelSettings

#: Settings that a builder calls by another name.
_OTHER_NAMES = {"fc_attention": {"filters": "units", "attention_filters": "attention_units"}}


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
    builder = getattr(models, model_settings.name)
    return builder(
        (None, *feature_shape),
        num_classes,
        lengths=True,
        seed=seed,
        **builder_arguments(model_settings),
    )


def builder_arguments(model_settings: ModelSettings) -> dict[str, object]:
    """The keyword arguments of the builder that settings stand for.

    Settings that are None keep the builder's own default.
    """
    name = model_settings.name
    known = inspect.signature(getattr(models, name)).parameters
    arguments = {}
    for field in dataclasses.fields(model_settings):
        value = getattr(model_settings, field.name)
        if field.name == "name" or value is None:
            continue
        argument = _OTHER_NAMES.get(name, {}).get(field.name, field.name)
        if argument in known:
            arguments[argument] = value
        elif value != field.default:
            raise ValueError(
                f"`model.{field.name}` is no setting of the model {name}. "
                f"Received: {value!r}. Leave it out, or choose another `model.name`."
            )
    return arguments
