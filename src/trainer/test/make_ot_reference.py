"""Writes data/ot_reference.npz: real matching costs with the rewards of POT's converged plans (minutes; run by hand).

Costs are those of a demonstration of drawer-open and of peg-green against a rollout of the noisy scripted expert.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import ot
from scipy.spatial.distance import cdist

from polytask_sim_bridge.suites import make_env, scripted_expert
from polytask_trainer.rewards.features import parse_features

EPSILONS = (0.1, 0.05, 0.02, 0.01)


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


def converged(cost: np.ndarray) -> dict[float, np.ndarray]:
    """Expected cost of each row under POT's plans, marginals within 1e-11; each epsilon starts from the last."""
    rows, columns = (np.full(n, 1 / n) for n in cost.shape)
    rewards: dict[float, np.ndarray] = {}
    start, last = None, EPSILONS[0]
    for epsilon in EPSILONS:
        if start is not None:
            start = tuple(values * last / epsilon for values in start)
        plan, log = ot.sinkhorn(
            rows,
            columns,
            cost,
            epsilon,
            method="sinkhorn_log",
            numItermax=5_000_000,
            stopThr=1e-11,
            log=True,
            warmstart=start,
        )
        print(cost.shape, epsilon, log["err"][-1], log["niter"], flush=True)
        if log["err"][-1] > 1e-9:
            raise RuntimeError("not converged")
        rewards[epsilon] = (plan * cost).sum(1) * len(cost)
        start = (log["log_u"], log["log_v"])
        last = epsilon
    return rewards


def main() -> None:
    """Write the file."""
    arrays = {}
    for task, steps in (("drawer-open", 24), ("peg-green", 32)):
        target, own = trajectory(task, 0, 0.0, 24), trajectory(task, 1, 0.5, steps)
        time = np.abs(np.arange(1, steps + 1)[:, None] / steps - np.arange(1, 25)[None] / 24)
        arrays[f"{task}.cost"] = cdist(own, target) + time
        for epsilon, rewards in converged(arrays[f"{task}.cost"]).items():
            arrays[f"{task}.{epsilon}"] = rewards
    np.savez(Path(__file__).parent / "data" / "ot_reference.npz", **arrays)


if __name__ == "__main__":
    main()
