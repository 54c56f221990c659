"""Episodes in process: goal pictures by the scripted expert, the control without a goal, replays for pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

Act = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass
class Episode:
    """An episode that ended by success or at the horizon: states float32 (T+1, n) and how it ended."""

    success: bool
    states: NDArray[np.float32]
    message: str


def run_episode(env: gymnasium.Env[Any, Any], act: Act, task: str, seed: int, horizon: int | None = None) -> Episode:
    """Run ``act`` from the start of ``seed``, judged by ``task``, until success or the horizon."""
    observation, info = env.reset(seed=seed, options={"task": task})
    states, truncated = [observation["state"]], False
    while not (truncated or info["success"] or (horizon is not None and len(states) > horizon)):
        observation, _, _, truncated, info = env.step(act(observation["state"]))
        states.append(observation["state"])
    return Episode(bool(info["success"]), np.stack(states), str(info["message"]))
