"""Writes data/ot_costs.npz: matching costs of a demonstration against a rollout of the noisy scripted expert."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

from polytask_suites import make_env, scripted_expert
from polytask_trainer.rewards.features import parse_features


def trajectory(task: str, seed: int, noise: float, steps: int) -> np.ndarray:
    """Features float64 (steps, d) of the scripted expert with action noise."""
    env, expert, rng = make_env("tabletop", task), scripted_expert("tabletop", task), np.random.default_rng(seed)
    state = env.reset(seed=seed)[0]["state"]
    states = [state]
    for _ in range(steps):
        action = np.clip(expert(state) + noise * rng.normal(size=4), -1, 1).astype(np.float32)
        state = env.step(action)[0]["state"]
        states.append(state)
    return parse_features(env.tasks[task].features, env.state_names)(np.stack(states))[1:]


def main() -> None:
    """Write the file."""
    costs = {}
    for task, steps in (("drawer-open", 24), ("peg-green", 32)):
        target, own = trajectory(task, 0, 0.0, 24), trajectory(task, 1, 0.5, steps)
        time = np.abs(np.arange(1, steps + 1)[:, None] / steps - np.arange(1, 25)[None] / 24)
        costs[task] = cdist(own, target) + time
    np.savez(Path(__file__).parent / "data" / "ot_costs.npz", **costs)


if __name__ == "__main__":
    main()
