"""Specification of a policy: the robot, suite and tasks it was trained for, as stored in its checkpoint."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from polytask_policy.checkpoint import CheckpointError
from polytask_policy.entries import LONGEST_TEXT, Entries


def _names_difference(what: str, own: Sequence[str], other: Sequence[str]) -> list[str]:
    """Say how ``other`` names differ from ``own``; empty when they are the same in the same order."""
    if list(own) == list(other):
        return []
    missing = [name for name in own if name not in other]
    unknown = [name for name in other if name not in own]
    lines = []
    if missing:
        lines.append(f"{what}: the robot lacks {', '.join(missing)}")
    if unknown:
        lines.append(f"{what}: the policy does not know {', '.join(unknown)}")
    if not lines:
        place = next(i for i, (a, b) in enumerate(zip(own, other, strict=False)) if a != b)
        lines.append(f"{what}: another order from place {place} on ('{other[place]}', trained with '{own[place]}')")
    return lines


@dataclass(frozen=True)
class Pictures:
    """The camera pictures that a policy takes."""

    camera: str
    """Its name in the embodiment."""
    size: int
    """Pixels on either side of a frame, to which the camera's picture is brought."""
    stack: int
    """Frames seen at once: the newest and those just before it."""


def _pictures(entries: Entries) -> Pictures:
    return Pictures(entries.text("camera"), entries.count("size", 4096), entries.count("stack", 64))


@dataclass(frozen=True)
class PolicySpec:
    """What a policy was trained for.

    Attributes:
        suite: name of the suite, e.g. "tabletop".
        tasks: names of the tasks; an expert has one.
        state_names: the n entries of the state that the policy takes, in order. Without pictures, these are the
            robot's whole state.
        action_names: the k entries of the action, in order.
        instructions: for each task the sentences it was taught.
        descriptions: for each task a line for people.
        embodiment: the robot's embodiment file as a mapping.
        pictures: the pictures that the policy takes; None: it sees the state alone.

    """

    suite: str
    tasks: tuple[str, ...]
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    instructions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    embodiment: Mapping[str, Any] = field(default_factory=dict)
    pictures: Pictures | None = None

    def to_meta(self) -> dict[str, Any]:
        """Return the JSON-able entries for a checkpoint's meta, with the versions that wrote it."""
        entries = asdict(self)
        if self.pictures is None:
            del entries["pictures"]
        return {**entries, "versions": {"torch": str(torch.__version__), "python": platform.python_version()}}

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> PolicySpec:
        """Read the description back from a checkpoint's meta; raises CheckpointError naming the entry that is wrong."""
        entries = Entries(meta)
        instructions, descriptions = entries.part("instructions"), entries.part("descriptions")
        return cls(
            suite=entries.text("suite"),
            tasks=entries.names("tasks"),
            state_names=entries.names("state_names", least=0 if "pictures" in meta else 1),
            action_names=entries.names("action_names"),
            instructions={task: instructions.texts(task) for task in instructions.values},
            descriptions={task: descriptions.text(task, LONGEST_TEXT) for task in descriptions.values},
            embodiment=dict(entries.part("embodiment").values),
            pictures=_pictures(entries.part("pictures")) if "pictures" in meta else None,
        )

    def columns(self, state_names: Sequence[str]) -> list[int]:
        """Where the policy's entries stand in a robot's state of these names. Raises ValueError for a missing one."""
        places = {name: place for place, name in enumerate(state_names)}
        missing = [name for name in self.state_names if name not in places]
        if missing:
            raise ValueError(f"the robot's state lacks {', '.join(missing)}, which the policy takes")
        return [places[name] for name in self.state_names]

    def differences(
        self, state_names: Sequence[str], action_names: Sequence[str], cameras: Sequence[str] = ()
    ) -> list[str]:
        """Say how a robot with these names differs from the trained one; empty when the policy fits it.

        A policy with pictures finds its entries of the state by name; the robot may have others.
        """
        if self.pictures is not None:
            state_names = [name for name in self.state_names if name in state_names]
        found = _names_difference("state", self.state_names, state_names)
        found += _names_difference("action", self.action_names, action_names)
        if self.pictures is not None and self.pictures.camera not in cameras:
            found.append(f"camera: the robot lacks '{self.pictures.camera}'")
        return found

    def require_fit(self, state_names: Sequence[str], action_names: Sequence[str], cameras: Sequence[str] = ()) -> None:
        """Raise CheckpointError, telling the differences, unless the policy fits a robot with these names."""
        found = self.differences(state_names, action_names, cameras)
        if found:
            raise CheckpointError(
                "this policy was trained for another robot: " + "; ".join(found) + ". Serve it with the embodiment "
                "file it was trained with, or train one for this robot."
            )
