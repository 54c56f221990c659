"""Settings read from YAML into documented dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from polytask_robot_io.config_files import NoConfiguration, config_file
from polytask_robot_io.text import printable
from polytask_robot_io.yaml_text import BadYaml, read_file


class ConfigError(ValueError):
    """A settings file does not fit; says where, what, and what is known."""


def named_file(kind: str, name: str) -> Path:
    """The file ``config/<kind>/<name>.yaml``. Raises ConfigError where there is none."""
    try:
        return config_file(kind, name)
    except NoConfiguration as error:
        raise ConfigError(str(error)) from error


def read_yaml(path: Path | str, overrides: Mapping[str, Any]) -> Any:
    """What a YAML file says; of a mapping, ``overrides`` replace entries. Raises ConfigError."""
    try:
        data = read_file(Path(path)) or {}
    except BadYaml as error:
        raise ConfigError(str(error)) from error
    return {**data, **overrides} if isinstance(data, Mapping) else data


if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings", bound="DataclassInstance")

LARGEST = 1e12
"""Magnitude of any number in the settings."""


def read_settings(kind: type[Settings], data: Any, where: str) -> Settings:
    """Build a dataclass, and those nested in it, from mappings: known names, values of the types of its fields.

    Raises ConfigError, which names the place of what is wrong.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: must be a mapping, not {type(data).__name__}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(map(str, set(data) - set(fields)))
    if unknown:
        raise ConfigError(f"{where}: unknown settings {printable(', '.join(unknown))}; known: {', '.join(fields)}")
    absent = [name for name, field in fields.items() if name not in data and _is_required(field)]
    if absent:
        raise ConfigError(f"{where}: {', '.join(absent)} must be given")
    types = get_type_hints(kind)
    values = {name: _read(types[name], value, where, name) for name, value in data.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _read(kind: Any, value: Any, where: str, name: str) -> Any:
    """The value of a field of the type ``kind``."""
    part: Any = next(filter(dataclasses.is_dataclass, (kind, *get_args(kind))), None)
    if part is not None and not isinstance(value, kind):
        return read_settings(part, value, f"{where}: {name}")
    number = int(value) if kind is int and isinstance(value, float) and value.is_integer() else value  # 1e5 is written
    if wanted := _misfit(kind, number):
        raise ConfigError(f"{where}: {name} must be {wanted}, not {value!r:.60}")
    if kind is float:
        return float(number)
    return tuple(number) if isinstance(number, list) else number


def _misfit(kind: Any, value: object) -> str:
    """What ``value`` must be to be of the type ``kind``; empty where it is."""
    origin, args = get_origin(kind), get_args(kind)
    if kind in _MEANT:
        fits, meant = _MEANT[kind]
        return "" if fits(value) else meant
    if origin in (Union, UnionType):
        misfits = [_misfit(option, value) for option in args]
        return " or ".join(misfits) if all(misfits) else ""
    if origin is Literal:
        return "" if value in args else f"one of {', '.join(map(str, args))}"
    if origin in (tuple, Sequence):
        if not isinstance(value, list | tuple):
            return "a list"
        return next((f"a list, each entry {wanted}" for entry in value if (wanted := _misfit(args[0], entry))), "")
    if origin is Mapping:
        if not isinstance(value, Mapping):
            return "a mapping"
        found = ((key, _misfit(args[1], entry)) for key, entry in value.items())
        return next((f"a mapping, its entry {key} {wanted}" for key, wanted in found if wanted), "")
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


_MEANT: dict[Any, tuple[Callable[[object], bool], str]] = {
    int: (lambda value: isinstance(value, int) and _is_number(value), "a whole number"),
    float: (_is_number, "a number (of 1e12 at most)"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    str: (lambda value: isinstance(value, str), "text (in quotes)"),
    NoneType: (lambda value: value is None, "null"),
}
"""By type: what it takes, and how to say so."""
