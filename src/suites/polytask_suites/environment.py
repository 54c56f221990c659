"""Common part of all suites' environments: spaces, the check of actions, images."""

from __future__ import annotations

import math
from typing import Any, Protocol

import gymnasium
import mujoco
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from polytask_suites.rendering import Picture, PlainRenderer
from polytask_suites.task import SuiteConfig

Observation = dict[str, npt.NDArray[Any]]
Vector = npt.NDArray[np.float64]


_UNSTABLE = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)


class Renderer(Protocol):
    """Draws the positions in a simulation's data."""

    def render(self, data: mujoco.MjData, width: int, height: int) -> Picture:
        """A picture uint8 (height, width, 3)."""
        ...

    def close(self) -> None:
        """Frees the OpenGL contexts."""


class SuiteEnv(gymnasium.Env[Observation, npt.NDArray[np.float32]]):
    """Base of the suites' environments.

    Observation: ``state`` float32 (n,), see ``state_names``; with ``cameras`` also ``camera`` uint8 (H, W, 3). Action:
    float32 (k,) in [-1, 1]. A subclass has ``reset``, ``step`` and ``joint_state``, and says what is simulated.
    ``info`` holds ``success``, ``message``, and a true ``fault`` where the simulation failed: the episode is truncated.
    """

    suite: str
    called: str
    """The suite in messages, as in "an action of the kitchen"."""
    state_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    task: str
    shared_scene = False
    """Whether the tasks share one scene, in which any of them may be done and judged at any time."""
    horizon: int
    _steps: int

    def __init__(self, config: SuiteConfig, cameras: bool, render_mode: str | None) -> None:
        self.config = config
        self.tasks = config.tasks
        self.control_rate = config.control_rate / config.action_repeat
        self.render_mode = render_mode
        self.cameras = cameras
        self._renderer: Renderer | None = None

    def _declare_spaces(self, actions: int) -> None:
        """Sets the spaces, for ``actions`` entries of an action. Raises KeyError for a camera that there is not."""
        _ = self.camera_fovy
        self.action_space = spaces.Box(-1.0, 1.0, (actions,), np.float32)
        states = spaces.Box(-np.inf, np.inf, (len(self.state_names),), np.float32)
        parts: dict[str, spaces.Space[Any]] = {"state": states}
        if self.cameras:
            camera = self.config.camera
            parts["camera"] = spaces.Box(0, 255, (camera.height, camera.width, 3), np.uint8)
        self.observation_space = spaces.Dict(parts)  # type: ignore[assignment]

    def done_tasks(self, state: npt.NDArray[np.float32]) -> tuple[str, ...]:
        """Names of the tasks whose success predicate is met in a ``state`` float32 (n,), in a shared scene."""
        return ()

    def _simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """The physics' model and data."""
        raise NotImplementedError

    def _checked(self, action: npt.NDArray[np.float32], dtype: type = np.float32) -> npt.NDArray[Any]:
        """The action as an array of that type. Raises ValueError on a wrong or non-finite one."""
        values: npt.NDArray[Any] = np.asarray(action, dtype=dtype)
        if values.shape != self.action_space.shape or not np.isfinite(values).all():
            size = self.action_space.shape[0]  # type: ignore[index]
            raise ValueError(f"an action of {self.called} is {size} finite numbers in [-1, 1], got {action!r}")
        return values

    def _with_outcome(self, success: bool, message: str) -> tuple[bool, dict[str, Any]]:
        """Whether the episode is truncated after this step, at its horizon or by a fault, and the step's ``info``."""
        if any(self._simulation()[1].warning[kind].number for kind in _UNSTABLE):
            # MuJoCo has put the scene back to its defaults: nothing that follows belongs to this episode.
            return True, {"success": False, "message": "the simulation became unstable", "fault": True}
        return self._steps >= self.horizon, {"success": success, "message": message}

    def _observe(self, state: npt.NDArray[np.float32]) -> Observation:
        if self.cameras:
            return {"state": state, "camera": self.render()}
        return {"state": state}

    @property
    def camera_fovy(self) -> float:
        """Vertical field of view of the suite's camera, rad."""
        model, _ = self._simulation()
        return math.radians(model.cam_fovy[model.camera(self.config.camera.name).id])

    def _make_renderer(self) -> Renderer:
        return PlainRenderer(self._simulation()[0], self.config.camera.name)

    def render(self, width: int | None = None, height: int | None = None) -> Picture:
        """A picture uint8 (height, width, 3) from the suite's camera; its size unless told otherwise."""
        camera = self.config.camera
        if self._renderer is None:
            self._renderer = self._make_renderer()
        return self._renderer.render(self._simulation()[1], width or camera.width, height or camera.height)

    def close(self) -> None:
        """Frees the renderer, if one was made."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
