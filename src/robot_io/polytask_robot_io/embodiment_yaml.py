"""Strict reading and writing of embodiment files. Whatever is not understood is refused, with file, key and remedy."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from polytask_robot_io.embodiment_parts import Camera, CommandValue, Quantity, StateField
from polytask_robot_io.errors import BadEmbodiment
from polytask_robot_io.text import printable, repeated
from polytask_robot_io.yaml_text import BadYaml, read_yaml, write_yaml

QUANTITIES = ("position", "velocity", "effort")
ENCODINGS = ("rgb8", "bgr8")


NAME_LENGTH = 100
"""Characters of a name, a topic, a unit or a frame."""
DESCRIPTION_LENGTH = 2000
"""Characters of the description."""
RATES = (0.01, 10_000.0)
"""Hz."""
AGES = (1e-4, 3600.0)
"""Seconds."""
SCALES = (1e-9, 1e9)
"""What a command of 1 means, in any unit."""
CHANGES = (1e-6, 1e6)
"""Of a normalised value, per second."""
MAX_PIXELS = 16_384
"""Of a picture's width or height."""
_TOPIC = re.compile(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)


class _Section:
    """One mapping of the file. Every key must be taken, so that a misspelt one is noticed."""

    def __init__(self, where: str, content: object) -> None:
        if not isinstance(content, Mapping):
            raise BadEmbodiment(f"{where}: expected 'key: value' entries, found {_kind(content)}")
        self.where = where
        self._left = dict(content)

    def _take(self, key: str) -> Any:
        if key not in self._left:
            raise BadEmbodiment(f"{self.where}: key '{key}' is missing; add it")
        return self._left.pop(key)

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def text(self, key: str, among: Sequence[str] = (), length: int = NAME_LENGTH) -> str:
        value = self._take(key)
        if not isinstance(value, str) or not value.strip():
            raise BadEmbodiment(f"{self.where}.{key}: expected text, found {_kind(value)}; put it in quotes")
        if len(value) > length:
            raise BadEmbodiment(f"{self.where}.{key}: {len(value)} characters, but at most {length} are allowed")
        if length == NAME_LENGTH and not value.isprintable():
            raise BadEmbodiment(f"{self.where}.{key}: '{printable(value)}' holds characters that do not print")
        if among and value not in among:
            raise BadEmbodiment(f"{self.where}.{key}: '{value}' is not one of {', '.join(among)}")
        return value

    def topic(self, key: str) -> str:
        value = self.text(key)
        if not _TOPIC.fullmatch(value):
            raise BadEmbodiment(
                f"{self.where}.{key}: '{value}' is no topic's name; letters, digits and '_' make its words, '/' parts "
                "them, and none begins with a digit"
            )
        return value

    def number(self, key: str, least: float, most: float) -> float:
        value = _number(f"{self.where}.{key}", self._take(key))
        if not least <= value <= most:
            limit = "greater than 0" if value <= 0 < least else f"within [{least}, {most}]"
            raise BadEmbodiment(f"{self.where}.{key}: {value} must be {limit}")
        return value

    def range(self, key: str) -> tuple[float, float]:
        value = self._take(key)
        if not isinstance(value, list) or len(value) != 2:
            raise BadEmbodiment(f"{self.where}.{key}: expected '[least, greatest]', found {_kind(value)}")
        low, high = (_number(f"{self.where}.{key}", bound) for bound in value)
        if low >= high:
            raise BadEmbodiment(f"{self.where}.{key}: least {low} must be less than greatest {high}")
        return low, high

    def pixels(self, key: str) -> int:
        value = self.number(key, 1, MAX_PIXELS)
        if not value.is_integer():
            raise BadEmbodiment(f"{self.where}.{key}: {value} must be a whole number of pixels")
        return int(value)

    def items(self, key: str, read: Callable[[_Section], Any], allow_empty: bool = False) -> tuple:
        value = self._take(key)
        if not isinstance(value, list) or (not value and not allow_empty):
            raise BadEmbodiment(f"{self.where}.{key}: expected a list of entries ('- …'), found {_kind(value)}")
        entries = tuple(_read(f"{self.where}.{key}[{index}]", item, read) for index, item in enumerate(value))
        if twice := repeated(entry.name for entry in entries):
            raise BadEmbodiment(f"{self.where}.{key}: name '{twice}' is there twice; names must be unique")
        return entries

    def section(self, key: str) -> _Section:
        return _Section(f"{self.where}.{key}", self._take(key))

    def done(self) -> None:
        if self._left:
            unknown = printable(", ".join(sorted(self._left)))
            raise BadEmbodiment(f"{self.where}: unknown key(s) {unknown}; correct the spelling or remove")


