"""Scripted experts of the kitchen: functions of the state, without stages or timers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask_suites.kitchen.arm import AWAY, SIDEWAYS, UPRIGHT, Arm, Vector
from polytask_suites.kitchen.elements import ELEMENTS
from polytask_suites.task import SuiteError, load_suite

Action = npt.NDArray[np.float32]

OPEN, CLOSED = 1.0, -1.0
_BESIDE = 0.1
"""Metres before a thing where the hand lines up with it."""
_DOOR_HANDLE = (0.475, -0.108, 0.0)
"""Of the microwave, in the door's frame, metres."""
_PLACE = np.array([-0.25, 0.68])
_LIFTED, _STANDING = 0.04, 1.635
"""Metres over the stove at which the kettle is carried, and its height below which it stands there."""
_ENOUGH = 0.2
"""Distance to an element's goal at which a script turns to the next element."""
_HANDLES = {"microwave": ("microhandle_site", 0.015, UPRIGHT), "kettle": ("kettle_site", 0.02, SIDEWAYS)}
"""Site, how far beyond it the tip goes, and the hand's axes."""


@dataclass(frozen=True)
class _Push:
    """How an element is pushed with closed fingers."""

    joint: str
    point: tuple[float, float, float]
    """Where it is pushed, in its body's frame, metres."""
    sign: float
    """Of the joint's motion towards the goal."""
    before: float
    """Metres before the point at which the fingers come in."""
    lead: float = 0.03
    """Metres by which the target goes ahead of the tip: what resists more needs more."""
    deeper: float = 0.0
    """Metres behind the point, to have more than the finger tips there."""


_PUSHES = {
    # The knobs resist, and the upper one leaves little room above the lower one.
    "bottom-burner": _Push("knob_Joint_2", (0.0, 0.03, 0.037), -1.0, 0.045, lead=0.1),
    "top-burner": _Push("knob_Joint_4", (0.0, 0.048, 0.037), -1.0, 0.05),
    "light-switch": _Push("light_switch", (0.0315, -0.075, 0.0), -1.0, 0.06),
    "slide-cabinet": _Push("slide_cabinet", (-0.183, -0.123, -0.1), 1.0, 0.07, deeper=0.03),
}


class KitchenExpert:
    """Does the elements of a task in their order; stays where it is when all are done."""

    def __init__(self, task: str) -> None:
        self._elements = tuple(load_suite("kitchen").task(task).parameters["elements"])
        self._arm = Arm()
        if missing := set(self._elements) - set(_PUSHES) - set(_HANDLES):
            raise SuiteError(f"kitchen task {task!r} has no scripted expert: nobody wrote one for {', '.join(missing)}")

    def reset(self) -> None:
        """Nothing is remembered."""

    def __call__(self, state: npt.NDArray[np.float32]) -> Action:
        """The action float32 (9,) for a state float32 (59,)."""
        self._arm.look(state)
        next_one = next((name for name in self._elements if not self._finished(name, state)), None)
        for other in _HANDLES:
            if other != next_one and self._holds(other):
                return self._let_go(other)
        if next_one is None:
            return self._arm.go(self._arm.tip, CLOSED)
        if next_one == "microwave":
            return self._open_microwave()
        return self._move_kettle() if next_one == "kettle" else self._push(_PUSHES[next_one])

    def _finished(self, name: str, state: npt.NDArray[np.float32]) -> bool:
        standing = name != "kettle" or self._arm.at("kettle")[2] < _STANDING
        return standing and bool(ELEMENTS[name].distance(state) < _ENOUGH)

    def _push(self, push: _Push) -> Action:
        """Fingers come in before the point to be pushed, then follow it along the joint's path."""
        arm = self._arm
        point, path = arm.point(push.joint, push.point)
        point, path = point + push.deeper * AWAY, push.sign * path
        along = float((arm.tip - point) @ path)
        beside = arm.tip - point - along * path
        if np.linalg.norm(beside) < 0.025 and -0.12 < along < 0.03:
            return arm.go(point + (along + push.lead) * path, CLOSED, speed=2.0)
        return self._come(point - push.before * path, CLOSED, 0.03)

    def _open_microwave(self) -> Action:
        """The fingers close round the upright handle and pull it along the door's arc."""
        arm = self._arm
        grip, held = self._grip("microwave", 0.025, 0.05)
        if grip is None:
            return self._come(self._wanted("microwave"), OPEN, 0.015)
        _, path = arm.point("microwave", _DOOR_HANDLE)
        return arm.go(grip - 0.1 * path if held else grip, CLOSED, speed=0.2)

    def _move_kettle(self) -> Action:
        """The fingers close round the lying handle, lift the kettle, carry it and set it down."""
        arm = self._arm
        grip, held = self._grip("kettle", 0.03, 0.072)
        if grip is None:
            return self._come(self._wanted("kettle"), OPEN, 0.012, SIDEWAYS)
        kettle = arm.at("kettle")
        aside = _PLACE - kettle[:2]
        if not held:
            move: Vector = np.zeros(3)
        elif kettle[2] < _STANDING and np.linalg.norm(aside) > 0.1:
            move = np.array([0.0, 0.0, 0.05])
        else:
            height = 1.62 + (_LIFTED if np.linalg.norm(aside) > 0.03 else 0.0)
            move = np.clip([*aside, height - kettle[2]], -0.05, 0.05)
        return arm.go(grip + move, CLOSED, SIDEWAYS, speed=0.4)

    def _wanted(self, name: str) -> Vector:
        """Where the tip has to be to grip this handle."""
        site, beyond, _ = _HANDLES[name]
        return np.asarray(self._arm.site(site) + beyond * AWAY)

    def _grip(self, name: str, near: float, closed: float) -> tuple[Vector | None, bool]:
        """Where the tip grips the handle, None if it is not there; whether the fingers have closed round it."""
        wanted = self._wanted(name)
        return (wanted if np.linalg.norm(self._arm.tip - wanted) < near else None), self._arm.gap < closed

    def _holds(self, name: str) -> bool:
        """Whether the hand is round this handle, closed or not."""
        off = self._arm.tip - self._wanted(name)
        return bool(np.linalg.norm(off[[0, 2]]) < 0.05 and -0.09 < off[1] < 0.05)

    def _let_go(self, name: str) -> Action:
        arm = self._arm
        closed = arm.gap < 0.075
        return arm.go(arm.tip if closed else arm.tip - 0.1 * AWAY, OPEN, _HANDLES[name][2])

    def _come(self, to: Vector, fingers: float, tolerance: float, axes: Vector = UPRIGHT) -> Action:
        """To ``to``, from straight before it; backwards first where something may be between."""
        arm, before = self._arm, to - _BESIDE * AWAY
        aside = np.linalg.norm((arm.tip - to)[[0, 2]]) > tolerance or np.linalg.norm(arm.turn(axes)) > 0.3
        if not aside:
            return arm.go(to, fingers, axes)
        if arm.tip[1] > before[1] + 0.03:
            before = np.array([arm.tip[0], before[1], arm.tip[2]])
        return arm.go(before, fingers, axes)
