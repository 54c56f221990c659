"""Episodes that were shown and episodes that are run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from polytask_trainer.evaluate import Policy


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
    """Run ``policy`` for exactly ``horizon`` steps from the start given by ``seed``."""
    observation, _ = env.reset(seed=seed)
    states, actions, rewards, success = [observation["state"]], [], [], False
    for _ in range(horizon):
        action = policy(observation["state"])
        observation, reward, _, truncated, info = env.step(action)
        states.append(observation["state"])
        actions.append(action)
        rewards.append(reward)
        success = success or bool(info["success"])
        if truncated:
            break
    return Rollout(np.stack(states), np.stack(actions), np.array(rewards, dtype=np.float32), success)
