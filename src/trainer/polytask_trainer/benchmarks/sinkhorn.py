"""Benchmark: the Sinkhorn of matching rewards against POT's, at equal accuracy in batches, and as it is used."""

from __future__ import annotations

import statistics
import time

import numpy as np
import ot
import torch
from torch import Tensor

from polytask_suites import make_env, scripted_expert
from polytask_trainer.rewards.features import parse_features
from polytask_trainer.rewards.matching import REWARD_SUM, MatchingReward
from polytask_trainer.rewards.sinkhorn import sinkhorn

TOLERANCE = 1e-6
"""Marginal error (L1) at which both stop."""
PLAIN = 100
"""Iterations of plain Sinkhorn that the papers' code makes for an episode."""


def measure(
    task: str = "drawer-open", episodes: int = 4, steps: int = 50, epsilon: float = 0.02, limit: int = 20_000
) -> dict[str, float]:
    """Seconds for the plans of ``episodes`` noisy episodes against one demonstration, both ways, and their ``ratio``.

    Keys ``sinkhorn`` and ``pot`` (s), ``ratio`` (how many times quicker ours is), ``difference`` (largest between the
    two ways' rewards) and ``pot_error`` (largest marginal error of POT's plans: above the tolerance where ``limit``
    iterations were not enough, and the ratio is then a lower bound).
    """
    costs = matching_costs(task, episodes, steps)
    began = time.process_time()
    plans = sinkhorn(costs, epsilon, tolerance=TOLERANCE).plan
    ours = time.process_time() - began
    uniform = np.full(steps, 1 / steps)
    theirs, difference, error = 0.0, 0.0, 0.0
    for cost, plan in zip(costs.numpy(), plans.numpy(), strict=True):
        began = time.process_time()
        expected = ot.sinkhorn(
            uniform, uniform, cost, epsilon, method="sinkhorn_log", stopThr=TOLERANCE, numItermax=limit, warn=False
        )
        theirs += time.process_time() - began
        error = max(error, float(np.abs(expected.sum(1) - uniform).sum() + np.abs(expected.sum(0) - uniform).sum()))
        difference = max(difference, float(np.abs(steps * ((plan - expected) * cost).sum(1)).max()))
    return {
        "sinkhorn": ours,
        "pot": theirs,
        "ratio": theirs / ours,
        "difference": difference,
        "pot_error": error,
        "epsilon": epsilon,
    }


def measure_episode(steps: int = 125, size: int = 39, rounds: int = 15) -> dict[str, float]:
    """CPU seconds (median, in turns) for the rewards of one episode of ``steps``, states of ``size`` as features.

    Keys ``ours`` (as configured by default, from states to rewards), ``pot`` (the papers' way: cosine cost, ``PLAIN``
    plain iterations of POT, wherever these have come to), ``ratio``, and ``difference``: the largest between our
    rewards and those of an exact plan, as a share of the largest reward.
    """
    rng = np.random.default_rng(0)
    shown, strays = (rng.normal(size=(steps + 1, size)).cumsum(0) / np.sqrt(size * steps) for _ in range(2))
    episode, uniform = 3.0 * shown + strays, np.full(steps, 1 / steps)
    reward = MatchingReward([3.0 * shown], lambda one: one, steps)

    def pot() -> object:
        own, target = (one[1:] / np.linalg.norm(one[1:], axis=1, keepdims=True) for one in (episode, shown))
        cost = (1.0 - own @ target.T).astype(np.float32)
        return (ot.sinkhorn(uniform, uniform, cost, 0.01, numItermax=PLAIN, warn=False) * cost).sum(1)

    seconds: dict[str, list[float]] = {"ours": [], "pot": []}
    for _ in range(rounds):
        for name, way in (("ours", lambda: reward(episode)), ("pot", pot)):
            began = time.process_time()
            way()
            seconds[name].append(time.process_time() - began)
    ours, theirs = (statistics.median(seconds[name]) for name in ("ours", "pot"))
    timed = torch.cdist(torch.from_numpy(episode[1:]), torch.from_numpy(3.0 * shown[1:]))
    cost = timed + _late(steps)
    exact = (-steps * (sinkhorn(cost, reward.config.epsilon, tolerance=1e-9).plan * timed).sum(1)).exp().numpy()
    got = reward(episode) * steps / REWARD_SUM
    return {
        "ours": ours,
        "pot": theirs,
        "ratio": theirs / ours,
        "difference": float(np.abs(got - exact).max() / exact.max()),
    }


def _late(steps: int) -> Tensor:
    """The term of time in the cost (steps, steps)."""
    moment = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    return (moment.unsqueeze(1) - moment).abs()


def matching_costs(task: str, episodes: int, steps: int) -> Tensor:
    """Costs float64 (episodes, steps, steps) of noisy episodes of the scripted expert against one without noise."""
    env, expert = make_env("tabletop", task), scripted_expert("tabletop", task)
    features = parse_features(env.get_wrapper_attr("tasks")[task].features, env.get_wrapper_attr("state_names"))
    rng = np.random.default_rng(0)
    seen = []
    for seed in range(episodes + 1):
        state = env.reset(seed=seed)[0]["state"]
        states = [state]
        expert.reset()
        for _ in range(steps):
            noise = 0.5 * rng.normal(size=4) if seed else 0.0
            state = env.step(np.clip(expert(state) + noise, -1, 1).astype(np.float32))[0]["state"]
            states.append(state)
        seen.append(torch.from_numpy(features(np.stack(states))[1:]))
    env.close()
    return torch.stack([torch.cdist(own, seen[0]) + _late(steps) for own in seen[1:]])
