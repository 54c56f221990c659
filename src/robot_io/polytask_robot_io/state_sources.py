"""From one message of a state topic to entries of the state vector: the part of the assembler that runs every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from polytask_robot_io.embodiment import StateField
from polytask_robot_io.errors import BadMessage


class StateVectorSource:
    """Reads the entries that one ``StateVector`` topic gives.

    Where an entry stands in the message is looked up once and kept until the message's names change.
    """

    def __init__(self, topic: str, fields: Sequence[tuple[int, StateField]]) -> None:
        """``fields``: (position in the state vector, field) of the entries this topic gives."""
        self._topic = topic
        self._wanted = [field.entry for _, field in fields]
        self._places = np.array([place for place, _ in fields])
        self._names: object = None
        self._order: np.ndarray | None = None

    def read(self, message: Any) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the state vector ``int (k,)`` and their values ``float32 (k,)``.

        Raises:
            BadMessage: a name is missing or there twice, the lengths differ, or a value is not finite.
        """
        names, values = message.names, np.array(message.values, dtype=np.float32)
        if len(values) != len(names):
            raise BadMessage(f"{self._topic}: {len(names)} names but {len(values)} values")
        if names != self._names:
            self._order = self._find(list(names))
            self._names = list(names)
        if self._order is not None:
            values = values[self._order]
        # The sum of finite values is finite here, and one reduction is cheaper than one test for each value.
        if not np.isfinite(values.sum()):
            _refuse_non_finite(self._topic, self._wanted, values)
        return self._places, values

    def _find(self, names: list[str]) -> np.ndarray | None:
        """Where the wanted entries stand; ``None`` when the message holds just them, in order."""
        if names == self._wanted:
            return None
        index = {name: place for place, name in enumerate(names)}
        if len(index) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise BadMessage(f"{self._topic}: name '{twice[0]}' is there twice")
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
        self._plans: dict[tuple[str, ...], list[tuple[str, np.ndarray, np.ndarray]]] = {}

    def read(self, message: Any) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the state vector ``int (k,)`` and their values ``float32 (k,)``; k may be 0.

        Raises:
            BadMessage: a joint is there twice, a wanted quantity is not filled in, or a value is not finite.
        """
        names = tuple(message.name)
        plan = self._plans.get(names)
        if plan is None:
            plan = self._plan(names)
            if len(self._plans) > 16:  # names that change all the time must not fill the memory
                self._plans.clear()
            self._plans[names] = plan
        places, found = [], []
        for quantity, targets, order in plan:
            values = np.asarray(getattr(message, quantity), dtype=np.float32)
            if len(values) != len(names):
                raise BadMessage(
                    f"{self._topic}: {len(names)} joints but {len(values)} values in '{quantity}', "
                    "which the embodiment file reads"
                )
            places.append(targets)
            found.append(values[order])
        if not places:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        targets, values = np.concatenate(places), np.concatenate(found)
        if not np.isfinite(values).all():
            wanted = {place: field.name for place, field in self._fields}
            _refuse_non_finite(self._topic, [wanted[place] for place in targets], values)
        return targets, values

    def _plan(self, names: tuple[str, ...]) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """For these joints: (quantity, positions in the state vector, positions in the message)."""
        index = {name: place for place, name in enumerate(names)}
        if len(index) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise BadMessage(f"{self._topic}: joint '{twice[0]}' is there twice")
        plan = []
        for quantity in ("position", "velocity", "effort"):
            pairs = [
                (place, index[field.entry])
                for place, field in self._fields
                if field.quantity == quantity and field.entry in index
            ]
            if pairs:
                plan.append((quantity, np.array([one for one, _ in pairs]), np.array([two for _, two in pairs])))
        return plan


def _refuse_non_finite(topic: str, names: Sequence[str], values: np.ndarray) -> None:
    bad = [name for name, value in zip(names, values, strict=True) if not np.isfinite(value)]
    if bad:
        raise BadMessage(f"{topic}: not a finite number in {_few(bad)}")


def _few(names: Sequence[str]) -> str:
    """The first names, for a message."""
    return ", ".join(names[:6]) + (f", … ({len(names)} in all)" if len(names) > 6 else "") if names else "no names"
