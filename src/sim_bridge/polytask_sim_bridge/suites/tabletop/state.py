"""The tabletop's state vector: what makes it Markov, positions relative to where they are needed."""

from __future__ import annotations

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_sim_bridge.suites.tabletop.control import CartesianControl
from polytask_sim_bridge.suites.tabletop.scene import CUP_HEIGHT, CUPS


def _xyz(name: str) -> tuple[str, ...]:
    return tuple(f"{name}.{axis}" for axis in "xyz")


STATE_NAMES: tuple[str, ...] = (
    *_xyz("grasp"),  # link_base, m
    *_xyz("target_error"),  # commanded target - grasp, m
    *_xyz("grasp_velocity"),  # link_base, m/s
    "gripper.opening",  # between the fingers, m
    "gripper.command",  # 1 open, 0 closed
    *_xyz("peg_tip"),  # peg tip - grasp, m
    *_xyz("peg_tip_velocity"),  # link_base, m/s
    *_xyz("drawer_handle"),  # handle - grasp, m
    "drawer.opening",  # m
    "drawer.speed",  # m/s
    *_xyz("lid_handle"),  # handle - grasp, m
    "lid.angle",  # rad
    "lid.rate",  # rad/s
    # rim centre - peg tip, m; and the cup's axis, x and y of a unit vector (0, 0 when upright)
    *(name for cup in CUPS for name in (*_xyz(f"cup_{cup}"), f"cup_{cup}.up_x", f"cup_{cup}.up_y")),
    *_xyz("reach_target"),  # target - grasp, m
)
"""Names of the state's entries in order; units metres, radians, seconds, axes of link_base (REP 103)."""


class StateReader:
    """Reads the state vector from the simulation, after bringing positions and velocities up to date."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, control: CartesianControl) -> None:
        self._model = model
        self._data = data
        self._control = control
        site = {name: model.site(name).id for name in ("grasp", "peg_tip", "drawer_handle", "lid_handle")}
        self._sites = np.array(list(site.values()))
        self._grasp, self._peg_tip = site["grasp"], site["peg_tip"]
        self._drawer = (model.joint("drawer").qposadr[0], model.joint("drawer").dofadr[0])
        self._lid = (model.joint("lid").qposadr[0], model.joint("lid").dofadr[0])
        self._fingers = [model.joint(name).qposadr[0] for name in ("left_finger", "right_finger")]
        self._cups = np.array([model.body(f"cup_{cup}").id for cup in CUPS])
        self._target = int(model.body("reach_target").mocapid[0])
        self._speed = np.zeros(6)

    def read(self) -> npt.NDArray[np.float32]:
        """The state now, float32 (45,), in the order of STATE_NAMES."""
        model, data = self._model, self._data
        # mj_step leaves these quantities as they were before its last integration.
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        grasp, tip, drawer_handle, lid_handle = data.site_xpos[self._sites]
        qpos, qvel = data.qpos, data.qvel
        out = np.empty(len(STATE_NAMES), dtype=np.float32)
        out[0:3] = grasp
        out[3:6] = self._control.target - grasp
        out[6:9] = self._velocity(self._grasp)
        out[9] = qpos[self._fingers[0]] + qpos[self._fingers[1]]
        out[10] = self._control.gripper_open
        out[11:14] = tip - grasp
        out[14:17] = self._velocity(self._peg_tip)
        out[17:20] = drawer_handle - grasp
        out[20] = qpos[self._drawer[0]]
        out[21] = qvel[self._drawer[1]]
        out[22:25] = lid_handle - grasp
        out[25] = qpos[self._lid[0]]
        out[26] = qvel[self._lid[1]]
        cups = out[27:42].reshape(3, 5)
        up = data.xmat[self._cups][:, 2::3]
        cups[:, :3] = data.xpos[self._cups] + CUP_HEIGHT * up - tip
        cups[:, 3:] = up[:, :2]
        out[42:45] = data.mocap_pos[self._target] - grasp
        return out

    def _velocity(self, site: int) -> npt.NDArray[np.float64]:
        mujoco.mj_objectVelocity(self._model, self._data, mujoco.mjtObj.mjOBJ_SITE, site, self._speed, 0)
        return self._speed[3:]
