"""YAML that comes from outside, read in one way: embodiment files, settings, suites, and what files carry of them.

Plain words are read as YAML 1.2's core schema does: ``true`` and ``false`` are all the truth values there are, ``0010``
is ten, ``1e5`` is a number. What YAML 1.1 takes for something else (``on``, ``no``, a date, ``1:30``, ``1_000``) stays
text. Tags are refused, and whatever is too long, too deep or too often repeated by aliases; nothing takes long.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from polytask_robot_io.text import printable

MAX_SIZE = 1_000_000
"""Characters of a text."""
MAX_DEPTH = 50
"""Levels of nesting."""
MAX_ENTRIES = 20_000
"""Values in a text, those repeated by aliases counted each time."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast
_NUMBERS: tuple[tuple[str, Callable[[str], Any]], ...] = (
    (r"[-+]?[0-9]{1,400}", int),
    (r"0o[0-7]{1,400}", lambda text: int(text, 8)),
    (r"0x[0-9a-fA-F]{1,400}", lambda text: int(text, 16)),
    (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", float),
    (r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", lambda text: float(text.replace(".", ""))),
)
_PLAIN: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"(~|null|Null|NULL|)\Z"), lambda text: None),
    (re.compile(r"(true|True|TRUE|false|False|FALSE)\Z"), lambda text: text.lower() == "true"),
    *((re.compile(rf"({pattern})\Z"), make) for pattern, make in _NUMBERS),
)


class BadYaml(ValueError):
    """A text that cannot be read as YAML; says which, where and why."""


def read_file(path: Path) -> Any:
    """What a YAML file says: nested dicts, lists, text, numbers, truth values and None. Raises BadYaml."""
    return read_yaml(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a file, UTF-8 and of bounded size. Raises BadYaml, also for what is no regular file."""
    try:
        if path.exists() and not path.is_file():
            raise BadYaml(f"{path}: cannot be read: it is no file")
        with path.open("rb") as file:
            data = file.read(4 * MAX_SIZE + 1)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadYaml(f"{path}: cannot be read: byte {error.start} is not UTF-8; save it as UTF-8 text") from error
    except OSError as error:
        raise BadYaml(f"{path}: cannot be read: {error.strerror or error}") from error


def read_yaml(text: str, source: str) -> Any:
    """What a YAML text says; ``source`` names it in errors. Raises BadYaml."""
    if len(text) > MAX_SIZE:
        raise BadYaml(f"{source}: {len(text)} characters or more, but at most {MAX_SIZE} are read")
    try:
        return _Reader(yaml.parse(text, Loader=_Loader), source).document()
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadYaml(f"{source}{line}: cannot be read as YAML: {printable(error.problem or str(error))}") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise BadYaml(f"{source}: cannot be read as YAML: {printable(str(error))}") from error


class _Reader:
    """Builds values from the parser's events, counting as it goes."""

    def __init__(self, events: Iterator[Any], source: str) -> None:
        self._events = events
        self._source = source
        self._depth = 0
        self._entries = 0
        self._anchors: dict[str, tuple[Any, int]] = {}

    def document(self) -> Any:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._value(next(self._events))
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(after, "a second document begins; one is read")
        return value

    def _value(self, event: Any) -> Any:
        before = self._entries
        self._count(event, 1)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                self._refuse(event, f"nothing before is called '&{event.anchor}'")
            value, entries = self._anchors[event.anchor]
            self._count(event, entries)
            return copy.deepcopy(value)
        if event.tag is not None:
            self._refuse(event, f"tag {event.tag} is not understood; leave it out")
        if isinstance(event, yaml.ScalarEvent):
            value = _plain(event.value) if event.implicit[0] else event.value
        else:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                self._refuse(event, f"more than {MAX_DEPTH} levels of nesting")
            value = self._mapping() if isinstance(event, yaml.MappingStartEvent) else self._list()
            self._depth -= 1
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._entries - before)
        return value

    def _list(self) -> list[Any]:
        values = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(event))
        return values

    def _mapping(self) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._value(event)
            if not isinstance(key, str):
                self._refuse(event, f"key {key!r:.60} is not a word; put it in quotes")
            if key in own:
                self._refuse(event, f"key '{printable(key, 60)}' is there twice")
            value = self._value(next(self._events))
            if key == "<<" and event.implicit[0]:
                for part in reversed(value if isinstance(value, list) else [value]):
                    if not isinstance(part, dict):
                        self._refuse(event, "'<<' takes the entries of another mapping, by an alias")
                    merged |= part
            else:
                own[key] = value
        return merged | own

    def _count(self, event: Any, entries: int) -> None:
        self._entries += entries
        if self._entries > MAX_ENTRIES:
            self._refuse(event, f"more than {MAX_ENTRIES} values, aliases counted each time")

    def _refuse(self, event: Any, why: str) -> NoReturn:
        raise BadYaml(f"{self._source}, line {event.start_mark.line + 1}: {printable(why)}")


def _plain(text: str) -> Any:
    for pattern, make in _PLAIN:
        if pattern.match(text):
            return make(text)
    return text


class _Dumper(yaml.SafeDumper):
    """Puts text in quotes that either YAML takes for something else."""


for _pattern, _ in _NUMBERS:
    _Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"({_pattern})\Z"), None)


def write_yaml(content: Any) -> str:
    """A text from which :func:`read_yaml`, and any reader of YAML 1.1, reads the same."""
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))
