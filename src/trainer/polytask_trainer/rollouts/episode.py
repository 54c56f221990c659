"""Running an episode, and playing its actions again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from polytask_trainer.common.trajectory import Trajectory

Policy = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Action float32 (k,) for a state float32 (n,)."""


class Demonstration(Protocol):
    """What is needed of a recorded episode: state float32 (T+1, n), action float32 (T, k)."""

    @property
    def state(self) -> NDArray[np.float32]:
        """States, that of the reset first."""
        ...

    @property
    def action(self) -> NDArray[np.float32]:
        """Actions; entry t answers state t."""
        ...


def rollout(
    env: gymnasium.Env[Any, Any],
    policy: Policy,
    seed: int,
    horizon: int | None = None,
    *,
    until_success: bool = False,
    task: str | None = None,
) -> Trajectory:
    """Run ``policy`` from the start given by ``seed`` for ``horizon`` steps (None: until the environment truncates).

    ``until_success`` ends the episode as soon as the task is done, be it at the reset. Otherwise success does not
    shorten it, as in training, where success is not known; it is shorter only where the environment gives up before
    its horizon, as on a simulation that became unstable, and the step at which it did is left out. ``task``: which
    task a suite of several judges by.
    """
    observation, info = env.reset(seed=seed, options=None if task is None else {"task": task})
    states, actions, rewards = [observation["state"]], list[NDArray[np.float32]](), list[float]()
    success, over = until_success and bool(info.get("success", False)), False
    while not (over or (until_success and success) or len(actions) == horizon):
        action = policy(observation["state"])
        observation, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        if over and not until_success and horizon is not None and len(actions) + 1 < horizon:
            break
        states.append(observation["state"])
        actions.append(action)
        rewards.append(float(reward))
        success = success or bool(info["success"])
    shape = (len(actions), env.action_space.shape[0])  # type: ignore[index]
    return Trajectory(
        np.stack(states), np.array(actions, dtype=np.float32).reshape(shape), np.array(rewards, np.float32), success
    )


def replay(
    env: gymnasium.Env[Any, Any], actions: NDArray[Any], seed: int, task: str | None = None
) -> Iterator[NDArray[np.float32]]:
    """Play actions (T, k) again from the start given by ``seed``; yields the T+1 states, with the environment in each.

    So a caller renders what it wants to see, and iterates to the end.
    """
    observation, _ = env.reset(seed=seed, options=None if task is None else {"task": task})
    yield observation["state"]
    for action in actions:
        observation, *_ = env.step(action)
        yield observation["state"]


@dataclass(frozen=True)
class Bounds:
    """A state farther than ``reach`` (n,) from ``centre`` (n,) in any entry comes from a broken simulation."""

    centre: NDArray[np.float32]
    reach: NDArray[np.float32]


def training_rollout(
    env: gymnasium.Env[Any, Any], policy: Policy, seed: int, horizon: int, bounds: Bounds
) -> Trajectory:
    """An episode of fixed length, up to the first state that is not finite or out of ``bounds``.

    A simulation that breaks down gives out speeds of 1e5 m/s before it says so; one such state undoes a critic.
    Raises RuntimeError where nothing is left.
    """
    episode = rollout(env, policy, seed, horizon)
    far = ~(np.abs(episode.states - bounds.centre) <= bounds.reach).all(axis=1)
    if far.any():
        episode = episode.until(max(int(far.argmax()) - 1, 0))
    if len(episode.actions) == 0:
        raise RuntimeError(f"the environment gave up at the first step of an episode (start seed {seed})")
    return episode
