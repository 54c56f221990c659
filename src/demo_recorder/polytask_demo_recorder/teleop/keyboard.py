"""Keys to commands, without ROS and without a terminal. Works over SSH, where only key presses arrive, no releases."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from polytask_demo_recorder.errors import RecordingError
from polytask_robot_io.embodiment import Embodiment

HOLD = 0.2
"""Seconds for which a key press drives in full; longer than the period at which a held key repeats."""
REPEAT_DELAY = 0.75
"""Seconds after a first press within which a held key begins to repeat; X11's usual delay is 0.66 s, others' 0.5 s."""
CREEP = 0.25
"""Share of the command between :data:`HOLD` and :data:`REPEAT_DELAY`, when nobody can know whether the key is held.

So a held key never stands still, and a tap moves as far as 0.34 s of the full command.
"""
HELP = """\
  w / s   forward / back        r / f   up / down
  a / d   left / right          g       open / close the gripper
  space   stop                  q       quit
Hold a key to keep moving; a tap moves on slowly for 0.75 s, and space stops at once."""
DIRECTIONS = {"w": ("x", 1.0), "s": ("x", -1.0), "a": ("y", 1.0), "d": ("y", -1.0), "r": ("z", 1.0), "f": ("z", -1.0)}
"""Axis and sign of each key (REP-103: x forward, y left, z up)."""


class _Press(NamedTuple):
    """The last press of a key of one axis."""

    value: float
    since: float
    again: bool
    """It repeats: the key is held, and the next press comes soon or not at all."""


class Keyboard:
    """The command that the keys pressed so far amount to. Times are s of a steady clock."""

    def __init__(self, embodiment: Embodiment, speed: float = 1.0) -> None:
        """``speed``: share of the full command in (0, 1].

        Raises:
            RecordingError: the embodiment's command has none of the values that the keys mean.
        """
        self._speed = speed
        self._axes = {
            axis: place
            for place, name in enumerate(embodiment.command_names)
            for axis in "xyz"
            if name in (axis, f"d{axis}") or name.endswith(f".{axis}")
        }
        self._gripper = next((i for i, name in enumerate(embodiment.command_names) if name.startswith("gripper")), None)
        if not self._axes:
            raise RecordingError(
                f"the keyboard moves along x, y and z, but the command of '{embodiment.name}' has only "
                f"{', '.join(embodiment.command_names)}; drive this robot in another way"
            )
        self._count = len(embodiment.command)
        self._pressed: dict[str, _Press] = {}
        self._grip = 0.0
        self.quit = False
        self.active = False
        """Whether a key has been pressed since the last :meth:`rest`; before that nothing need be sent."""

    def rest(self) -> None:
        """Another episode began: nothing is pressed, and the gripper is left as it is."""
        self._pressed.clear()
        self._grip = 0.0
        self.active = False

    def press(self, key: str, now: float) -> None:
        """A key arrived; unknown ones mean nothing."""
        key = key.lower()
        if key in DIRECTIONS and DIRECTIONS[key][0] in self._axes:
            axis, sign = DIRECTIONS[key]
            value, before = sign * self._speed, self._pressed.get(axis)
            again = before is not None and before.value == value and now - before.since <= REPEAT_DELAY
            self._pressed[axis] = _Press(value, now, again)
        elif key == "g" and self._gripper is not None:
            self._grip = -1.0 if self._grip >= 0 else 1.0
        elif key == " ":
            self._pressed.clear()
        elif key in ("q", "\x04"):  # ctrl-d
            self.quit = True
            return
        else:
            return
        self.active = True

    def command(self, now: float) -> np.ndarray:
        """Normalised command ``float32 (k,)``; zero along axes whose key is not held any more."""
        values = np.zeros(self._count, dtype=np.float32)
        for axis, press in self._pressed.items():
            if now - press.since <= HOLD:
                values[self._axes[axis]] = press.value
            elif now - press.since <= REPEAT_DELAY and not press.again:
                values[self._axes[axis]] = CREEP * press.value
        if self._gripper is not None:
            values[self._gripper] = self._grip
        return values
