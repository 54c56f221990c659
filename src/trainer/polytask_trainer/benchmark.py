"""How quick the batched Sinkhorn is against POT's at equal accuracy, on the costs that matching rewards are made of."""

from __future__ import annotations

import time

import numpy as np
import ot
import torch
from torch import Tensor

from polytask_sim_bridge.suites import make_env, scripted_expert
from polytask_trainer.rewards.features import parse_features
from polytask_trainer.rewards.sinkhorn import sinkhorn

TOLERANCE = 1e-6
"""Marginal error (L1) at which both stop."""


def measure(
    task: str = "drawer-open", episodes: int = 4, steps: int = 50, epsilon: float = 0.02, limit: int = 20_000
) -> dict[str, float]:
    """Seconds for the plans of ``episodes`` noisy episodes against one demonstration, both ways, and their ``ratio``.

    Keys ``sinkhorn`` and ``pot`` (s), ``ratio`` (how many times quicker ours is), ``difference`` (largest between the
    two ways' rewards) and ``pot_error`` (largest marginal error of POT's plans: above the tolerance where ``limit``
    iterations were not enough, and the ratio is then a lower bound).
    """
    costs = matching_costs(task, episodes, steps)
    began = time.perf_counter()
    plans = sinkhorn(costs, epsilon, tolerance=TOLERANCE).plan
    ours = time.perf_counter() - began
    uniform = np.full(steps, 1 / steps)
    theirs, difference, error = 0.0, 0.0, 0.0
    for cost, plan in zip(costs.numpy(), plans.numpy(), strict=True):
        began = time.perf_counter()
        expected = ot.sinkhorn(
            uniform, uniform, cost, epsilon, method="sinkhorn_log", stopThr=TOLERANCE, numItermax=limit, warn=False
        )
        theirs += time.perf_counter() - began
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
    moment = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    late = (moment.unsqueeze(1) - moment).abs()
    return torch.stack([torch.cdist(own, seen[0]) + late for own in seen[1:]])
