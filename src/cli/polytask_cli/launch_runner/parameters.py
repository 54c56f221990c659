"""Parameter values: from the text of a launch file, and into the file that a node reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from polytask_cli.launch_runner.substitutions import NotUnderstood

ParameterValue = bool | int | float | str | list[Any]

NUMBERS: dict[str, tuple[type[int] | type[float], str]] = {"int": (int, "a whole number"), "float": (float, "a number")}
NOT_IN_YAML = re.compile("[\x7f-\x9f]")


def read_value(text: str, kind: str | None) -> ParameterValue:
    """The value that a text means, as launch_ros reads it.

    Args:
        text: with all substitutions done.
        kind: the parameter's `type`; without one, text is read as YAML.

    Raises:
        ValueError: it is not of that type.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} is not UTF-8") from None
    if kind == "str":
        return text
    if kind is not None and kind in NUMBERS:
        read, what = NUMBERS[kind]
        try:
            return read(text)
        except ValueError:
            raise ValueError(f"{text!r} is not {what}") from None
    if kind not in ("bool", None):
        raise NotUnderstood(f"`type` {kind!r} is not understood without launch_ros; str, int, float and bool are")
    if kind == "bool" and text in ("0", "1"):
        return text == "1"
    try:
        parsed = yaml.safe_load(text) if text else ""
    except yaml.YAMLError:
        raise ValueError(f"{text!r} is not YAML; `type: str` in the launch file makes it text") from None
    if kind == "bool" and not isinstance(parsed, bool):
        raise ValueError(f"{text!r} is neither true nor false")
    return parsed if isinstance(parsed, bool | int | float | str | list) else text


def write_parameters(path: Path, parameters: Mapping[str, ParameterValue]) -> None:
    """Write a parameter file for whichever node is given it.

    JSON is YAML in which all text stands in quotes: without them, rcl takes `1e3`, `y` and others for something else.
    """
    text = json.dumps({"/**": {"ros__parameters": parameters}}, ensure_ascii=False)
    path.write_text(NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text))
