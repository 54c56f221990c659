"""Episodes that were shown and episodes that are run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from polytask_trainer.rollouts.evaluate import Policy


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


@dataclass(frozen=True)
class Rollout:
    """One episode: states (T+1, n), actions (T, k), rewards (T,) of the environment, success at its end."""

    states: NDArray[np.float32]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    success: bool


def rollout(env: gymnasium.Env[Any, Any], policy: Policy, seed: int, horizon: int) -> Rollout:
    """Run ``policy`` for ``horizon`` steps from the start given by ``seed``.

    It is shorter only where the environment gives up before, as on a simulation that became unstable; the step at
    which it did is left out.
    """
    observation, _ = env.reset(seed=seed)
    states, actions, rewards, success = [observation["state"]], [], [], False
    for step in range(1, horizon + 1):
        action = policy(observation["state"])
        observation, reward, terminated, truncated, info = env.step(action)
        if (terminated or truncated) and step < horizon:
            break
        states.append(observation["state"])
        actions.append(action)
        rewards.append(reward)
        success = success or bool(info["success"])
    shape = (len(actions), env.action_space.shape[0])  # type: ignore[index]
    return Rollout(
        np.stack(states), np.array(actions, dtype=np.float32).reshape(shape), np.array(rewards, np.float32), success
    )


def sound_part(episode: Rollout, centre: NDArray[np.float32], reach: NDArray[np.float32]) -> Rollout:
    """Return the episode up to the first state that is not finite or farther than ``reach`` (n,) from ``centre`` (n,).

    A simulation that breaks down gives out speeds of 1e5 m/s before it says so; one such state undoes a critic.
    """
    far = ~(np.abs(episode.states - centre) <= reach).all(axis=1)
    if not far.any():
        return episode
    last = max(int(far.argmax()) - 1, 0)
    return Rollout(episode.states[: last + 1], episode.actions[:last], episode.rewards[:last], episode.success)
