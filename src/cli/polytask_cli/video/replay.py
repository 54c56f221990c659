"""Pictures of an episode, by playing its actions again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from polytask_trainer.rollouts.episode import replay as play_again


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
    pictures, states, wanted = [], [], set(frames)
    for step, state in enumerate(play_again(env, actions, seed, task)):
        states.append(state)
        if step in wanted:
            pictures.append(picture(env, size))
    return pictures, states[-1]


def picture(env: gymnasium.Env[Any, Any], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """The scene as the suite's camera sees it, uint8 (H, W, 3); in the suite's size unless ``size`` is given."""
    if size is None:
        return np.asarray(env.render(), dtype=np.uint8)
    render: Any = env.unwrapped.render
    return np.asarray(render(*size), dtype=np.uint8)
