"""Demonstrations made in process: scripted episodes, equal to what the recorder would hold from the same starts."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from polytask_robot_io.embodiment import Embodiment
from polytask_trainer.demonstrations import Shown, random_play

MOST_TRIES = 100


def first_start(seed: int) -> int:
    """Start of the first demonstration of run ``seed``, as in the demo."""
    return 100 * seed


def demonstrations(suite: str, task: str, count: int, seed: int) -> list[Shown]:
    """What run ``seed`` is shown: ``count`` scripted episodes, or for 0 a random one, which is no demonstration."""
    return scripted(suite, task, count, first_start(seed)) if count else [random_play(suite, task)]


def scripted(suite: str, task: str, count: int, first: int) -> list[Shown]:
    """``count`` successful episodes of the scripted expert, from start seed ``first`` on; failures are passed over.

    Raises RuntimeError where a hundred starts do not give as many.
    """
    from polytask_sim_bridge.suites import EMBODIMENTS, make_env, scripted_expert

    env, expert = make_env(suite, task), scripted_expert(suite, task)
    embodiment = Embodiment.load(EMBODIMENTS[suite])
    shown: list[Shown] = []
    try:
        for start in range(first, first + MOST_TRIES):
            if len(shown) == count:
                break
            episode = _episode(env, expert, start)
            if episode is not None:
                shown.append(Shown(embodiment, *episode))
    finally:
        env.close()
    if len(shown) < count:
        raise RuntimeError(
            f"the script of {suite}/{task} gave {len(shown)} of {count} demonstrations in {MOST_TRIES} tries"
        )
    return shown


def result_pictures(suite: str, task: str, count: int, first: int) -> list[NDArray[np.uint8]]:
    """``count`` pictures (H, W, 3) of how the scene looks when the scripted expert has done the task."""
    from polytask_sim_bridge.suites import make_env, scripted_expert

    env, expert = make_env(suite, task), scripted_expert(suite, task)
    pictures: list[NDArray[np.uint8]] = []
    try:
        for start in range(first, first + MOST_TRIES):
            if len(pictures) == count:
                break
            if _episode(env, expert, start) is not None:
                pictures.append(np.asarray(env.render(), dtype=np.uint8))
    finally:
        env.close()
    if not pictures:
        raise RuntimeError(f"the script of {suite}/{task} never succeeded from start {first} on")
    return pictures


def _episode(
    env: gymnasium.Env[Any, Any], expert: Any, start: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """States (T+1, n) and actions (T, k) of a scripted episode that ends at success; None where it fails."""
    expert.reset()
    observation, info = env.reset(seed=start)
    states, actions, over = [observation["state"]], [], False
    while not (over or info["success"]):
        actions.append(expert(observation["state"]))
        observation, _, terminated, truncated, info = env.step(actions[-1])
        states.append(observation["state"])
        over = terminated or truncated
    return (np.stack(states), np.stack(actions).astype(np.float32)) if info["success"] else None
