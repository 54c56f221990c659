"""Commands: arrays to messages, and what may be sent to a robot."""

from __future__ import annotations

import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Time

from polytask_interfaces.msg import Command
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.errors import BadCommand


def command_message(
    values: np.ndarray | Sequence[float],
    stamp: Time | None = None,
    observation_stamp: Time | None = None,
    frame: str = "",
) -> Command:
    """Command message of normalised values ``(k,)``.

    ``stamp``: when it is issued; ``observation_stamp``: header stamp of the observation it answers, none for
    teleoperation; ``frame``: the embodiment's ``command_frame``.
    """
    message = Command()
    message.header.frame_id = frame
    if stamp is not None:
        message.header.stamp = stamp
    if observation_stamp is not None:
        message.observation_stamp = observation_stamp
    message.values = array.array("d", np.asarray(values, dtype=np.float64).tobytes())
    return message


@dataclass(frozen=True)
class CheckedCommand:
    """A command that may be applied."""

    values: np.ndarray
    """``float32 (k,)`` within the limits; the caller's own."""
    limited: tuple[str, ...]
    """Names of the values that had to be cut to their limits."""


def check_command(values: np.ndarray | Sequence[float], embodiment: Embodiment) -> CheckedCommand:
    """Refuse what cannot be meant; cut what goes beyond the declared limits, and report it.

    Raises:
        BadCommand: another number of values than declared, or one that is not finite.
    """
    return CommandLimiter(embodiment).apply(values)


class CommandLimiter:
    """Applies an embodiment's limits to commands, one after another."""

    def __init__(self, embodiment: Embodiment) -> None:
        """``embodiment``: whose limits."""
        self._names = embodiment.command_names
        self._minimum = np.array([value.minimum for value in embodiment.command], dtype=np.float32)
        self._maximum = np.array([value.maximum for value in embodiment.command], dtype=np.float32)
        self._scale = np.array([value.scale for value in embodiment.command])
        self._max_change: np.ndarray | None = None
        if any(value.max_change is not None for value in embodiment.command):
            rates = [np.inf if value.max_change is None else value.max_change for value in embodiment.command]
            self._max_change = np.array(rates, dtype=np.float32)
        self._bounds = [(value.minimum, value.maximum) for value in embodiment.command]
        self._last = np.zeros(len(self._names), dtype=np.float32)

    def reset(self) -> None:
        """Start again from rest: the last command was zero."""
        self._last = np.zeros_like(self._last)

    def apply(self, values: np.ndarray | Sequence[float], dt: float | None = None) -> CheckedCommand:
        """Values ``(k,)`` within the limits; ``dt``: seconds since the last command, for limits on the rate of change.

        Raises:
            BadCommand: another number of values than declared, or one that is not finite. The state of the limiter
                stays as it was.
        """
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, which is refused below
            wanted = np.array(values, dtype=np.float32)
        if self._max_change is None and wanted.shape == self._minimum.shape and self._within(wanted):
            return CheckedCommand(wanted, ())
        if wanted.shape != self._minimum.shape:
            raise BadCommand(
                f"command has shape {wanted.shape}, but {len(self._names)} values are declared: "
                f"{', '.join(self._names)}"
            )
        if not np.isfinite(wanted).all():
            bad = [name for name, value in zip(self._names, wanted, strict=True) if not np.isfinite(value)]
            raise BadCommand(f"command is not a finite number in {', '.join(bad)}")
        allowed = np.minimum(np.maximum(wanted, self._minimum), self._maximum)
        if self._max_change is not None and dt is not None:
            step = self._max_change * np.float32(dt)
            allowed = np.minimum(np.maximum(allowed, self._last - step), self._last + step)
        self._last = allowed.copy()  # what is handed out belongs to the caller
        if np.array_equal(allowed, wanted):
            return CheckedCommand(allowed, ())
        cut = tuple(name for name, one, two in zip(self._names, allowed, wanted, strict=True) if one != two)
        return CheckedCommand(allowed, cut)

    def _within(self, wanted: np.ndarray) -> bool:
        """Nothing needs to be done: the usual case, a few times quicker value by value. False for nan."""
        return all(low <= value <= high for value, (low, high) in zip(wanted.tolist(), self._bounds, strict=True))

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Normalised values ``(k,)`` in the declared units: what the robot's driver takes."""
        return np.asarray(values, dtype=np.float64) * self._scale
