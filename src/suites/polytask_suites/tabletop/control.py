"""Cartesian control of the tabletop arm: small steps of a commanded target, followed by differential IK."""

from __future__ import annotations

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_suites.tabletop.scene import ARM_JOINTS, Scene

Array = npt.NDArray[np.float64]

STEP = 0.02
"""Motion of the commanded target at an action of 1, in metres per control step."""
WIND_UP = 0.03
"""The commanded target never leads the grasp point by more than this, metres."""
HOME = np.array([0.0, -0.15, 0.0, 0.90, 0.0, 1.05, 0.0])
"""Joint angles the redundant arm is drawn to, radians."""

_DOWN = np.diag([1.0, -1.0, -1.0])
_DAMPING = 1e-4 * np.eye(6)
_POSTURE_GAIN = 0.1


class CartesianControl:
    """Turns actions (dx, dy, dz, gripper), each in [-1, 1], into joint targets; the tool keeps pointing down.

    The gripper opens above 0.5, closes below -0.5 and otherwise stays, as on the paper's arm. Where the hand carries a
    jug, it tilts while the gripper is open.
    """

    def __init__(self, scene: Scene, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._workspace = np.array(scene.workspace)
        self._model = model
        self._data = data
        self._plan = mujoco.MjData(model)
        self._site = model.site("grasp").id
        joints = [model.joint(name) for name in ARM_JOINTS]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        dofs = [int(joint.dofadr[0]) for joint in joints]
        self._dofs = slice(dofs[0], dofs[-1] + 1)
        self._low = np.array([joint.range[0] for joint in joints])
        self._high = np.array([joint.range[1] for joint in joints])
        self._jac = np.zeros((6, model.nv))
        self._joints = HOME.copy()
        self.target: Array = np.zeros(3)
        self.gripper_open = False

    def reset(self, position: Array) -> None:
        """Puts arm and closed gripper at rest with the grasp point at ``position`` (3,), metres."""
        self._joints = HOME.copy()
        self.target = position.copy()
        self.gripper_open = False
        for _ in range(30):
            self._solve()
        self._data.qpos[self._qpos] = self._joints
        self._send()

    def command(self, action: Array, grasp: Array) -> None:
        """Applies one action (4,) given where the grasp point is now (3,)."""
        target = self.target + STEP * action[:3]
        lead = target - grasp
        length = float(np.sqrt(lead @ lead))
        if length > WIND_UP:
            target = grasp + lead * (WIND_UP / length)
        self.target = np.minimum(np.maximum(target, self._workspace[0]), self._workspace[1])
        if action[3] > 0.5:
            self.gripper_open = True
        elif action[3] < -0.5:
            self.gripper_open = False
        self._solve()
        self._solve()
        self._send()

    def _send(self) -> None:
        self._data.ctrl[:7] = self._joints
        self._data.ctrl[7:] = self._model.actuator_ctrlrange[7:, int(self.gripper_open)]

    def _solve(self) -> None:
        """One damped least-squares step of the planned joints towards the target, posture in the null space."""
        plan = self._plan
        plan.qpos[self._qpos] = self._joints
        mujoco.mj_kinematics(self._model, plan)
        mujoco.mj_comPos(self._model, plan)
        mujoco.mj_jacSite(self._model, plan, self._jac[:3], self._jac[3:], self._site)
        jac = self._jac[:, self._dofs]
        axes = plan.site_xmat[self._site].reshape(3, 3)
        # Sum over the tool's axes of axis x wanted axis: the small-angle rotation that is missing, times two.
        turn = axes @ _DOWN.T
        error = np.empty(6)
        error[:3] = self.target - plan.site_xpos[self._site]
        error[3] = 0.5 * (turn[1, 2] - turn[2, 1])
        error[4] = 0.5 * (turn[2, 0] - turn[0, 2])
        error[5] = 0.5 * (turn[0, 1] - turn[1, 0])
        posture = _POSTURE_GAIN * (HOME - self._joints)
        step = posture + jac.T @ np.linalg.solve(jac @ jac.T + _DAMPING, error - jac @ posture)
        self._joints = np.minimum(np.maximum(self._joints + step, self._low), self._high)
