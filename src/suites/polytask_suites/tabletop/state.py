"""The tabletop's state vector: what makes it Markov, positions relative to where they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_suites.tabletop.control import CartesianControl
from polytask_suites.tabletop.parts import BOWL, CUP, JUG
from polytask_suites.tabletop.scene import Scene


def _xyz(name: str) -> tuple[str, ...]:
    return tuple(f"{name}.{axis}" for axis in "xyz")


@lru_cache
def state_names(scene: Scene) -> tuple[str, ...]:
    """Names of the state's entries in order; units metres, radians, seconds, axes of link_base (REP 103)."""
    names = [
        *_xyz("grasp"),  # link_base, m
        *_xyz("target_error"),  # commanded target - grasp, m
        *_xyz("grasp_velocity"),  # link_base, m/s
        "gripper.opening",  # between the fingers, m
        "gripper.command",  # 1 open, 0 closed
        *_xyz("peg_tip"),  # peg tip - grasp, m
        *_xyz("peg_tip_velocity"),  # link_base, m/s
    ]
    for side in scene.cabinets:
        # handle - grasp, m; m, m/s
        names += [*_xyz(f"drawer{side}_handle"), f"drawer{side}.opening", f"drawer{side}.speed"]
    for side in scene.boxes:
        # handle - grasp, m; rad, rad/s
        names += [*_xyz(f"lid{side}_handle"), f"lid{side}.angle", f"lid{side}.rate"]
    for cup in scene.cups:
        # rim centre - peg tip, m; and the cup's axis, x and y of a unit vector (0, 0 when upright)
        names += [*_xyz(f"cup_{cup}"), f"cup_{cup}.up_x", f"cup_{cup}.up_y"]
    names += _xyz("reach_target")  # target - grasp, m
    if scene.grains:
        names += ["jug.tilt", "jug.rate", "jug.grains"]  # rad, rad/s, share of the grains that are in it
        for bowl in scene.bowls:
            names += [*_xyz(bowl), f"{bowl}.grains"]  # rim centre - the jug's lip, m; share of the grains
    return tuple(names)


class StateReader:
    """Reads the state vector from the simulation, after bringing positions and velocities up to date."""

    def __init__(self, scene: Scene, model: mujoco.MjModel, data: mujoco.MjData, control: CartesianControl) -> None:
        self._model = model
        self._data = data
        self._control = control
        self._size = len(state_names(scene))
        moving = [f"drawer{side}" for side in scene.cabinets] + [f"lid{side}" for side in scene.boxes]
        self._grasp, self._peg_tip = model.site("grasp").id, model.site("peg_tip").id
        self._handles = np.array([model.site(f"{name}_handle").id for name in moving])
        self._moving_qpos = np.array([model.joint(name).qposadr[0] for name in moving])
        self._moving_dofs = np.array([model.joint(name).dofadr[0] for name in moving])
        self._fingers = [model.joint(name).qposadr[0] for name in ("left_finger", "right_finger")]
        self._cups = np.array([model.body(f"cup_{cup}").id for cup in scene.cups])
        self._target = int(model.body("reach_target").mocapid[0])
        self._pouring = _Pouring(scene, model, data) if scene.grains else None
        self._speed = np.zeros(6)

    def read(self) -> npt.NDArray[np.float32]:
        """The state now, float32 (n,), in the order of ``state_names``."""
        model, data = self._model, self._data
        # mj_step leaves these quantities as they were before its last integration.
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        grasp, tip = data.site_xpos[self._grasp], data.site_xpos[self._peg_tip]
        qpos = data.qpos
        out = np.empty(self._size, dtype=np.float32)
        out[0:3] = grasp
        out[3:6] = self._control.target - grasp
        out[6:9] = self._velocity(self._grasp)
        out[9] = qpos[self._fingers[0]] + qpos[self._fingers[1]]
        out[10] = self._control.gripper_open
        out[11:14] = tip - grasp
        out[14:17] = self._velocity(self._peg_tip)
        end = 17 + 5 * len(self._handles)
        moving = out[17:end].reshape(-1, 5)
        moving[:, :3] = data.site_xpos[self._handles] - grasp
        moving[:, 3] = qpos[self._moving_qpos]
        moving[:, 4] = data.qvel[self._moving_dofs]
        first, end = end, end + 5 * len(self._cups)
        cups = out[first:end].reshape(-1, 5)
        up = data.xmat[self._cups][:, 2::3]
        cups[:, :3] = data.xpos[self._cups] + CUP.height * up - tip
        cups[:, 3:] = up[:, :2]
        out[end : end + 3] = data.mocap_pos[self._target] - grasp
        if self._pouring:
            self._pouring.read(out[end + 3 :])
        return out

    def _velocity(self, site: int) -> npt.NDArray[np.float64]:
        mujoco.mj_objectVelocity(self._model, self._data, mujoco.mjtObj.mjOBJ_SITE, site, self._speed, 0)
        return self._speed[3:]


class _Pouring:
    """What the state says of jug, grains and bowls."""

    def __init__(self, scene: Scene, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._data = data
        self._tilt = (model.joint("tilt").qposadr[0], model.joint("tilt").dofadr[0])
        self._grains = np.array([model.body(f"grain_{index}").id for index in range(scene.grains)])
        self._lip = model.site("jug_lip").id
        rims = [model.site(name).id for name in ("jug", *scene.bowls)]
        vessels = [JUG] + [BOWL] * len(scene.bowls)
        self._rims = np.array(rims)
        self._radius, self._height = np.array([(vessel.radius, vessel.height) for vessel in vessels]).T[..., None]

    def read(self, out: npt.NDArray[np.float32]) -> None:
        """Fills in the last entries of the state, float32 (3 + 4 bowls,)."""
        data = self._data
        rims = data.site_xpos[self._rims]
        shares = self._shares(rims)
        out[0] = data.qpos[self._tilt[0]]
        out[1] = data.qvel[self._tilt[1]]
        out[2] = shares[0]
        bowls = out[3:].reshape(-1, 4)
        bowls[:, :3] = rims[1:] - data.site_xpos[self._lip]
        bowls[:, 3] = shares[1:]

    def _shares(self, rims: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Share of the grains whose centres are inside each vessel, given the centres of the rims (v, 3): (v,)."""
        data = self._data
        # In each rim's own axes: (v, grains, 3).
        places = (data.xpos[self._grains] - rims[:, None]) @ data.site_xmat[self._rims].reshape(-1, 3, 3)
        x, y, z = np.moveaxis(places, -1, 0)
        inside = (x * x + y * y < self._radius**2) & (z < 0.0) & (z > -self._height)
        shares: npt.NDArray[np.float64] = inside.mean(axis=1)
        return shares


def index_of(names: Sequence[str]) -> dict[str, int]:
    """Where each entry of the state is."""
    return {name: i for i, name in enumerate(names)}