def _kind(value: object) -> str:
    return "nothing" if value is None or value == [] or value == "" else f"{type(value).__name__} {value!r:.60}"


def _number(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadEmbodiment(f"{where}: expected a number, found {_kind(value)}")
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        number = math.inf
    if not math.isfinite(number):
        raise BadEmbodiment(f"{where}: {number} is not a finite number")
    return number


def _read(where: str, content: object, read: Callable[[_Section], Any]) -> Any:
    section = _Section(where, content)
    result = read(section)
    section.done()
    return result


def parse(text: str, source: str) -> tuple:
    """The values of an Embodiment's fields, in their order; see :meth:`Embodiment.from_yaml`."""
    try:
        content = read_yaml(text, source)
    except BadYaml as error:
        raise BadEmbodiment(str(error)) from error
    return _read(source, content, _embodiment)


def _embodiment(section: _Section) -> tuple:
    description = section.text("description", length=DESCRIPTION_LENGTH)
    name, rate = section.text("name"), section.number("rate", *RATES)
    max_age = section.number("max_age", *AGES)
    state = section.items("state", _state_field)
    cameras = section.items("cameras", _camera, allow_empty=True)
    command = section.section("command")
    topic, frame = command.topic("topic"), command.text("frame")
    values = command.items("values", _command_value)
    command.done()
    _check_sources(section.where, state)
    return name, description, rate, max_age, state, cameras, topic, frame, values


def _state_field(section: _Section) -> StateField:
    name, topic = section.text("name"), section.topic("topic")
    quantity: Quantity = "value"
    if "joint" in section or "quantity" in section:
        entry = section.text("joint")
        quantity = section.text("quantity", among=QUANTITIES)  # type: ignore[assignment]
    else:
        entry = section.text("entry") if "entry" in section else name
    plausible = section.range("range") if "range" in section else None
    return StateField(name, topic, entry, quantity, section.text("unit"), section.text("frame"), plausible)


def _check_sources(where: str, state: tuple[StateField, ...]) -> None:
    """One topic has one message type, and no value of it may stand in the state twice."""
    seen: dict[tuple[str, str, str], str] = {}
    kinds: dict[str, tuple[bool, str]] = {}
    for field in state:
        key = (field.topic, field.entry, field.quantity)
        if key in seen:
            raise BadEmbodiment(f"{where}.state: '{seen[key]}' and '{field.name}' are the same entry of {field.topic}")
        seen[key] = field.name
        joint = field.quantity != "value"
        if kinds.setdefault(field.topic, (joint, field.name))[0] != joint:
            raise BadEmbodiment(
                f"{where}.state: topic '{field.topic}' is a StateVector for one of '{kinds[field.topic][1]}' and "
                f"'{field.name}' and a JointState for the other; give 'joint' and 'quantity' to both or to none"
            )


def _camera(section: _Section) -> Camera:
    return Camera(
        name=section.text("name"),
        topic=section.topic("topic"),
        info_topic=section.topic("info_topic"),
        frame=section.text("frame"),
        encoding=section.text("encoding", among=ENCODINGS),
        width=section.pixels("width"),
        height=section.pixels("height"),
    )


def _command_value(section: _Section) -> CommandValue:
    value = CommandValue(
        name=section.text("name"),
        unit=section.text("unit"),
        frame=section.text("frame"),
        scale=section.number("scale", *SCALES),
        minimum=section.number("minimum", -1, 1),
        maximum=section.number("maximum", -1, 1),
        max_change=section.number("max_change", *CHANGES) if "max_change" in section else None,
    )
    if value.minimum >= value.maximum:
        raise BadEmbodiment(f"{section.where}: minimum {value.minimum} must be less than maximum {value.maximum}")
    return value


def dump(
    name: str,
    description: str,
    rate: float,
    max_age: float,
    state: Sequence[StateField],
    cameras: Sequence[Camera],
    command_topic: str,
    command_frame: str,
    command: Sequence[CommandValue],
) -> str:
    """See :meth:`Embodiment.to_yaml`; takes its fields."""
    fields = []
    for field in state:
        source = (
            ({} if field.entry == field.name else {"entry": field.entry})
            if field.quantity == "value"
            else {"joint": field.entry, "quantity": field.quantity}
        )
        entry = {"name": field.name, "topic": field.topic, **source, "unit": field.unit, "frame": field.frame}
        fields.append(entry if field.range is None else entry | {"range": list(field.range)})
    values = [{key: value for key, value in vars(entry).items() if value is not None} for entry in command]
    return write_yaml(
        {
            "name": name,
            "description": description,
            "rate": rate,
            "max_age": max_age,
            "state": fields,
            "cameras": [dict(vars(camera)) for camera in cameras],
            "command": {"topic": command_topic, "frame": command_frame, "values": values},
        }
    )
