"""What a policy was trained for: robot, suite and tasks, as stored in its checkpoint."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from polytask_policy.checkpoint import CheckpointError


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
class Description:
    """What a policy was trained for.

    Attributes:
        suite: name of the suite, e.g. "tabletop".
        tasks: names of the tasks; an expert has one.
        state_names: the n entries of the state, in order.
        action_names: the k entries of the action, in order.
        instructions: for each task the sentences it was taught.
        descriptions: for each task a line for people.
        embodiment: the robot's embodiment file as a mapping.

    """

    suite: str
    tasks: tuple[str, ...]
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    instructions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    embodiment: Mapping[str, Any] = field(default_factory=dict)

    def to_meta(self) -> dict[str, Any]:
        """Return the JSON-able entries for a checkpoint's meta, with the versions that wrote it."""
        return {**asdict(self), "versions": {"torch": str(torch.__version__), "python": platform.python_version()}}

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Description:
        """Read the description back from a checkpoint's meta; raises CheckpointError when an entry is missing."""
        try:
            return cls(
                suite=str(meta["suite"]),
                tasks=tuple(meta["tasks"]),
                state_names=tuple(meta["state_names"]),
                action_names=tuple(meta["action_names"]),
                instructions={task: tuple(lines) for task, lines in meta["instructions"].items()},
                descriptions=dict(meta["descriptions"]),
                embodiment=dict(meta["embodiment"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"the checkpoint's description lacks an entry: {error!r}") from None

    def differences(self, state_names: Sequence[str], action_names: Sequence[str]) -> list[str]:
        """Say how a robot with these names differs from the trained one; empty when the policy fits it."""
        return _names_difference("state", self.state_names, state_names) + _names_difference(
            "action", self.action_names, action_names
        )

    def require_fit(self, state_names: Sequence[str], action_names: Sequence[str]) -> None:
        """Raise CheckpointError, telling the differences, unless the policy fits a robot with these names."""
        found = self.differences(state_names, action_names)
        if found:
            raise CheckpointError(
                "this policy was trained for another robot: " + "; ".join(found) + ". Serve it with the embodiment "
                "file it was trained with, or train one for this robot."
            )
