"""Rollouts of a policy on fresh starts, when its training is over, and pictures of what it reached."""

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
from polytask_trainer.rollouts.episode import Policy, replay, rollout
from polytask_trainer.rollouts.evaluate import training_seed

PICTURES = 10
"""Number of goal images taken of an expert's results."""


@dataclass(frozen=True)
class ScoredRollout:
    """A rollout from start seed ``start``: the sum of its rewards, and its actions (T, k) until it arrives."""

    total: float
    start: int
    actions: NDArray[np.float32]


def mean_total(rollouts: Sequence[ScoredRollout]) -> float:
    """Mean of the sums of rewards."""
    return sum(one.total for one in rollouts) / len(rollouts)


def write_rollouts(path: Path, rollouts: Sequence[ScoredRollout]) -> None:
    """Keep rollouts for the next session."""
    if rollouts:
        write_npz(
            path,
            totals=np.array([one.total for one in rollouts]),
            starts=np.array([one.start for one in rollouts]),
            lengths=np.array([len(one.actions) for one in rollouts]),
            actions=np.concatenate([one.actions for one in rollouts]),
        )


def read_rollouts(path: Path) -> list[ScoredRollout]:
    """Read what ``write_rollouts`` wrote; nothing where there is no such file."""
    if not path.exists():
        return []
    with np.load(path, allow_pickle=False) as file:
        actions = np.split(file["actions"], np.cumsum(file["lengths"])[:-1])
        rows = zip(file["totals"].tolist(), file["starts"].tolist(), actions, strict=True)
        return [ScoredRollout(*row) for row in rows]


@dataclass(frozen=True)
class BestEpisodes:
    """Episodes worth a picture, and all states (N, n) that were seen in trying, one per step."""

    rollouts: list[ScoredRollout]
    states: NDArray[np.float32]


def best_episodes(policy: Policy, env: gymnasium.Env[Any, Any], seed: int, count: int, tries: int) -> BestEpisodes:
    """Up to ``count`` successes of a policy, each cut at its success, in at most ``tries`` training starts.

    Without any success they are the episodes with the highest returns.
    """
    succeeded, failed, states = list[ScoredRollout](), list[ScoredRollout](), []
    for start in (training_seed(seed, number) for number in range(tries)):
        if len(succeeded) == count:
            break
        episode = rollout(env, policy, start, until_success=True)
        if len(episode.actions):
            total = float(episode.rewards.sum(dtype=np.float64))
            (succeeded if episode.success else failed).append(ScoredRollout(total, start, episode.actions))
            states.append(episode.states[:-1])
    failed.sort(key=lambda one: -one.total)
    return BestEpisodes(succeeded or failed[:count], np.concatenate(states))


def goal_pictures(env: gymnasium.Env[Any, Any], rollouts: Sequence[ScoredRollout]) -> NDArray[np.uint8]:
    """Pictures uint8 (M, H, W, 3) of where each rollout arrives; its actions are played again for that.

    What comes after an arrival, such as a hand that lingers, is not the goal.
    """
    pictures = []
    for one in rollouts:
        for _ in replay(env, one.actions, one.start):
            pass
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
    best = best_episodes(expert.act, env, seed, PICTURES, tries)
    folder.mkdir(parents=True, exist_ok=True)
    write_npz(folder / "goal_images.npz", images=goal_pictures(env, best.rollouts))
    write_npz(folder / "replay.npz", states=best.states if states is None else states)
    expert.save(folder, seed=seed, **facts)
