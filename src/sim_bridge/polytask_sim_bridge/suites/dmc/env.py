"""Cheetah-run of the DeepMind Control Suite as a Gymnasium environment with the suites' interface."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import mujoco
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from polytask_sim_bridge.suites.dmc.model import cheetah
from polytask_sim_bridge.suites.rendering import Picture, PlainRenderer
from polytask_sim_bridge.suites.task import SuiteConfig

Observation = dict[str, npt.NDArray[Any]]
Vector = npt.NDArray[np.float64]

JOINTS = ("rootx", "rootz", "rooty", "bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")
STATE_NAMES: tuple[str, ...] = (
    *(f"{joint}.position" for joint in JOINTS[1:]),
    *(f"{joint}.velocity" for joint in JOINTS),
)
"""Names of the 17 entries, in dm_control's order; the way covered is left out. Metres, radians, seconds."""

RUN_SPEED = 10.0
"""m/s from which on the reward of a physics step is 1."""
_SETTLING = 200


class CheetahEnv(gymnasium.Env[Observation, npt.NDArray[np.float32]]):
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
    state_names = STATE_NAMES
    joint_names = JOINTS

    def __init__(self, config: SuiteConfig, task: str, cameras: bool = False, render_mode: str | None = None) -> None:
        self.config = config
        self.tasks = config.tasks
        self.control_rate = config.control_rate / config.action_repeat
        self.render_mode = render_mode
        self.cameras = cameras
        self._renderer: PlainRenderer | None = None
        self._steps, self._return = 0, 0.0
        self._select(task)
        self.action_space = spaces.Box(-1.0, 1.0, (self._model.nu,), np.float32)
        parts: dict[str, spaces.Space[Any]] = {"state": spaces.Box(-np.inf, np.inf, (len(STATE_NAMES),), np.float32)}
        if cameras:
            parts["camera"] = spaces.Box(0, 255, (config.camera.height, config.camera.width, 3), np.uint8)
        self.observation_space = spaces.Dict(parts)  # type: ignore[assignment]

    def _select(self, name: str) -> None:
        task = self.config.task(name)
        self.task, self.horizon = task.name, task.horizon
        self._enough = float(task.parameters["success_return"])
        self._model = cheetah(float(task.parameters["torso"]))
        self._data = mujoco.MjData(self._model)
        self._limited = self._model.jnt_limited.astype(bool)
        self._speed = self._model.sensor_adr[self._model.sensor("torso_subtreelinvel").id]
        self.camera_fovy = math.radians(self._model.cam_fovy[self._model.camera(self.config.camera.name).id])

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
        return self._observe(), {"success": False, "message": ""}

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advances ``action_repeat`` physics steps. Raises ValueError on a wrong or non-finite action."""
        values = np.asarray(action, dtype=np.float32)
        if values.shape != self.action_space.shape or not np.isfinite(values).all():
            raise ValueError(f"an action of the cheetah is 6 finite numbers in [-1, 1], got {action!r}")
        self._data.ctrl[:] = np.clip(values, -1.0, 1.0)
        reward = 0.0
        for _ in range(self.config.action_repeat):
            # The second half of this step and the first of the next: speed and state are of the same moment.
            mujoco.mj_step2(self._model, self._data)
            mujoco.mj_step1(self._model, self._data)
            reward += min(max(float(self._data.sensordata[self._speed]) / RUN_SPEED, 0.0), 1.0)
        self._steps += 1
        self._return += reward
        over = self._steps >= self.horizon
        info = {"success": over and self._return >= self._enough, "message": f"reward so far {self._return:.0f}"}
        return self._observe(), reward, False, over, info

    def _observe(self) -> Observation:
        state = np.concatenate([self._data.qpos[1:], self._data.qvel]).astype(np.float32)
        if self.cameras:
            return {"state": state, "camera": self.render()}
        return {"state": state}

    def render(self, width: int | None = None, height: int | None = None) -> Picture:
        """A picture uint8 (height, width, 3) from the suite's camera; its size unless told otherwise."""
        camera = self.config.camera
        if self._renderer is None:
            self._renderer = PlainRenderer(self._model, camera.name)
        return self._renderer.render(self._data, width or camera.width, height or camera.height)

    def joint_state(self) -> tuple[Vector, Vector]:
        """Positions (rad, root m) and velocities of ``joint_names``, float64 (9,) each."""
        return self._data.qpos.copy(), self._data.qvel.copy()

    def close(self) -> None:
        """Frees the renderer, if one was made."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
