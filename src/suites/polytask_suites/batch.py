"""Suites that step many environments together in NumPy, and one environment of those with the usual interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from polytask_suites.task import SuiteConfig

Observation = dict[str, npt.NDArray[Any]]
Vector = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Which = slice | Indices
"""Environments of a batch: ``slice(None)`` for all of them, or their numbers."""
EVERY = slice(None)


class BatchEnv(VectorEnv[Floats, npt.NDArray[Any], npt.NDArray[Any]]):
    """Many environments of a suite stepped together; every one has its own task and its own random numbers.

    Observation float32 (B, n), reward float64 (B,), ``terminated`` (at success), ``truncated`` (at the task's horizon)
    and ``info["success"]`` bool (B,). What ended begins anew in the same step; ``info["final_obs"]`` float32 (B, n) is
    the observation before that, and ``info["_final_obs"]`` bool (B,) says which ended. Environment i goes exactly
    through the steps of a batch of one with the same seed and actions.

    A subclass says in ``__init__`` what its spaces are (:meth:`_declare_spaces`) and has the methods that raise
    NotImplementedError here.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (as Gymnasium declares it)
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": 20,
    }
    suite: str
    called: str
    """The suite in messages, as in "an action of the maze"."""
    state_names: tuple[str, ...]
    joint_names: tuple[str, ...] = ()
    camera_fovy = 1.0
    """Vertical field of view, rad, that stands for the view from above."""

    def __init__(self, config: SuiteConfig, tasks: Sequence[str]) -> None:
        """``tasks[i]`` is played by environment i. Raises SuiteError for an unknown one."""
        self.config = config
        self.num_envs = len(tasks)
        self._horizons = np.array([task.horizon for task in config.tasks.values()])
        self._select(tasks)
        self.random = [np.random.default_rng() for _ in tasks]
        """The generator of each environment."""
        self._steps = np.zeros(self.num_envs, np.int64)

    def _declare_spaces(self, action: spaces.Box | spaces.Discrete) -> None:
        """Sets the spaces: ``action`` is one environment's, the observation has an entry for each state name."""
        self.single_action_space = action
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (len(self.state_names),), np.float32)
        self.action_space = batch_space(action, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def _select(self, tasks: Sequence[str]) -> None:
        order = list(self.config.tasks)
        self.tasks = tuple(self.config.task(name).name for name in tasks)
        self.task_index: Indices = np.array([order.index(name) for name in self.tasks], np.int64)
        """int64 (B,): each environment's task, by its place in the suite's file."""

    def _begin(self, which: Indices) -> None:
        """Starts episodes of these environments; what is random comes from ``self.random`` and no task's business."""
        raise NotImplementedError

    def _advance(self, actions: npt.NDArray[Any]) -> tuple[Vector, npt.NDArray[np.bool_]]:
        """One step of all with checked actions; gives rewards float64 (B,) and successes bool (B,)."""
        raise NotImplementedError

    def _observe(self, which: Which) -> Floats:
        """A fresh array float32 (·, n) of what these environments observe."""
        raise NotImplementedError

    def _told(self, which: Which) -> Mapping[str, npt.NDArray[Any]]:
        """What ``info`` says of the state besides, e.g. an oracle's stage; ``final_<name>`` is that before a reset."""
        return {}

    def draw(self, index: int, width: int, height: int) -> Picture:
        """A picture uint8 (height, width, 3) of an environment, for people."""
        raise NotImplementedError

    def joint_state(self, index: int) -> tuple[Vector, Vector]:
        """Positions and velocities of ``joint_names``, float64 (k,) each."""
        return np.zeros(0), np.zeros(0)

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Starts all anew: a seed s gives environment i the seed s + i, None lets their random numbers go on.

        ``options={"tasks": names}`` gives the environments other tasks. Raises SuiteError for an unknown one.
        """
        if options and options.get("tasks"):
            if len(options["tasks"]) != self.num_envs:
                raise ValueError(f"{self.num_envs} environments have as many tasks, not {len(options['tasks'])}")
            self._select(options["tasks"])
        if seed is not None:
            seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
            if len(seeds) != self.num_envs:
                raise ValueError(f"{self.num_envs} environments have as many seeds, not {len(seeds)}")
            self.random = [np.random.default_rng(one) for one in seeds]
        self._restart(np.arange(self.num_envs))
        return self._observe(EVERY), {"success": np.zeros(self.num_envs, bool), **self._told(EVERY)}

    def step(
        self, actions: npt.NDArray[Any]
    ) -> tuple[Floats, Vector, npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]]:
        """One step of all. Raises ValueError on wrong or non-finite actions."""
        reward, success, over = self._play(actions)
        observation, told = self._observe(EVERY), self._told(EVERY)
        ended = success | over
        info: dict[str, Any] = {"success": success, "final_obs": observation, "_final_obs": ended, **told}
        info |= {f"final_{name}": values for name, values in told.items()}
        if ended.any():
            which = np.flatnonzero(ended)
            self._restart(which)
            observation = observation.copy()
            observation[which] = self._observe(which)
            for name, values in self._told(which).items():
                info[name] = info[name].copy()
                info[name][which] = values
        return observation, reward, success.copy(), over & ~success, info

    def _restart(self, which: Indices) -> None:
        self._steps[which] = 0
        self._begin(which)

    def _play(self, actions: npt.NDArray[Any]) -> tuple[Vector, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """A step without automatic resets: rewards, successes, and whether the horizon is reached."""
        reward, success = self._advance(self._checked(actions))
        self._steps += 1
        return reward, success, self._steps >= self._horizons[self.task_index]

    def _checked(self, actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The actions as int64 (B,), or float64 (B, k) cut to [-1, 1]."""
        space = self.single_action_space
        values: npt.NDArray[Any] = np.asarray(actions)
        if isinstance(space, spaces.Discrete):
            integers = values.shape == (self.num_envs,) and np.issubdtype(values.dtype, np.integer)
            if not integers or (values < 0).any() or (values >= space.n).any():
                raise ValueError(
                    f"an action of {self.called} is a whole number from 0 to {space.n - 1}, got {actions!r}"
                )
            return values.astype(np.int64)
        values = values.astype(np.float64)
        if values.shape != self.action_space.shape or not np.isfinite(values).all():
            size = space.shape[0]  # type: ignore[index]
            raise ValueError(f"an action of {self.called} is {size} finite numbers in [-1, 1], got {actions!r}")
        return np.clip(values, -1.0, 1.0)


class SingleEnv(gymnasium.Env[Observation, Any]):
    """One environment of a batched suite with the interface of all suites; it does not end at success.

    Observation: ``state`` float32 (n,); with ``cameras`` also ``camera`` uint8 (H, W, 3), the view from above. Action:
    one of the batch's.
    """

    metadata = BatchEnv.metadata
    shared_scene = False

    def __init__(self, batch: BatchEnv, cameras: bool = False, render_mode: str | None = None) -> None:
        """``batch`` is one of a single environment, which is driven from here alone."""
        self.batch, self.config, self.tasks = batch, batch.config, batch.config.tasks
        self.suite, self.state_names, self.joint_names = batch.suite, batch.state_names, batch.joint_names
        self.camera_fovy = batch.camera_fovy
        self.control_rate = self.config.control_rate / self.config.action_repeat
        self.render_mode, self.cameras = render_mode, cameras
        self.action_space = batch.single_action_space
        parts: dict[str, spaces.Space[Any]] = {"state": batch.single_observation_space}
        if cameras:
            camera = self.config.camera
            parts["camera"] = spaces.Box(0, 255, (camera.height, camera.width, 3), np.uint8)
        self.observation_space = spaces.Dict(parts)  # type: ignore[assignment]

    @property
    def task(self) -> str:
        """The task that is played."""
        return self.batch.tasks[0]

    @property
    def horizon(self) -> int:
        """Steps after which it is truncated."""
        return self.tasks[self.task].horizon

    def done_tasks(self, state: npt.NDArray[np.float32]) -> tuple[str, ...]:
        """See :meth:`SuiteEnv.done_tasks`."""
        return ()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode; ``options={"task": name}`` changes to another task."""
        super().reset(seed=seed)
        task = options.get("task") if options else None
        state, _ = self.batch.reset(seed=seed, options={"tasks": [task]} if task else None)
        return self._observation(state), self._info(False)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step. Raises ValueError on a wrong or non-finite action."""
        reward, success, over = self.batch._play(np.asarray(action)[None])
        state = self.batch._observe(EVERY)
        return self._observation(state), float(reward[0]), False, bool(over[0]), self._info(bool(success[0]))

    def _observation(self, state: Floats) -> Observation:
        return {"state": state[0], "camera": self.render()} if self.cameras else {"state": state[0]}

    def _info(self, success: bool) -> dict[str, Any]:
        told = {name: values[0].item() for name, values in self.batch._told(EVERY).items()}
        return {"success": success, "message": "", **told}

    def joint_state(self) -> tuple[Vector, Vector]:
        """Positions and velocities of ``joint_names``, float64 (k,) each."""
        return self.batch.joint_state(0)

    def render(self, width: int | None = None, height: int | None = None) -> Picture:
        """A picture uint8 (height, width, 3) from above; of the camera's size unless told otherwise."""
        camera = self.config.camera
        return self.batch.draw(0, width or camera.width, height or camera.height)
