"""Settings read from YAML into documented dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

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


def read_settings(kind: type[Any], data: Any, where: str) -> Any:
    """Build a dataclass, and those nested in it, from mappings: known names, numbers where numbers belong.

    Raises ConfigError, which names the place of what is wrong.
    """
    values, types = _checked(kind, data, where), get_type_hints(kind)
    for name, value in values.items():
        part: Any = next(filter(dataclasses.is_dataclass, (types[name], *get_args(types[name]))), None)
        if part is not None and value is not None and not isinstance(value, part):
            values[name] = read_settings(part, value, f"{where}: {name}")
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _checked(kind: type, data: Any, where: str) -> dict[str, Any]:
    """Return ``data`` as keyword arguments of the dataclass ``kind``: known names, numbers where numbers belong."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: must be a mapping, not {type(data).__name__}")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(map(str, set(data) - set(fields)))
    if unknown:
        raise ConfigError(f"{where}: unknown settings {printable(', '.join(unknown))}; known: {', '.join(fields)}")
    values: dict[str, Any] = {}
    for name, value in data.items():
        wanted = str(fields[name].type)
        if wanted in _MEANT and not _MEANT[wanted][0](value):
            raise ConfigError(f"{where}: {name} must be {_MEANT[wanted][1]}, not {value!r:.60}")
        values[name] = int(value) if wanted == "int" else float(value) if wanted == "float" else value
        if isinstance(value, list):
            values[name] = tuple(value)
    return values


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def _is_whole(value: Any) -> bool:
    return _is_number(value) and int(value) == value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(map(holds, value))


LARGEST = 1e12
"""Magnitude of any number in the settings."""


_MEANT: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (_is_whole, "a whole number"),
    "float": (_is_number, "a number (of 1e12 at most)"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "str": (_is_text, "text (in quotes)"),
    "tuple[int, ...]": (_list_of(lambda value: isinstance(value, int) and _is_whole(value)), "a list of whole numbers"),
    "tuple[str, ...]": (_list_of(_is_text), "a list of text (in quotes)"),
}
"""By the type of a field: what it takes, and how to say so."""
