"""Scripted experts of the tabletop: each a function of the state alone, without stages, so that it can be imitated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from polytask_sim_bridge.suites.tabletop.control import STEP
from polytask_sim_bridge.suites.tabletop.tasks import INDEX

Vector = npt.NDArray[np.float64]

_BEHIND_BAR = np.array([0.044, 0.0, 0.0])
"""From the drawer's handle to where a finger fits between it and the drawer's front, metres."""
_BEFORE_HANDLE = np.array([-0.055, 0.0, 0.0])
"""From a handle to where a finger stands ready to push it, metres."""
_FINGER = 0.022
"""From a handle to the grasp point when a finger touches it, metres."""
_PEG_AT_REST = np.array([-0.075, 0.0, -0.021])
"""From the grasp point to the tip of the peg when it hangs still, metres."""


def _xyz(state: Vector, name: str) -> Vector:
    first = INDEX[f"{name}.x"]
    return state[first : first + 3]


def _towards(state: Vector, goal: Vector, gain: float = 0.6) -> Vector:
    """The move that brings the commanded target near ``goal`` (relative to the grasp point), saturated evenly."""
    move = gain * (goal - _xyz(state, "target_error")) / STEP
    return move / max(1.0, float(np.max(np.abs(move))))


def _funnel(state: Vector, spot: Vector, low: float, slack: float) -> Vector:
    """Goes to ``spot`` (relative) from above: as high over ``low`` as the way to go sideways asks for."""
    height = float(_xyz(state, "grasp")[2])
    sideways = float(np.hypot(spot[0], spot[1]))
    wanted = low + min(0.11, 2.0 * max(0.0, sideways - slack))
    # While too low, rise before going sideways.
    brake = float(np.clip(1.0 - (wanted - height - 0.02) / 0.04, 0.0, 1.0))
    return np.array([brake * spot[0], brake * spot[1], wanted - height])


def _drawer_open(state: Vector) -> Vector:
    spot = _xyz(state, "drawer_handle") + _BEHIND_BAR
    opening = state[INDEX["drawer.opening"]]
    move = _funnel(state, spot, 0.055, 0.02)
    behind = spot[0] < 0.035 and abs(spot[1]) < 0.03 and _xyz(state, "grasp")[2] < 0.085
    if behind:
        move[0] = min(0.0, opening - 0.165)
    return _towards(state, move)


def _drawer_close(state: Vector) -> Vector:
    handle = _xyz(state, "drawer_handle")
    spot = handle + _BEFORE_HANDLE
    opening = state[INDEX["drawer.opening"]]
    move = _funnel(state, spot, 0.055, 0.02)
    before = handle[0] > 0.01 and abs(spot[1]) < 0.03 and _xyz(state, "grasp")[2] < 0.085
    if before:
        move[0] = handle[0] - _FINGER + opening + 0.01
    return _towards(state, move)


def _box_open(state: Vector) -> Vector:
    handle = _xyz(state, "lid_handle")
    angle = state[INDEX["lid.angle"]]
    spot = handle + _BEFORE_HANDLE
    low = 0.13
    before = handle[0] > 0.01 and abs(spot[1]) < 0.03 and _xyz(state, "grasp")[2] < 0.165
    if angle > 0.02 or before:
        # Press on the handle's face, which tilts and rises with the lid.
        face = np.array([np.cos(angle), 0.0, -np.sin(angle)])
        rise = np.array([np.sin(angle), 0.0, np.cos(angle)])
        press = min(0.04, max(0.0, 0.1 * (1.5 - angle)))
        return _towards(state, handle + (press - _FINGER) * face + min(0.02, 0.1 * angle) * rise)
    return _towards(state, _funnel(state, spot, low, 0.02))


def _peg(cup: str) -> Callable[[Vector], Vector]:
    def act(state: Vector) -> Vector:
        gap = _xyz(state, f"cup_{cup}")
        swing = _xyz(state, "peg_tip_velocity") - _xyz(state, "grasp_velocity")
        offset = _xyz(state, "peg_tip") - _PEG_AT_REST
        # Steer the hanging point, not the swinging tip, and lean against the swing.
        spot = gap + offset
        spot[:2] += 0.03 * swing[:2]
        sideways = float(np.hypot(gap[0], gap[1]))
        clear = gap[2] + 0.02 + min(0.06, 2.0 * max(0.0, sideways - 0.012))
        wanted = clear if sideways > 0.022 and gap[2] < 0 else gap[2] - 0.032
        brake = float(np.clip(1.0 - (wanted - 0.02) / 0.03, 0.0, 1.0)) if gap[2] < 0 else 1.0
        return _towards(state, np.array([brake * spot[0], brake * spot[1], wanted]), gain=0.4)

    return act


def _reach(state: Vector) -> Vector:
    return _towards(state, _xyz(state, "reach_target"))


_MOVES: dict[str, Callable[[Vector], Vector]] = {
    "reach": _reach,
    "drawer-open": _drawer_open,
    "drawer-close": _drawer_close,
    "box-open": _box_open,
    "peg-green": _peg("green"),
    "peg-yellow": _peg("yellow"),
    "peg-blue": _peg("blue"),
}


class TabletopExpert:
    """The scripted expert of one task; the gripper stays closed."""

    def __init__(self, task: str) -> None:
        self._move = _MOVES[task]

    def reset(self) -> None:
        """Nothing to forget: the expert is a function of the state."""

    def __call__(self, state: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The action float32 (4,) for a state float32 (45,)."""
        return np.append(self._move(state.astype(np.float64)), -1.0).astype(np.float32)
