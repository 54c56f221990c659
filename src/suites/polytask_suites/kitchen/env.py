"""Franka Kitchen as a Gymnasium environment with the suites' interface."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_suites.environment import Observation, SuiteEnv, Vector
from polytask_suites.kitchen.elements import ELEMENTS, done
from polytask_suites.kitchen.model import ARM, FIXTURES, ROBOT, STATE_NAMES, kitchen
from polytask_suites.rendering import Picture
from polytask_suites.task import HOLD_STEPS, SuiteConfig, SuiteError

FASTEST = 2.0
"""rad/s of a joint, m/s of a finger, that an action of 1 asks for."""
_START = (0.1484, -1.7685, 1.8439, -2.4769, 0.2603, 0.7125, 1.5952, 0.04, 0.04)
_KETTLE = (-0.2694, 0.3504, 1.6194, 1.0, 0.0, 0.0, 0.0)
_ARM_SPREAD, _KETTLE_SPREAD = 0.05, 0.01
_LOWEST = np.array([-2.9, -1.8, -2.9, -3.1, -2.9, 0.0, -2.9, 0.0, 0.0])
_HIGHEST = np.array([2.9, 1.8, 2.9, 0.0, 2.9, 3.8, 2.9, 0.04, 0.04])


class KitchenEnv(SuiteEnv):
    """A Franka arm in a kitchen, with some of its elements to be brought to their goals, in any order.

    The physics, the control and the elements' goals are FrankaKitchen-v1's, without its noise on the observation.
    Observation: ``state`` float32 (59,), with ``cameras`` also ``camera`` uint8 (H, W, 3). Action: float32 (9,) in
    [-1, 1], speeds of the joints and fingers. Reward: how many of the task's elements are done. Never terminates;
    truncated at the horizon. ``info["success"]``: all have been done at once for the last five steps.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (as Gymnasium declares it)
        "render_modes": ["rgb_array"],
        "render_fps": 12.5,
    }
    suite = "kitchen"
    called = "the kitchen"
    shared_scene = True
    state_names = STATE_NAMES
    joint_names = ROBOT

    def __init__(self, config: SuiteConfig, task: str, cameras: bool = False, render_mode: str | None = None) -> None:
        super().__init__(config, cameras, render_mode)
        self._model = kitchen()
        self._data = mujoco.MjData(self._model)
        self._substeps = round(1.0 / (self.control_rate * self._model.opt.timestep))
        self._steps, self._held = 0, 0
        self._select(task)
        self._declare_spaces(self._model.nu)

    def _simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        return self._model, self._data

    def _select(self, name: str) -> None:
        task = self.config.task(name)
        self.task, self.horizon = task.name, task.horizon
        self._elements = tuple(task.parameters.get("elements", ()))
        if not self._elements or not set(self._elements) <= set(ELEMENTS):
            raise SuiteError(f"kitchen task {name!r}: elements must be some of {', '.join(ELEMENTS)}")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts with the arm's joints within 0.05 rad and the kettle within 1 cm of the benchmark's start."""
        super().reset(seed=seed)
        if options and options.get("task"):
            self._select(str(options["task"]))
        mujoco.mj_resetData(self._model, self._data)
        robot, fixtures = len(ROBOT), len(FIXTURES)
        self._data.qpos[:robot] = _START
        self._data.qpos[: len(ARM)] += self.np_random.uniform(-_ARM_SPREAD, _ARM_SPREAD, len(ARM))
        self._data.qpos[robot + fixtures :] = _KETTLE
        self._data.qpos[robot + fixtures : robot + fixtures + 2] += self.np_random.uniform(
            -_KETTLE_SPREAD, _KETTLE_SPREAD, 2
        )
        self._data.ctrl[:] = self._data.qpos[:robot]
        mujoco.mj_forward(self._model, self._data)
        self._steps, self._held = 0, 0
        return self._observe(self._state()), {"success": False, "message": ""}

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advances 80 ms. Raises ValueError on a wrong or non-finite action."""
        # As the benchmark does it: where the joints would be after this step, from where they are, held for the step.
        ahead = np.clip(self._checked(action), -1.0, 1.0) * FASTEST / self.control_rate
        self._data.ctrl[:] = np.clip(self._data.qpos[: len(ROBOT)] + ahead, _LOWEST, _HIGHEST)
        mujoco.mj_step(self._model, self._data, self._substeps)
        state = self._state()
        finished = done(state, self._elements)
        self._held = self._held + 1 if finished.all() else 0
        self._steps += 1
        truncated, info = self._with_outcome(self._held >= HOLD_STEPS, f"{int(finished.sum())} of {len(finished)} done")
        return self._observe(state), float(finished.sum()), False, truncated, info

    def done_tasks(self, state: npt.NDArray[np.float32]) -> tuple[str, ...]:
        """See :class:`SuiteEnv`."""
        return tuple(name for name, task in self.tasks.items() if done(state, task.parameters["elements"]).all())

    def _state(self) -> npt.NDArray[np.float32]:
        qpos, qvel, robot = self._data.qpos, self._data.qvel, len(ROBOT)
        return np.concatenate([qpos[:robot], qvel[:robot], qpos[robot:], qvel[robot:]], dtype=np.float32)

    def render(self, width: int | None = None, height: int | None = None) -> Picture:
        """See :class:`SuiteEnv`."""
        # Positions of bodies are those of the step's last substep; bring them up to the state's.
        mujoco.mj_kinematics(self._model, self._data)
        return super().render(width, height)

    def joint_state(self) -> tuple[Vector, Vector]:
        """Positions (rad, fingers m) and velocities of ``joint_names``, float64 (9,) each."""
        return self._data.qpos[: len(ROBOT)].copy(), self._data.qvel[: len(ROBOT)].copy()
