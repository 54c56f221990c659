"""Trials of a policy on fresh starts, when its training is over, and pictures of what it reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from polytask_policy.expert import ExpertPolicy
from polytask_trainer.common.files import write_npz
from polytask_trainer.rollouts.evaluate import Policy, training_seed

PICTURES = 10
"""Number of goal images taken of an expert's results."""


@dataclass(frozen=True)
class Matched:
    """A rollout from start seed ``start``: the sum of its rewards, and its actions (T, k) until it arrives."""

    total: float
    start: int
    actions: NDArray[np.float32]


def mean_total(trials: Sequence[Matched]) -> float:
    """Mean of the sums of rewards."""
    return sum(one.total for one in trials) / len(trials)


def write_trials(path: Path, trials: Sequence[Matched]) -> None:
    """Keep trials for the next sitting."""
    if trials:
        write_npz(
            path,
            totals=np.array([one.total for one in trials]),
            starts=np.array([one.start for one in trials]),
            lengths=np.array([len(one.actions) for one in trials]),
            actions=np.concatenate([one.actions for one in trials]),
        )


def read_trials(path: Path) -> list[Matched]:
    """Read what ``write_trials`` wrote; nothing where there is no such file."""
    if not path.exists():
        return []
    with np.load(path, allow_pickle=False) as file:
        actions = np.split(file["actions"], np.cumsum(file["lengths"])[:-1])
        rows = zip(file["totals"].tolist(), file["starts"].tolist(), actions, strict=True)
        return [Matched(*row) for row in rows]


@dataclass(frozen=True)
class Tried:
    """Episodes worth a picture, start seeds with actions (T, k), and all states (N, n) that were seen in trying."""

    runs: list[tuple[int, NDArray[np.float32]]]
    states: NDArray[np.float32]


def best_episodes(policy: Policy, env: gymnasium.Env[Any, Any], seed: int, count: int, tries: int) -> Tried:
    """Up to ``count`` successes of a policy, each cut at its success, in at most ``tries`` training starts.

    Without any success they are the episodes with the highest returns.
    """
    runs, states = list[tuple[bool, float, int, NDArray[np.float32]]](), []
    for start in (training_seed(seed, number) for number in range(tries)):
        if sum(success for success, *_ in runs) == count:
            break
        observation, info = env.reset(seed=start)
        actions, over, total = [], False, 0.0
        while not (over or info["success"]):
            states.append(observation["state"])
            actions.append(policy(observation["state"]))
            observation, reward, terminated, truncated, info = env.step(actions[-1])
            total, over = total + float(reward), terminated or truncated
        if actions:
            runs.append((bool(info["success"]), total, start, np.stack(actions)))
    succeeded = [run for run in runs if run[0]]
    chosen = succeeded or sorted(runs, key=lambda run: -run[1])[:count]
    return Tried([(start, actions) for _, _, start, actions in chosen], np.stack(states))


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

    It holds the expert with ``facts`` about it, ``PICTURES`` of its results in at most ``tries`` episodes (where it
    never succeeds, of how its best ones ended), and ``states`` (N, n) to imitate it in; by default those of the same
    episodes.
    """
    tried = best_episodes(expert.act, env, seed, PICTURES, tries)
    folder.mkdir(parents=True, exist_ok=True)
    write_npz(folder / "goal_images.npz", images=goal_pictures(env, tried.runs))
    write_npz(folder / "replay.npz", states=tried.states if states is None else states)
    expert.save(folder, seed=seed, **facts)
