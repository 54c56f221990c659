"""Start states of the tabletop: a function of the seed alone, the same for every task."""

from __future__ import annotations

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_suites.tabletop.control import CartesianControl
from polytask_suites.tabletop.parts import JUG
from polytask_suites.tabletop.scene import Scene


class StartState:
    """Draws and applies a start state; ranges after the issue's table: cups 2.5 cm, furniture 2 cm, arm 4 cm."""

    def __init__(self, scene: Scene, model: mujoco.MjModel, data: mujoco.MjData, control: CartesianControl) -> None:
        self._scene, self._model, self._data, self._control = scene, model, data, control
        furniture = [f"cabinet{side}" for side in scene.cabinets] + [f"box{side}" for side in scene.boxes]
        self._furniture = [int(model.body(name).mocapid[0]) for name in (*furniture, *scene.bowls)]
        self._target = int(model.body("reach_target").mocapid[0])
        self._drawers = [int(model.joint(f"drawer{side}").qposadr[0]) for side in scene.cabinets]
        self._cups = [int(model.joint(f"cup_{cup}").qposadr[0]) for cup in scene.cups]
        self._grains = [int(model.joint(f"grain_{index}").qposadr[0]) for index in range(scene.grains)]

    def apply(self, rng: np.random.Generator) -> None:
        """Resets the simulation to a start state drawn from ``rng``: all at rest, drawer half open, peg hanging."""
        scene, data = self._scene, self._data
        mujoco.mj_resetData(self._model, data)
        arm = np.array(scene.arm_start) + rng.uniform(-0.04, 0.04, 3)
        for body in self._furniture:
            data.mocap_pos[body, :2] += rng.uniform(-0.02, 0.02, 2)
        for drawer in self._drawers:
            data.qpos[drawer] = rng.uniform(0.06, 0.10)
        for cup, middle in zip(self._cups, scene.cups.values(), strict=True):
            data.qpos[cup : cup + 2] = np.array(middle) + rng.uniform(-0.025, 0.025, 2)
        data.mocap_pos[self._target] = _reach_target(scene, arm, rng)
        self._control.reset(arm)
        if self._grains:
            self._fill_jug()
        mujoco.mj_forward(self._model, data)

    def _fill_jug(self) -> None:
        """Puts the grains side by side on the bottom of the jug."""
        mujoco.mj_kinematics(self._model, self._data)
        radius = float(self._model.geom("grain_0").size[0])
        bottom = self._data.site("jug").xpos + np.array([0.0, 0.0, 0.004 + radius - JUG.height])
        for index, grain in enumerate(self._grains):
            angle = 2 * np.pi * (index + 0.5) / len(self._grains)
            circle = 0.012 * np.array([np.cos(angle), np.sin(angle), 0.0])
            self._data.qpos[grain : grain + 3] = bottom + circle


def _reach_target(scene: Scene, arm: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A point in the air at least 10 cm from the start, so that it is neither reached nor hidden at once."""
    while True:
        point = rng.uniform(*scene.targets)
        if np.linalg.norm(point - arm) > 0.10:
            return point
