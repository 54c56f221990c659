"""Cheetah-run of the DeepMind Control Suite as a Gymnasium environment with the suites' interface."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_suites.dmc.model import cheetah
from polytask_suites.environment import Observation, SuiteEnv, Vector
from polytask_suites.task import SuiteConfig

JOINTS = ("rootx", "rootz", "rooty", "bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")
STATE_NAMES: tuple[str, ...] = (
    *(f"{joint}.position" for joint in JOINTS[1:]),
    *(f"{joint}.velocity" for joint in JOINTS),
)
"""Names of the 17 entries, in dm_control's order; the way covered is left out. Metres, radians, seconds."""

RUN_SPEED = 10.0
"""m/s from which on the reward of a physics step is 1."""
_SETTLING = 200


class CheetahEnv(SuiteEnv):
    """Run as fast as you can, with one of ten torsos.

    Observation: ``state`` float32 (17,), with ``cameras`` also ``camera`` uint8 (H, W, 3). Action: float32 (6,) in
    [-1, 1], torques of the joints. Reward: dm_control's, ``min(speed / 10 m/s, 1)``, summed over the action repeat, so
    an episode's is at most 1000. Never terminates; truncated at the horizon. ``info["success"]`` is known in the last
    step only: whether the episode's reward reached the task's ``success_return``.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (as Gymnasium declares it)
        "render_modes": ["rgb_array"],
        "render_fps": 50,
    }
    suite = "dmc"
    called = "the cheetah"
    state_names = STATE_NAMES
    joint_names = JOINTS

    def __init__(self, config: SuiteConfig, task: str, cameras: bool = False, render_mode: str | None = None) -> None:
        super().__init__(config, cameras, render_mode)
        self._steps, self._return = 0, 0.0
        self._select(task)
        self._declare_spaces(self._model.nu)

    def _simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        return self._model, self._data

    def _select(self, name: str) -> None:
        task = self.config.task(name)
        self.task, self.horizon = task.name, task.horizon
        self._enough = float(task.parameters["success_return"])
        self._model = cheetah(float(task.parameters["torso"]))
        self._data = mujoco.MjData(self._model)
        self._limited = self._model.jnt_limited.astype(bool)
        self._speed = self._model.sensor_adr[self._model.sensor("torso_subtreelinvel").id]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts from a random pose, after 2 s of settling; ``options={"task": name}`` changes to another torso."""
        super().reset(seed=seed)
        if options and options.get("task") and options["task"] != self.task:
            self.close()
            self._select(str(options["task"]))
        mujoco.mj_resetData(self._model, self._data)
        low, high = self._model.jnt_range[self._limited].T
        self._data.qpos[self._limited] = self.np_random.uniform(low, high)
        for _ in range(_SETTLING):
            mujoco.mj_step(self._model, self._data)
        mujoco.mj_step1(self._model, self._data)
        self._steps, self._return = 0, 0.0
        return self._observe(self._state()), {"success": False, "message": ""}

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advances ``action_repeat`` physics steps. Raises ValueError on a wrong or non-finite action."""
        self._data.ctrl[:] = np.clip(self._checked(action), -1.0, 1.0)
        reward = 0.0
        for _ in range(self.config.action_repeat):
            # The second half of this step and the first of the next: speed and state are of the same moment.
            mujoco.mj_step2(self._model, self._data)
            mujoco.mj_step1(self._model, self._data)
            reward += min(max(float(self._data.sensordata[self._speed]) / RUN_SPEED, 0.0), 1.0)
        self._steps += 1
        self._return += reward
        enough = self._steps >= self.horizon and self._return >= self._enough
        truncated, info = self._with_outcome(enough, f"reward so far {self._return:.0f}")
        return self._observe(self._state()), reward, False, truncated, info

    def _state(self) -> npt.NDArray[np.float32]:
        return np.concatenate([self._data.qpos[1:], self._data.qvel], dtype=np.float32)

    def joint_state(self) -> tuple[Vector, Vector]:
        """Positions (rad, root m) and velocities of ``joint_names``, float64 (9,) each."""
        return self._data.qpos.copy(), self._data.qvel.copy()
