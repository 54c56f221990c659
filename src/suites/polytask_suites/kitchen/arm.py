"""The Franka arm as scripts see it: the scene for a state, and joint speeds that bring the finger tips somewhere."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_suites.kitchen.env import FASTEST
from polytask_suites.kitchen.model import ARM, ROBOT, kitchen

Vector = npt.NDArray[np.float64]

UPRIGHT: Vector = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
"""Hand pointing away from the robot, fingers beside each other. Columns: the hand's axes in the world."""
SIDEWAYS: Vector = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
"""The same, fingers above each other."""

AWAY: Vector = np.array([0.0, 1.0, 0.0])
"""From the robot towards the kitchen, the way the hand points."""

_TIP = 0.045
"""Metres from the model's site in the hand to between the finger tips."""
_STEP = 0.08
_GAINS = np.array([870.0, 870.0, 870.0, 870.0, 120.0, 120.0, 120.0])
"""N·m/rad of the model's actuators."""
_COMFORTABLE = np.array([-0.5, -1.0, 1.6, -2.2, 0.0, 1.4, 1.4])
_MARGIN, _DAMPING, _LAG = 0.03, 1e-3, 2.0
_LOWEST = np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, 0.0, -2.8973]) + _MARGIN
_HIGHEST = np.array([2.8973, 1.7628, 2.8973, -0.4, 2.8973, 2.1127, 2.8973]) - _MARGIN


class Arm:
    """Forward and inverse kinematics of one state at a time."""

    def __init__(self) -> None:
        self.model = kitchen()
        self.data = mujoco.MjData(self.model)
        self._site = self.model.site("end_effector").id
        self._body = int(self.model.site_bodyid[self._site])

    def look(self, state: npt.NDArray[np.float32]) -> None:
        """Takes over a state float32 (59,) of the suite."""
        robot = len(ROBOT)
        self.data.qpos[:] = np.concatenate([state[:robot], state[2 * robot : 2 * robot + self.model.nq - robot]])
        self.data.qvel[:] = 0.0
        mujoco.mj_forward(self.model, self.data)
        self.axes: Vector = self.data.site_xmat[self._site].reshape(3, 3).copy()
        self.tip: Vector = self.data.site_xpos[self._site] + _TIP * self.axes[:, 2]
        self.gap = float(self.data.qpos[len(ARM) : robot].sum())

    def at(self, body: str) -> Vector:
        """Where a body is (3,)."""
        return np.array(self.data.body(body).xpos)

    def site(self, name: str) -> Vector:
        """Where a site is (3,)."""
        return np.array(self.data.site(name).xpos)

    def point(self, joint: str, at: Sequence[float]) -> tuple[Vector, Vector]:
        """Where the point ``at`` of a joint's body is (3,), and the direction (3,) in which the joint moves it."""
        number = self.model.joint(joint).id
        body = int(self.model.jnt_bodyid[number])
        point = self.data.xpos[body] + self.data.xmat[body].reshape(3, 3) @ np.asarray(at)
        path = self.data.xaxis[number]
        if self.model.jnt_type[number] == mujoco.mjtJoint.mjJNT_HINGE:
            path = np.cross(path, point - self.data.xanchor[number])
        return point, np.asarray(path / np.linalg.norm(path))

    def turn(self, axes: Vector) -> Vector:
        """The small rotation (3,) rad, about the world's axes, that would bring the hand to ``axes``."""
        return np.asarray(0.5 * np.cross(self.axes.T, axes.T).sum(axis=0))

    def go(self, target: Vector, fingers: float, axes: Vector = UPRIGHT, speed: float = 0.3) -> npt.NDArray[np.float32]:
        """The action float32 (9,) that moves the tip towards ``target`` (3,) at up to ``speed`` m/s.

        ``fingers``: 1 opens, -1 closes. Damped least squares; joints at their limit are left out, and what freedom
        remains goes to a comfortable posture. The arm sags under its weight, so its torques are allowed for.
        """
        twist = np.concatenate([_at_most(target - self.tip, speed * _STEP), 0.1 * _at_most(self.turn(axes), 0.15)])
        moving, turning = np.zeros((3, self.model.nv)), np.zeros((3, self.model.nv))
        mujoco.mj_jac(self.model, self.data, moving, turning, self.tip, self._body)
        jacobian = np.vstack([moving, 0.1 * turning])[:, : len(ARM)]
        joints = self.data.qpos[: len(ARM)]
        free, change = np.ones(len(ARM), dtype=bool), np.zeros(len(ARM))
        for _ in range(4):
            part = jacobian[:, free]
            inverse = part.T @ np.linalg.inv(part @ part.T + _DAMPING * np.eye(6))
            spare = np.eye(int(free.sum())) - inverse @ part
            change = np.zeros(len(ARM))
            change[free] = inverse @ twist + 0.05 * spare @ (_COMFORTABLE - joints)[free]
            after = joints + change
            stuck = free & (((after < _LOWEST) & (change < 0)) | ((after > _HIGHEST) & (change > 0)))
            if not stuck.any():
                break
            free &= ~stuck
        ahead = _LAG * change + self.data.qfrc_bias[: len(ARM)] / _GAINS
        action = np.concatenate([ahead / (FASTEST * _STEP), [fingers, fingers]])
        return np.asarray(np.clip(action, -1.0, 1.0), dtype=np.float32)


def _at_most(vector: Vector, length: float) -> Vector:
    norm = float(np.linalg.norm(vector))
    return vector if norm <= length else vector * (length / norm)
