"""What success means on the tabletop, and a dense reward for those who want the environment's own.

Both are functions of the state vector, so a recording can be judged by the same code.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from polytask_sim_bridge.suites.tabletop.scene import CUP_INNER_RADIUS
from polytask_sim_bridge.suites.tabletop.state import STATE_NAMES

State = npt.NDArray[np.float32]
Judge = Callable[[State], tuple[bool, float, str]]
"""(done now, reward in [0, 1], a few words on how far it is)."""

HOLD_STEPS = 5
"""Success is a predicate that held for this many control steps in a row."""
INDEX = {name: i for i, name in enumerate(STATE_NAMES)}
_CUP_RADIUS = CUP_INNER_RADIUS
_UPRIGHT_SIDE = 1.0 - 0.9**2  # R33 > 0.9, said by the two other entries of the axis


def _group(name: str, size: int = 3) -> slice:
    first = INDEX[f"{name}.x"]
    return slice(first, first + size)


def _near(distance: float) -> float:
    return float(np.exp(-distance / 0.1))


def _drawer(is_open: bool) -> Judge:
    handle, opening = _group("drawer_handle"), INDEX["drawer.opening"]

    def judge(state: State) -> tuple[bool, float, str]:
        o = float(state[opening])
        done = o > 0.135 if is_open else o < 0.015
        part = np.clip(o / 0.14 if is_open else 1.0 - o / 0.16, 0.0, 1.0)
        reward = 1.0 if done else 0.3 * _near(float(np.linalg.norm(state[handle]))) + 0.6 * float(part)
        return done, reward, f"drawer open {100 * o:.1f} cm"

    return judge


def _box_open(state: State) -> tuple[bool, float, str]:
    angle = float(state[INDEX["lid.angle"]])
    done = angle > 1.05
    near = _near(float(np.linalg.norm(state[_group("lid_handle")])))
    reward = 1.0 if done else 0.3 * near + 0.6 * float(np.clip(angle / 1.05, 0.0, 1.0))
    return done, reward, f"lid at {angle:.2f} rad"


def _peg(cup: str) -> Judge:
    where, up = _group(f"cup_{cup}"), INDEX[f"cup_{cup}.up_x"]

    def judge(state: State) -> tuple[bool, float, str]:
        x, y, rim = (float(v) for v in state[where])
        side = float(np.hypot(x, y))
        upright = float(state[up] ** 2 + state[up + 1] ** 2) < _UPRIGHT_SIDE
        done = side < _CUP_RADIUS and rim >= 0.02 and upright
        reward = 1.0 if done else (0.5 * _near(side) + 0.4 * _near(abs(rim - 0.02))) * float(upright)
        return done, reward, f"peg {100 * side:.1f} cm beside the {cup} cup's axis, {100 * rim:.1f} cm under its rim"

    return judge


def _reach(state: State) -> tuple[bool, float, str]:
    distance = float(np.linalg.norm(state[_group("reach_target")]))
    done = distance < 0.02
    return done, 1.0 if done else 0.9 * _near(distance), f"{100 * distance:.1f} cm from the target"


JUDGES: dict[str, Judge] = {
    "reach": _reach,
    "drawer-open": _drawer(True),
    "drawer-close": _drawer(False),
    "box-open": _box_open,
    "peg-green": _peg("green"),
    "peg-yellow": _peg("yellow"),
    "peg-blue": _peg("blue"),
}
