"""Trials of a policy on fresh starts, when its training is over, and pictures of what it reached."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from polytask_policy.checkpoint import write_atomically
from polytask_policy.expert import ExpertPolicy
from polytask_trainer.episodes import Rollout
from polytask_trainer.evaluate import Policy, training_seed

PICTURES = 10
"""Of an expert's results, as goals."""


@dataclass(frozen=True)
class Matched:
    """A rollout from start seed ``start`` and the sum of its rewards."""

    total: float
    start: int
    episode: Rollout


def mean_total(trials: Sequence[Matched]) -> float:
    """Mean of the sums of rewards."""
    return sum(one.total for one in trials) / len(trials)


@dataclass(frozen=True)
class Arrivals:
    """Episodes that succeeded: start seeds with actions (T, k); and all states (N, n) that were seen in trying."""

    runs: list[tuple[int, NDArray[np.float32]]]
    states: NDArray[np.float32]


def arrivals(policy: Policy, env: gymnasium.Env[Any, Any], seed: int, count: int, tries: int) -> Arrivals:
    """Up to ``count`` successes of a policy, each cut at its success, in at most ``tries`` training starts."""
    runs, states = list[tuple[int, NDArray[np.float32]]](), []
    for start in (training_seed(seed, number) for number in range(tries)):
        if len(runs) == count:
            break
        observation, info = env.reset(seed=start)
        actions, over = [], False
        while not (over or info["success"]):
            states.append(observation["state"])
            actions.append(policy(observation["state"]))
            observation, _, terminated, truncated, info = env.step(actions[-1])
            over = terminated or truncated
        if info["success"]:
            runs.append((start, np.stack(actions)))
    return Arrivals(runs, np.stack(states))


def goal_pictures(env: gymnasium.Env[Any, Any], runs: Sequence[tuple[int, NDArray[np.float32]]]) -> NDArray[np.uint8]:
    """Pictures uint8 (M, H, W, 3) of where each run, a start seed and actions (T, k), arrives: it is repeated for that.

    What comes after an arrival, such as a hand that lingers, is not the goal.
    """
    pictures = []
    for start, actions in runs:
        env.reset(seed=start)
        for action in actions:
            env.step(action)
        pictures.append(np.asarray(env.render(), dtype=np.uint8))
    return np.stack(pictures)


def write_expert(
    expert: ExpertPolicy,
    env: gymnasium.Env[Any, Any],
    folder: Path,
    *,
    seed: int,
    tries: int,
    states: NDArray[np.float32] | None = None,
    **facts: Any,
) -> None:
    """Write a run folder that `distill` reads, of an expert that was learned otherwise than by `learn`.

    It holds the expert with ``facts`` about it, ``PICTURES`` of its results in at most ``tries`` episodes, none where
    it never succeeds, and ``states`` (N, n) to imitate it in; by default those of the same episodes.
    """
    tried = arrivals(expert.act, env, seed, PICTURES, tries)
    folder.mkdir(parents=True, exist_ok=True)
    if tried.runs:
        write_npz(folder / "goal_images.npz", images=goal_pictures(env, tried.runs))
    write_npz(folder / "replay.npz", states=tried.states if states is None else states)
    expert.save(folder, seed=seed, **facts)


def write_npz(path: Path, **arrays: NDArray[Any]) -> None:
    """Write arrays to an npz file without pickle, in one step."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())
