"""Demonstrations made in process: scripted episodes, equal to what the recorder would hold from the same starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from polytask_robot_io.embodiment import Embodiment
from polytask_trainer.experts.demonstrations import Shown, random_play
from polytask_trainer.rollouts.episode import Policy

MOST_TRIES = 100


def first_start(seed: int) -> int:
    """Start of the first demonstration of run ``seed``, as in the demo."""
    return 100 * seed


def demonstrations(suite: str, task: str, count: int, seed: int, cameras: bool = False) -> list[Shown]:
    """What run ``seed`` is shown: ``count`` scripted episodes, or for 0 a random one, which is no demonstration."""
    return scripted(suite, task, count, first_start(seed), cameras) if count else [random_play(suite, task)]


def scripted(suite: str, task: str, count: int, first: int, cameras: bool = False) -> list[Shown]:
    """``count`` successful episodes of the scripted expert, from start seed ``first`` on; failures are passed over.

    With ``cameras`` they have their pictures. Raises RuntimeError where a hundred starts do not give as many.
    """
    from polytask_suites import EMBODIMENTS, make_env, scripted_expert

    env, expert = make_env(suite, task, cameras=cameras), scripted_expert(suite, task)
    embodiment = Embodiment.load(EMBODIMENTS[suite])
    shown: list[Shown] = []
    try:
        for start in range(first, first + MOST_TRIES):
            if len(shown) == count:
                break
            expert.reset()
            episode = _episode(env, expert, start)
            if episode is not None:
                seen, actions = episode
                images = {embodiment.cameras[0].name: seen["camera"]} if cameras else {}
                shown.append(Shown(embodiment, seen["state"], actions, images))
    finally:
        env.close()
    if len(shown) < count:
        raise RuntimeError(
            f"the script of {suite}/{task} gave {len(shown)} of {count} demonstrations in {MOST_TRIES} tries"
        )
    return shown


def script_of(suite: str, task: str) -> Callable[[], Policy]:
    """Gives the scripted expert anew for each episode."""
    from polytask_suites import scripted_expert

    return lambda: scripted_expert(suite, task)


def result_pictures(
    env: gymnasium.Env[Any, Any], policy: Callable[[], Policy], count: int, first: int
) -> list[NDArray[np.uint8]]:
    """``count`` pictures (H, W, 3) of how the scene looks when a policy has done the environment's task.

    ``policy`` gives it for an episode. Failures are passed over; with more than a hundred there are fewer pictures.
    """
    pictures: list[NDArray[np.uint8]] = []
    for start in range(first, first + MOST_TRIES):
        if len(pictures) == count:
            break
        if _episode(env, policy(), start) is not None:
            pictures.append(np.asarray(env.render(), dtype=np.uint8))
    return pictures


def _episode(
    env: gymnasium.Env[Any, Any], policy: Policy, start: int
) -> tuple[dict[str, NDArray[Any]], NDArray[np.float32]] | None:
    """Observations by kind (T+1, ...) and actions (T, k) of an episode until success; None where it fails."""
    observation, info = env.reset(seed=start)
    observations, actions, over = [observation], [], False
    while not (over or info["success"]):
        actions.append(policy(observation["state"]))
        observation, _, terminated, truncated, info = env.step(actions[-1])
        observations.append(observation)
        over = terminated or truncated
    if not info["success"]:
        return None
    seen = {kind: np.stack([one[kind] for one in observations]) for kind in observation}
    return seen, np.stack(actions).astype(np.float32)
