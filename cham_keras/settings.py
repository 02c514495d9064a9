"""Settings: frozen dataclasses that are read from and written to TOML.

A settings class is declared with `@settings`; each field has a type, a default
and a line that says what it is. The command line makes one option of each
field. A value that breaks a rule, or a key that is not known, is an error that
says the name, the rule, the value and the known keys.
"""

import dataclasses
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import tomli_w
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass
from typing_extensions import dataclass_transform

from cham_keras.files import replacing_file

Settings = TypeVar("Settings")


@dataclass_transform(frozen_default=True)
def settings(cls: type[Settings]) -> type[Settings]:
    """Makes a class of settings: frozen, checked, without unknown keys."""
    config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    return dataclass(frozen=True, config=config)(cls)  # type: ignore[return-value]


def settings_from_dict(cls: type[Settings], values: dict[str, Any], source: str) -> Settings:
    """Builds settings of type `cls` from nested dictionaries.

    Args:
        cls: a class made with `@settings`.
        values: its values; what is left out keeps its default.
        source: where the values come from, for the error's text.

    Raises:
        ValueError: a key is unknown, or a value breaks its rule.
    """
    try:
        return TypeAdapter(cls).validate_python(values)
    except pydantic.ValidationError as error:
        raise ValueError(f"{source}: {_sentence(cls, error)}") from None


def settings_to_dict(value: Any) -> dict[str, Any]:
    """Settings as nested dictionaries of plain values, without those that are None.

    TOML has no None. A setting that may be None must have None as its default, so
    that it reads back as it was; a test holds this for all settings.
    """
    dumped = TypeAdapter(type(value)).dump_python(value, mode="json")
    return _without_none(dumped)


def flat_settings(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as pairs of a dotted name and a value.

    Example:

    >>> list(flat_settings({"epochs": 3, "model": {"filters": 4}}))
    [('epochs', 3), ('model.filters', 4)]
    """
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat_settings(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def read_settings(cls: type[Settings], path: Path) -> Settings:
    """Reads a TOML file as settings of type `cls`."""
    return settings_from_dict(cls, read_toml(path), source=str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file as nested dictionaries.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no TOML.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no settings file {path}.")
    try:
        return tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} must be TOML: {error}.") from error


def write_settings(path: Path, value: Any, comment: str = "") -> None:
    """Writes settings as TOML, whole or not at all, with a comment at the top."""
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    with replacing_file(path) as temporary:
        temporary.write_text(head + tomli_w.dumps(settings_to_dict(value)))


def validation_sentence(cls: type, error: pydantic.ValidationError, within: str = "") -> str:
    """Says what a validation error found, one sentence a finding.

    Args:
        cls: the class of settings.
        error: what was found.
        within: the name of the settings inside others, if they are.
    """
    return _sentence(cls, error, within)


def _sentence(cls: type, error: pydantic.ValidationError, within: str = "") -> str:
    sentences = []
    findings = error.errors()
    places = [finding["loc"] for finding in findings]
    for finding in findings:
        place = finding["loc"]
        if finding["type"] == "too_short" and any(
            len(other) > len(place) and other[: len(place)] == place for other in places
        ):
            continue  # it is short of the values that are refused
        # What stands at a number is told by the value.
        parts = [within, *(part for part in place if not isinstance(part, int))]
        name = ".".join(str(part) for part in parts if part)
        if finding["type"] == "unexpected_keyword_argument":
            known = ", ".join(_known_keys(cls, finding["loc"][:-1]))
            sentences.append(f"`{name}` is not a known setting. Known: {known}.")
        else:
            rule = finding["msg"].removeprefix("Value error, ")
            rule = rule.replace("Input should be", "must be")
            if finding["type"] == "too_short":
                rule = "must not be empty"
            sentences.append(f"`{name}` {rule}. Received: {finding['input']!r}.")
    return " ".join(sentences)


def _known_keys(cls: type, location: tuple[int | str, ...]) -> list[str]:
    for part in location:
        field_types = {field.name: field.type for field in dataclasses.fields(cls)}
        inner = field_types.get(str(part))
        if not (isinstance(inner, type) and dataclasses.is_dataclass(inner)):
            return []
        cls = inner
    return [field.name for field in dataclasses.fields(cls)]


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value
