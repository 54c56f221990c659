"""Scripted experts of the tabletop: each a function of the state alone, without stages, so that it can be imitated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from polytask_suites.tabletop.control import STEP
from polytask_suites.tabletop.scene import TABLETOP, TABLETOP_TEN, Scene
from polytask_suites.tabletop.state import index_of, state_names

Vector = npt.NDArray[np.float64]

_BEHIND_BAR = np.array([0.044, 0.0, 0.0])
"""From the drawer's handle to where a finger fits between it and the drawer's front, metres."""
_BEFORE_HANDLE = np.array([-0.055, 0.0, 0.0])
"""From a handle to where a finger stands ready to push it, metres."""
_FINGER = 0.022
"""From a handle to the grasp point when a finger touches it, metres."""
_PEG_AT_REST = np.array([-0.075, 0.0, -0.021])
"""From the grasp point to the tip of the peg when it hangs still, metres."""
_ABOVE_BOWL = np.array([-0.075, 0.0, 0.21])
"""From a bowl's rim to where the jug's lip is when its grains fall into the bowl, metres."""


class _State:
    """A state whose entries are asked for by name."""

    def __init__(self, values: Vector, index: Mapping[str, int]) -> None:
        self._values, self._index = values, index

    def __getitem__(self, name: str) -> float:
        return float(self._values[self._index[name]])

    def xyz(self, name: str) -> Vector:
        """Three entries, metres."""
        first = self._index[f"{name}.x"]
        return self._values[first : first + 3]


Move = Callable[[_State], Vector]


def _towards(state: _State, goal: Vector, gain: float = 0.6) -> Vector:
    """The move that brings the commanded target near ``goal`` (relative to the grasp point), saturated evenly."""
    move = gain * (goal - state.xyz("target_error")) / STEP
    return move / max(1.0, float(np.max(np.abs(move))))


def _funnel(state: _State, spot: Vector, low: float, slack: float) -> Vector:
    """Goes to ``spot`` (relative) from above: as high over ``low`` as the way to go sideways asks for."""
    height = float(state.xyz("grasp")[2])
    sideways = float(np.hypot(spot[0], spot[1]))
    wanted = low + min(0.11, 2.0 * max(0.0, sideways - slack))
    # While too low, rise before going sideways.
    brake = float(np.clip(1.0 - (wanted - height - 0.02) / 0.04, 0.0, 1.0))
    return np.array([brake * spot[0], brake * spot[1], wanted - height])


def _drawer_open(state: _State, drawer: str) -> Vector:
    spot = state.xyz(f"{drawer}_handle") + _BEHIND_BAR
    opening = state[f"{drawer}.opening"]
    move = _funnel(state, spot, 0.055, 0.02)
    behind = spot[0] < 0.035 and abs(spot[1]) < 0.03 and state.xyz("grasp")[2] < 0.085
    if behind:
        move[0] = min(0.0, opening - 0.165)
    return _towards(state, move)


def _drawer_close(state: _State, drawer: str) -> Vector:
    handle = state.xyz(f"{drawer}_handle")
    spot = handle + _BEFORE_HANDLE
    opening = state[f"{drawer}.opening"]
    move = _funnel(state, spot, 0.055, 0.02)
    before = handle[0] > 0.01 and abs(spot[1]) < 0.03 and state.xyz("grasp")[2] < 0.085
    if before:
        move[0] = handle[0] - _FINGER + opening + 0.01
    return _towards(state, move)


def _box_open(state: _State, lid: str) -> Vector:
    handle = state.xyz(f"{lid}_handle")
    angle = state[f"{lid}.angle"]
    spot = handle + _BEFORE_HANDLE
    low = 0.13
    before = handle[0] > 0.01 and abs(spot[1]) < 0.03 and state.xyz("grasp")[2] < 0.165
    if angle > 0.02 or before:
        # Press on the handle's face, which tilts and rises with the lid.
        face = np.array([np.cos(angle), 0.0, -np.sin(angle)])
        rise = np.array([np.sin(angle), 0.0, np.cos(angle)])
        press = min(0.04, max(0.0, 0.1 * (1.5 - angle)))
        return _towards(state, handle + (press - _FINGER) * face + min(0.02, 0.1 * angle) * rise)
    return _towards(state, _funnel(state, spot, low, 0.02))


def _peg(state: _State, cup: str) -> Vector:
    gap = state.xyz(f"cup_{cup}")
    swing = state.xyz("peg_tip_velocity") - state.xyz("grasp_velocity")
    offset = state.xyz("peg_tip") - _PEG_AT_REST
    # Steer the hanging point, not the swinging tip, and lean against the swing.
    spot = gap + offset
    spot[:2] += 0.03 * swing[:2]
    sideways = float(np.hypot(gap[0], gap[1]))
    clear = gap[2] + 0.02 + min(0.06, 2.0 * max(0.0, sideways - 0.012))
    wanted = clear if sideways > 0.022 and gap[2] < 0 else gap[2] - 0.032
    brake = float(np.clip(1.0 - (wanted - 0.02) / 0.03, 0.0, 1.0)) if gap[2] < 0 else 1.0
    return _towards(state, np.array([brake * spot[0], brake * spot[1], wanted]), gain=0.4)


def _reach(state: _State) -> Vector:
    return _towards(state, state.xyz("reach_target"))


def _pour(state: _State, bowl: str) -> Vector:
    spot = state.xyz(bowl) + _ABOVE_BOWL
    ready = float(np.max(np.abs(spot))) < 0.015
    # What has begun to pour goes on.
    tilt = ready or state["jug.tilt"] > 0.5
    return np.append(_towards(state, spot), 1.0 if tilt else -1.0)


def _moves(scene: Scene) -> dict[str, Move]:
    """Of all tasks that a scene admits."""
    moves: dict[str, Move] = {"reach": _reach}
    for side in scene.cabinets:
        moves[f"drawer-open{side}"] = partial(_drawer_open, drawer=f"drawer{side}")
        moves[f"drawer-close{side}"] = partial(_drawer_close, drawer=f"drawer{side}")
    for side in scene.boxes:
        moves[f"box-open{side}"] = partial(_box_open, lid=f"lid{side}")
    for cup in scene.cups:
        moves[f"peg-{cup}"] = partial(_peg, cup=cup)
    for bowl in scene.bowls:
        moves[bowl.replace("bowl", "pour")] = partial(_pour, bowl=bowl)
    return {name.replace("_", "-"): move for name, move in moves.items()}


class TabletopExpert:
    """The scripted expert of one task; the gripper stays closed but to pour."""

    scene = TABLETOP

    def __init__(self, task: str) -> None:
        self._move = _moves(self.scene)[task]
        self._index = index_of(state_names(self.scene))

    def reset(self) -> None:
        """Nothing to forget: the expert is a function of the state."""

    def __call__(self, state: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The action float32 (4,) for a state float32 (n,)."""
        action = np.full(4, -1.0, np.float32)
        move = self._move(_State(state.astype(np.float64), self._index))
        action[: len(move)] = move
        return action


class TabletopTenExpert(TabletopExpert):
    """The same for the suite of ten tasks."""

    scene = TABLETOP_TEN
