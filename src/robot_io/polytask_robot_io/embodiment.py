"""What one robot's observation and command are, declared once in a file of ``config/embodiments``.

The same file serves live topics, recordings and checkpoints: a recording and a checkpoint carry it inside, and
:meth:`Embodiment.differences` says why a policy does not fit a robot.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from polytask_robot_io.config_files import NoConfiguration, config_files
from polytask_robot_io.embodiment_parts import Camera, CommandValue, StateField
from polytask_robot_io.embodiment_yaml import dump, parse
from polytask_robot_io.errors import BadEmbodiment
from polytask_robot_io.yaml_text import BadYaml, read_text


@dataclass(frozen=True)
class Embodiment:
    """A robot's observation and command. Made by :meth:`load` or :meth:`from_yaml`, which check everything."""

    name: str
    description: str
    rate: float
    """Control rate in Hz."""
    max_age: float
    """Seconds after which an observation or a command is too old to act upon."""
    state: tuple[StateField, ...]
    cameras: tuple[Camera, ...]
    command_topic: str
    command_frame: str
    """Frame in which the command's Cartesian values are given (its header's frame_id)."""
    command: tuple[CommandValue, ...]

    @cached_property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state vector's entries, in order."""
        return tuple(field.name for field in self.state)

    @cached_property
    def command_names(self) -> tuple[str, ...]:
        """Names of the command's values, in order."""
        return tuple(value.name for value in self.command)

    @property
    def period_ns(self) -> int:
        """Control period in nanoseconds."""
        return round(1e9 / self.rate)

    @property
    def max_age_ns(self) -> int:
        """:attr:`max_age` in nanoseconds."""
        return round(1e9 * self.max_age)

    @classmethod
    def load(cls, name_or_path: str | Path) -> Embodiment:
        """Read an embodiment by path, or by name, see :func:`polytask_robot_io.config_files.config_files`.

        Raises:
            BadEmbodiment: no such file, or its contents are wrong; the message says what to do.
        """
        path = find_file(name_or_path)
        try:
            text = read_text(path)
        except BadYaml as error:
            raise BadEmbodiment(str(error)) from error
        return cls.from_yaml(text, source=str(path))

    @classmethod
    def from_yaml(cls, text: str, source: str = "embodiment") -> Embodiment:
        """Parse the text of an embodiment file; ``source`` names it in errors.

        Raises:
            BadEmbodiment: unknown or missing keys, wrong types, non-finite numbers or duplicates.
        """
        return cls(*parse(text, source))

    def to_yaml(self) -> str:
        """The text from which :meth:`from_yaml` makes an equal object."""
        return dump(*(getattr(self, field.name) for field in fields(self)))

    def differences(self, other: Embodiment) -> list[str]:
        """Why a policy made for ``self`` does not fit ``other``; empty when it does.

        Names, topics, descriptions and ranges may differ; order, units, frames, sizes, scales, limits and the rate may
        not.
        """
        found = []
        if self.rate != other.rate:
            found.append(f"rate: {self.rate} Hz against {other.rate} Hz")
        found += _compare("state", self.state, other.state, ("name", "unit", "frame"))
        found += _compare("camera", self.cameras, other.cameras, ("name", "width", "height"))
        if self.command_frame != other.command_frame:
            found.append(f"command frame: {self.command_frame} against {other.command_frame}")
        found += _compare("command", self.command, other.command, tuple(field.name for field in fields(CommandValue)))
        return found


def _compare(what: str, mine: tuple, others: tuple, keys: tuple[str, ...]) -> list[str]:
    """Differences of two lists of declarations, entry by entry."""
    if len(mine) != len(others):
        extra = sorted({entry.name for entry in mine} ^ {entry.name for entry in others})
        named = f" (only in one of them: {', '.join(extra[:8])}{', …' if len(extra) > 8 else ''})" if extra else ""
        return [f"{what}: {len(mine)} entries against {len(others)}{named}"]
    return [
        f"{what} {index} ({one.name}): {key} {getattr(one, key)} against {getattr(two, key)}"
        for index, (one, two) in enumerate(zip(mine, others, strict=True))
        for key in keys
        if getattr(one, key) != getattr(two, key)
    ]


def find_file(name_or_path: str | Path) -> Path:
    """Path of an embodiment file given by path or by name.

    Raises:
        BadEmbodiment: nothing there; the message lists the names that are.
    """
    given = Path(name_or_path)
    if given.suffix in (".yaml", ".yml") or given.is_absolute() or len(given.parts) > 1:
        if given.is_file():
            return given
        raise BadEmbodiment(f"{given}: no such embodiment file")
    try:
        known = config_files("embodiments")
    except NoConfiguration as error:
        raise BadEmbodiment(str(error)) from error
    if str(given) not in known:
        raise BadEmbodiment(f"no embodiment named '{given}'; there are: {', '.join(known) or 'none'}")
    return known[str(given)]
