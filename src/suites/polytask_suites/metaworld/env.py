"""A Meta-World task as a Gymnasium environment with a float32 state and a seeded start."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.sawyer_xyz_env import SawyerXYZEnv

from polytask_suites.environment import Observation, SuiteEnv, Vector
from polytask_suites.rendering import Picture
from polytask_suites.task import SuiteConfig, SuiteError

_CORNER2_POSITION = (0.75, 0.075, 0.7)
"""Closer to the table than Meta-World puts it, metres; the usual choice for learning from pictures."""

_POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
_FRAME = (
    *(f"hand.{axis}" for axis in "xyz"),
    "gripper.opening",
    *(f"object_a.{part}" for part in _POSE),
    *(f"object_b.{part}" for part in _POSE),
)
STATE_NAMES: tuple[str, ...] = (*_FRAME, *(f"previous_{name}" for name in _FRAME), "goal.x", "goal.y", "goal.z")
"""Names of the 39 entries: this frame, the previous one, the goal. Metres in Meta-World's world; zero if unused."""


class MetaWorldEnv(SuiteEnv):
    """One Meta-World task, its goal in the observation.

    Observation: ``state`` float32 (39,), with ``cameras`` also ``camera`` uint8 (H, W, 3). Action: float32 (4,) in
    [-1, 1]: dx, dy, dz of the hand (1 cm each at 1), gripper effort (positive closes). Never terminates; truncated at
    the task's horizon. ``info["success"]`` is Meta-World's own, of this very step. Reward: Meta-World's, 0 to 10,
    mean over the action repeat.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (as Gymnasium declares it)
        "render_modes": ["rgb_array"],
        "render_fps": 40,
    }
    suite = "metaworld"
    called = "Meta-World"
    state_names = STATE_NAMES
    joint_names = (*(f"right_j{i}" for i in range(7)), "r_close", "l_close")

    def __init__(self, config: SuiteConfig, task: str, cameras: bool = False, render_mode: str | None = None) -> None:
        super().__init__(config, cameras, render_mode)
        self._steps = 0
        self._select(task)
        self._declare_spaces(4)

    def _simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        return self._inner.model, self._inner.data

    def _select(self, task: str) -> None:
        self.task = self.config.task(task).name
        self.horizon = self.tasks[task].horizon
        self._inner: SawyerXYZEnv = ALL_V3_ENVIRONMENTS[f"{task}-v3"]()
        if self.horizon * self.config.action_repeat > self._inner.max_path_length:
            limit = self._inner.max_path_length // self.config.action_repeat
            raise SuiteError(f"metaworld task {task!r}: Meta-World allows a horizon of {limit} at most")
        model = self._inner.model
        model.cam_pos[model.camera("corner2").id] = _CORNER2_POSITION
        self._inner._freeze_rand_vec = False
        self._inner.seeded_rand_vec = True
        self._inner._set_task_called = True
        self._inner._partially_observable = False
        # The space was cached when the goal was still hidden.
        self._inner.__dict__.pop("sawyer_observation_space", None)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode from ``seed``; ``options={"task": name}`` changes to another task's scene."""
        super().reset(seed=seed)
        if options and options.get("task") and options["task"] != self.task:
            self.close()
            self._select(str(options["task"]))
        self._inner.seed(int(self.np_random.integers(2**31)))
        self._inner.reset()
        # Some objects are reported where they were before the reset moved them: look again, twice for both frames.
        mujoco.mj_forward(self._inner.model, self._inner.data)
        self._inner._get_obs()
        state = self._inner._get_obs().astype(np.float32)
        self._steps = 0
        return self._observe(state), {"success": False, "message": ""}

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advances ``action_repeat`` steps of Meta-World. Raises ValueError on a wrong or non-finite action."""
        values = np.clip(self._checked(action), -1.0, 1.0)
        total, success = 0.0, False
        for _ in range(self.config.action_repeat):
            state, reward, _, _, inner = self._inner.step(values)
            total += float(reward)
            success = bool(inner["success"])
        self._steps += 1
        truncated, info = self._with_outcome(success, f"{100 * float(inner['obj_to_target']):.1f} cm from the goal")
        reward = total / self.config.action_repeat
        return self._observe(state.astype(np.float32)), reward, False, truncated, info

    def render(self, width: int | None = None, height: int | None = None) -> Picture:
        """See :class:`SuiteEnv`."""
        picture = super().render(width, height)
        # This camera hangs upside down.
        return np.ascontiguousarray(picture[::-1, ::-1]) if self.config.camera.name == "corner2" else picture

    def joint_state(self) -> tuple[Vector, Vector]:
        """Positions (rad, fingers m) and velocities of ``joint_names``, float64 (9,) each."""
        data = self._inner.data
        return data.qpos[: len(self.joint_names)].copy(), data.qvel[: len(self.joint_names)].copy()
