"""Measures a suite: ``python -m polytask_suites.benchmarks.measure`` (speed, pictures, experts, random play)."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from polytask_suites import SUITES, load_suite, make_env, scripted_expert

Act = Callable[[Any], Any]


def main() -> None:
    """Prints one line per task and one on pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", choices=SUITES, default="tabletop")
    parser.add_argument("--tasks", nargs="*", help="all of the suite unless given")
    parser.add_argument("--seeds", type=int, default=20, help="episodes per task")
    parser.add_argument("--first-seed", type=int, default=1000)
    options = parser.parse_args()
    tasks = options.tasks or list(load_suite(options.suite).tasks)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for task in tasks:
        env: Any = make_env(options.suite, task)
        expert = scripted_expert(options.suite, task)
        done, lengths, speed = _play(env, expert, seeds)
        rng, size = np.random.default_rng(0), env.action_space.shape
        lucky, _, _ = _play(env, lambda state: rng.uniform(-1, 1, size).astype(np.float32), seeds)  # noqa: B023
        print(
            f"{task:26s} expert {done}/{len(seeds)} in {lengths:5.1f} steps, random play {lucky}/{len(seeds)}, "
            f"{speed:6.0f} steps/s",
            flush=True,
        )
    env = make_env(options.suite, tasks[0])
    env.reset(seed=0)
    env.render()
    start = time.perf_counter()
    for _ in range(100):
        env.render()
    size = env.config.camera
    print(f"{100 / (time.perf_counter() - start):.0f} pictures/s of {size.width}x{size.height}")
    env.close()


def _play(env: Any, act: Act, seeds: range) -> tuple[int, float, float]:
    """Episodes until success or horizon: how many succeeded, in how many steps on average, steps per second."""
    lengths, steps, seconds = [], 0, 0.0
    for seed in seeds:
        observation, info = env.reset(seed=seed)
        if hasattr(act, "reset"):
            act.reset()
        start = time.perf_counter()
        for step in range(env.horizon):
            observation, _, _, _, info = env.step(act(observation["state"]))
            steps += 1
            if info["success"]:
                lengths.append(step + 1)
                break
        seconds += time.perf_counter() - start
    return len(lengths), float(np.mean(lengths)) if lengths else float("nan"), steps / seconds


if __name__ == "__main__":
    main()
