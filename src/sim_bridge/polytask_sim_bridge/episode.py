"""One simulated episode after another, without ROS: what every stepping mode drives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import gymnasium
import numpy as np
import numpy.typing as npt

from polytask_robot_io.outcomes import TerminationReason

SEEDS = 2**31
"""Seeds drawn by the simulator lie below this."""


@dataclass
class Episode:
    """The episode that is going on, or has just ended."""

    id: str
    suite: str
    task: str
    """Empty: the world, which goes on until the next reset."""
    seed: int
    step: int = 0
    reward: float = 0.0
    success: bool = False
    termination_reason: TerminationReason = TerminationReason.RUNNING
    message: str = ""
    held: dict[str, int] = field(default_factory=dict)
    """In a world, by task of the scene: control steps in a row for which its success predicate has been met."""

    @property
    def ended(self) -> bool:
        """No further step will be taken in it."""
        return self.termination_reason is not TerminationReason.RUNNING


class SuiteEnv(Protocol):
    """What the bridge needs of an environment; see polytask_suites."""

    suite: str
    task: str
    tasks: Any
    state_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    control_rate: float
    shared_scene: bool
    camera_fovy: float  # vertical field of view, rad

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        ...

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Advance one control step."""
        ...

    def done_tasks(self, state: npt.NDArray[np.float32]) -> tuple[str, ...]:
        """Tasks of a shared scene whose success predicate is met."""
        ...

    def joint_state(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Joint positions and velocities."""
        ...

    def render(self) -> npt.NDArray[np.uint8]:
        """A picture."""
        ...

    def close(self) -> None:
        """Free the renderer."""
        ...


class EpisodeRunner:
    """Resets and steps an environment and keeps count.

    An episode of a task ends with success, the horizon or a fault. One without a task ends with a fault only: the world
    goes on, and says which of the scene's tasks hold.
    """

    def __init__(
        self, env: SuiteEnv | gymnasium.Env[Any, Any], seed: int, end_on_success: bool = True, world: bool = False
    ) -> None:
        """Start the first episode.

        Args:
            env: what is simulated.
            seed: of the first episode, and of the seeds drawn for those that ask for none.
            end_on_success: whether success ends an episode before its horizon.
            world: whether episodes have no task unless one is asked for; only of a shared scene.
        """
        self.env: Any = env
        self._end_on_success = end_on_success
        self._world = world
        self._draw = np.random.default_rng(seed)
        self._count = 0
        self._picture: npt.NDArray[np.uint8] | None = None
        self.state: npt.NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        self.episode: Episode
        self.reset("" if world else env.task, seed)  # type: ignore[union-attr]

    def reset(self, task: str, seed: int) -> Episode:
        """Start an episode; gives it. ``task`` empty: none in a world, else the current one; ``seed`` -1: drawn.

        Raises:
            ValueError: no such task, or a seed below -1: the episode before goes on. Or the simulation failed: the
                episode before ends with a fault.
        """
        if seed < -1:
            raise ValueError(f"seed {seed} is below -1; give a seed >= 0, or -1 for one that is drawn")
        world = self._world and not task
        task = task or self.env.task
        if task not in self.env.tasks:
            raise ValueError(f"suite '{self.env.suite}' has no task '{task}'; it has: {', '.join(self.env.tasks)}")
        if seed == -1:
            seed = int(self._draw.integers(SEEDS))
        try:
            observation, info = self.env.reset(seed=seed, options={"task": task})
        except Exception as error:
            if self._count == 0:
                raise
            message = f"the simulation could not be reset to '{task}' with seed {seed}: {error!r}; try another seed"
            self.episode.termination_reason, self.episode.message = TerminationReason.FAULT, message
            raise ValueError(message) from error
        self.state = observation["state"]
        self._picture = None
        self._count += 1
        self.episode = Episode(
            id=f"{self.env.suite}/{'world' if world else task}/{seed}-{self._count:04d}",
            suite=self.env.suite,
            task="" if world else task,
            seed=seed,
            message="" if world else info.get("message", ""),
        )
        return self.episode

    def step(self, action: npt.NDArray[np.float32]) -> Episode:
        """Advance one control step with an action ``float32 (k,)``; gives the episode as it stands then."""
        episode = self.episode
        try:
            observation, reward, _, truncated, info = self.env.step(action)
        except Exception as error:
            # Whatever went wrong in there ends this episode; the node lives on and can be reset.
            episode.termination_reason = TerminationReason.FAULT
            episode.message = f"the simulation failed: {error!r}; reset the episode"
            return episode
        self.state = observation["state"]
        self._picture = None
        episode.step += 1
        if episode.task:
            episode.reward = float(reward)
            episode.success = bool(info["success"])
            episode.message = info.get("message", "")
        if info.get("fault"):
            episode.termination_reason = TerminationReason.FAULT
            episode.message = f"{info.get('message', '')}; reset the episode"
        elif not episode.task:
            # In an episode nobody asks for it, and training and lock-step would pay for it at every step.
            episode.held = {name: episode.held.get(name, 0) + 1 for name in self.env.done_tasks(self.state)}
        elif episode.success and self._end_on_success:
            episode.termination_reason = TerminationReason.SUCCEEDED
        elif truncated:
            episode.termination_reason = (
                TerminationReason.SUCCEEDED if episode.success else TerminationReason.TIME_LIMIT
            )
        return episode

    def picture(self) -> npt.NDArray[np.uint8]:
        """``uint8 (H, W, 3)`` of the scene as it is; drawn once for each step."""
        if self._picture is None:
            self._picture = self.env.render()
        return self._picture
