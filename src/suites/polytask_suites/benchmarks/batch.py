"""Benchmark: many environments stepped together against as many stepped one after another."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask_suites import load_suite, make_batch

SIZE = 1024


def measure(suite: str, rounds: int = 5, steps: int = 10) -> dict[str, float]:
    """Environment steps per second of processor time in random play of all of a suite's tasks, automatic resets
    included: ``together`` in a batch of SIZE, ``alone`` in a batch of one, and their ``ratio``.

    Each is the best of ``rounds``.
    """
    tasks = list(load_suite(suite).tasks)
    rates = {}
    for name, size in (("together", SIZE), ("alone", 1)):
        env = make_batch(suite, [tasks[i % len(tasks)] for i in range(size)])
        env.reset(seed=0)
        env.action_space.seed(0)
        actions: list[npt.NDArray[Any]] = [env.action_space.sample() for _ in range(steps)]
        seconds = []
        for _ in range(rounds):
            began = time.process_time()
            for action in actions:
                env.step(action)
            seconds.append(time.process_time() - began)
        rates[name] = size * steps / float(np.min(seconds))
    return {**rates, "ratio": rates["together"] / rates["alone"]}
