"""From one message of a state topic to entries of the state vector: the part of the assembler that runs every step.

A value outside the range that the embodiment file declares is refused, and so is one that is not finite or beyond
``float32``, in which the state is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from polytask_robot_io.embodiment_parts import StateField
from polytask_robot_io.errors import BadMessage
from polytask_robot_io.text import printable, repeated

FLOAT32 = float(np.finfo(np.float32).max)
"""Greatest value of a ``float32``."""


class StateVectorSource:
    """Reads the entries that one ``StateVector`` topic gives.

    Where an entry stands in the message is looked up once and kept until the message's names change.
    """

    def __init__(self, topic: str, fields: Sequence[tuple[int, StateField]]) -> None:
        """``fields``: (position in the state vector, field) of the entries this topic gives."""
        self._topic = topic
        self._wanted = [field.entry for _, field in fields]
        self._places = np.array([place for place, _ in fields])
        self._ranges = _Ranges(topic, fields)
        self._names: object = None
        self._order: np.ndarray | None = None

    def read(self, message: Any) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the state vector ``int (k,)`` and their values ``float32 (k,)``.

        Raises:
            BadMessage: a name is missing or there twice, the lengths differ, or a value is not finite or out of range.
        """
        names, values = message.names, np.asarray(message.values, dtype=np.float64)
        if len(values) != len(names):
            raise BadMessage(f"{self._topic}: {len(names)} names but {len(values)} values")
        if names != self._names:
            self._order = self._find(list(names))
            self._names = list(names)
        if self._order is not None:
            values = values[self._order]
        return self._places, self._ranges.checked(values)

    def _find(self, names: list[str]) -> np.ndarray | None:
        """Where the wanted entries stand; ``None`` when the message holds just them, in order."""
        if names == self._wanted:
            return None
        index = {name: place for place, name in enumerate(names)}
        if len(index) != len(names):
            raise BadMessage(f"{self._topic}: name '{printable(repeated(names), 60)}' is there twice")
        if missing := [name for name in self._wanted if name not in index]:
            raise BadMessage(
                f"{self._topic}: {len(missing)} declared name(s) are not in the message: {_few(missing)}; "
                f"it has {_few(names)}. Is this the embodiment file of that robot?"
            )
        return np.array([index[name] for name in self._wanted])


class JointStateSource:
    """Reads the entries that one ``JointState`` topic gives; a message may hold only some of the joints.

    The xArm, for one, publishes arm and gripper as separate messages on one topic.
    """

    def __init__(self, topic: str, fields: Sequence[tuple[int, StateField]]) -> None:
        """``fields``: (position in the state vector, field) of the entries this topic gives."""
        self._topic = topic
        self._fields = list(fields)
        self._plans: dict[tuple[str, ...], tuple[list[tuple[str, np.ndarray]], np.ndarray, _Ranges]] = {}

    def read(self, message: Any) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the state vector ``int (k,)`` and their values ``float32 (k,)``; k may be 0.

        Raises:
            BadMessage: a joint is there twice, a wanted quantity is not filled in, or a value is not finite or out of
                range.
        """
        names = tuple(message.name)
        plan = self._plans.get(names)
        if plan is None:
            plan = self._plan(names)
            if len(self._plans) > 16:  # names that change all the time must not fill the memory
                self._plans.clear()
            self._plans[names] = plan
        quantities, places, ranges = plan
        found = []
        for quantity, order in quantities:
            values = np.asarray(getattr(message, quantity), dtype=np.float64)
            if len(values) != len(names):
                raise BadMessage(
                    f"{self._topic}: {len(names)} joints but {len(values)} values in '{quantity}', "
                    "which the embodiment file reads"
                )
            found.append(values[order])
        if not found:
            return places, np.zeros(0, dtype=np.float32)
        return places, ranges.checked(np.concatenate(found))

    def _plan(self, names: tuple[str, ...]) -> tuple[list[tuple[str, np.ndarray]], np.ndarray, _Ranges]:
        """For these joints: (quantity, positions in the message) of each, positions in the state vector, ranges."""
        index = {name: place for place, name in enumerate(names)}
        if len(index) != len(names):
            raise BadMessage(f"{self._topic}: joint '{printable(repeated(names), 60)}' is there twice")
        quantities, found = [], []
        for quantity in ("position", "velocity", "effort"):
            fields = [(place, field) for place, field in self._fields if field.quantity == quantity]
            there = [(place, field) for place, field in fields if field.entry in index]
            if there:
                quantities.append((quantity, np.array([index[field.entry] for _, field in there])))
                found += there
        return quantities, np.array([place for place, _ in found], dtype=np.int64), _Ranges(self._topic, found)


class _Ranges:
    """What values of some entries are plausible: the declared ranges, and what ``float32`` can hold."""

    def __init__(self, topic: str, fields: Sequence[tuple[int, StateField]]) -> None:
        self._topic = topic
        self._fields = [field for _, field in fields]
        ranges = np.array([field.range or (-FLOAT32, FLOAT32) for field in self._fields]).reshape(-1, 2)
        self._low, self._high = ranges.T

    def checked(self, values: np.ndarray) -> np.ndarray:
        """The values ``float64 (k,)`` as an array ``float32 (k,)`` of their own.

        Raises:
            BadMessage: one is not finite, or out of range.
        """
        # Nothing compares with nan, so that one test finds all that is wrong.
        good = (self._low <= values) & (values <= self._high)
        if not good.all():
            self._refuse(values, good)
        return values.astype(np.float32)

    def _refuse(self, values: np.ndarray, good: np.ndarray) -> NoReturn:
        if bad := [field.name for field, value in zip(self._fields, values, strict=True) if not np.isfinite(value)]:
            raise BadMessage(f"{self._topic}: not a finite number in {_few(bad)}")
        place = int(np.argmin(good))
        field, low, high = self._fields[place], float(self._low[place]), float(self._high[place])
        others = len(good) - int(good.sum()) - 1
        raise BadMessage(
            f"{self._topic}: {field.name} is {float(values[place])} {field.unit}, not within [{low}, {high}]"
            + (f", and {others} more are out of range" if others else "")
            + "; mend its source, or the range in the embodiment file"
        )


def _few(names: Sequence[str]) -> str:
    """The first names, for a message."""
    shown = ", ".join(printable(name, 60) for name in names[:6])
    return shown + (f", … ({len(names)} in all)" if len(names) > 6 else "") if names else "no names"
