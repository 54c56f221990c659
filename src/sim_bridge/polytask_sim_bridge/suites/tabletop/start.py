"""Start states of the tabletop: a function of the seed alone, the same for every task."""

from __future__ import annotations

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_sim_bridge.suites.tabletop.control import CartesianControl
from polytask_sim_bridge.suites.tabletop.scene import CUP_ROW_X, CUP_ROW_Y, CUPS

ARM_START = np.array([0.42, 0.0, 0.20])
"""Middle of the grasp point's start positions, metres."""


class StartState:
    """Draws and applies a start state; ranges after the issue's table: cups 2.5 cm, furniture 2 cm, arm 4 cm."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, control: CartesianControl) -> None:
        self._model, self._data, self._control = model, data, control
        self._mocap = {name: int(model.body(name).mocapid[0]) for name in ("cabinet", "box", "reach_target")}
        self._cups = {cup: int(model.joint(f"cup_{cup}").qposadr[0]) for cup in CUPS}
        self._drawer = int(model.joint("drawer").qposadr[0])

    def apply(self, rng: np.random.Generator) -> None:
        """Resets the simulation to a start state drawn from ``rng``: all at rest, drawer half open, peg hanging."""
        data = self._data
        mujoco.mj_resetData(self._model, data)
        arm = ARM_START + rng.uniform(-0.04, 0.04, 3)
        for name in ("cabinet", "box"):
            data.mocap_pos[self._mocap[name], :2] += rng.uniform(-0.02, 0.02, 2)
        data.qpos[self._drawer] = rng.uniform(0.06, 0.10)
        for cup in CUPS:
            position = np.array([CUP_ROW_X, CUP_ROW_Y[cup]]) + rng.uniform(-0.025, 0.025, 2)
            data.qpos[self._cups[cup] : self._cups[cup] + 2] = position
        data.mocap_pos[self._mocap["reach_target"]] = _reach_target(arm, rng)
        self._control.reset(arm)
        mujoco.mj_forward(self._model, data)


def _reach_target(arm: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A point in the air at least 10 cm from the start, so that it is neither reached nor hidden at once."""
    while True:
        point = rng.uniform([0.32, -0.20, 0.14], [0.52, 0.20, 0.30])
        if np.linalg.norm(point - arm) > 0.10:
            return point
