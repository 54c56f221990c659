"""The tabletop as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_suites.environment import Observation, Renderer, SuiteEnv, Vector
from polytask_suites.tabletop.control import CartesianControl
from polytask_suites.tabletop.scene import ARM_JOINTS, SCENES, physics_model
from polytask_suites.tabletop.start import StartState
from polytask_suites.tabletop.state import StateReader, state_names
from polytask_suites.tabletop.tasks import SUCCESS_PREDICATES
from polytask_suites.task import HOLD_STEPS, SuiteConfig


class TabletopEnv(SuiteEnv):
    """One task of a tabletop suite.

    Observation: ``state`` float32 (n,), see ``state_names``; with ``cameras`` also ``camera`` uint8 (H, W, 3).
    Action: float32 (4,) in [-1, 1]: dx, dy, dz of the commanded target (2 cm each at 1), gripper (open above 0.5).
    Never terminates; truncated at the task's horizon, or as a ``fault`` when it becomes unstable. ``info``: ``success``
    (the predicate held for the last five steps) and ``message``. The same seed and actions give the same episode, bit
    by bit.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (as Gymnasium declares it)
        "render_modes": ["rgb_array"],
        "render_fps": 20,
    }
    called = "the tabletop"
    shared_scene = True
    joint_names = (*ARM_JOINTS, "left_finger", "right_finger")

    def __init__(self, config: SuiteConfig, task: str, cameras: bool = False, render_mode: str | None = None) -> None:
        super().__init__(config, cameras, render_mode)
        self.suite = config.name
        scene = SCENES[config.name]
        self.state_names = state_names(scene)
        model = physics_model(scene)
        self._substeps = round(1.0 / (config.control_rate * model.opt.timestep))
        self._scene, self._model = scene, model
        self.data = mujoco.MjData(model)
        self._control = CartesianControl(scene, model, self.data)
        self._reader = StateReader(scene, model, self.data, self._control)
        self._start = StartState(scene, model, self.data, self._control)
        self._joint_qpos = np.array([model.joint(name).qposadr[0] for name in self.joint_names])
        self._joint_dofs = np.array([model.joint(name).dofadr[0] for name in self.joint_names])
        self._grasp = model.site("grasp").id
        self._steps = self._held = 0
        self._select(task)
        self._declare_spaces(4)

    def _simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        return self._model, self.data

    def _select(self, task: str) -> None:
        self.task = self.config.task(task).name
        self.horizon = self.tasks[task].horizon
        self._predicate = SUCCESS_PREDICATES[self.suite][task]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode; ``options={"task": name}`` changes the task, the start depends on the seed alone."""
        super().reset(seed=seed)
        if options and options.get("task"):
            self._select(str(options["task"]))
        self._start.apply(self.np_random)
        self._steps = self._held = 0
        state = self._reader.read()
        return self._observe(state), {"success": False, "message": self._predicate(state)[2]}

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advances one control step (times the action repeat). Raises ValueError on a wrong or non-finite action."""
        values = np.minimum(np.maximum(self._checked(action, np.float64), -1.0), 1.0)
        for _ in range(self.config.action_repeat):
            self._control.command(values, self.data.site_xpos[self._grasp])
            mujoco.mj_step(self._model, self.data, nstep=self._substeps)
            state = self._reader.read()
            done, reward, message = self._predicate(state)
            self._held = self._held + 1 if done else 0
        self._steps += 1
        truncated, info = self._with_outcome(self._held >= HOLD_STEPS, message)
        return self._observe(state), reward, False, truncated, info

    def done_tasks(self, state: npt.NDArray[np.float32]) -> tuple[str, ...]:
        """See :class:`SuiteEnv`."""
        return tuple(name for name, predicate in SUCCESS_PREDICATES[self.suite].items() if predicate(state)[0])

    def joint_state(self) -> tuple[Vector, Vector]:
        """Positions (rad, fingers m) and velocities of ``joint_names``, float64 (9,) each."""
        return self.data.qpos[self._joint_qpos], self.data.qvel[self._joint_dofs]

    def _make_renderer(self) -> Renderer:
        from polytask_suites.tabletop.rendering import SceneRenderer

        return SceneRenderer(self._scene, self._model, self.config.camera)
