"""Episodes in process: goal pictures by the scripted expert, the control without a goal, replays for pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def replay(
    env: gymnasium.Env[Any, Any],
    task: str,
    seed: int,
    actions: NDArray[np.float64],
    frames: Sequence[int],
    size: tuple[int, int],
) -> tuple[list[NDArray[np.uint8]], NDArray[np.float32]]:
    """Play recorded actions (T, k) again; pictures before the steps ``frames`` (T: after the last), and the end state.

    ``size`` is (width, height).
    """
    observation, _ = env.reset(seed=seed, options={"task": task})
    pictures, wanted = [], set(frames)
    for step in range(len(actions) + 1):
        if step in wanted:
            pictures.append(picture(env, size))
        if step < len(actions):
            observation, *_ = env.step(actions[step])
    return pictures, observation["state"]


def picture(env: gymnasium.Env[Any, Any], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """The scene as the suite's camera sees it, uint8 (H, W, 3); in the suite's size unless ``size`` is given."""
    if size is None:
        return np.asarray(env.render(), dtype=np.uint8)
    render: Any = env.unwrapped.render
    return np.asarray(render(*size), dtype=np.uint8)
