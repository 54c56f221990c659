"""Timing of the served policy: latency in real time, and lock-step through ROS against in process."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polytask_cli.nodes.stack import Stack
from polytask_trainer.jobs.execute import Progress, at

RESAMPLES = 2000
WARM_UP = 8


def spread(samples: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    """Median, 99th percentile (nearest rank) and the greatest of samples, in their unit."""
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    rank = max(0, int(np.ceil(0.99 * len(ordered))) - 1)
    return {"p50": float(np.median(ordered)), "p99": float(ordered[rank]), "longest": float(ordered[-1])}


def ratio_interval(ros: Sequence[tuple[int, float]], process: Sequence[tuple[int, float]], seed: int) -> dict[str, Any]:
    """Speeds from pairs of (steps, seconds) per episode, and a 95 % bootstrap interval of their ratio."""
    a, b = np.asarray(ros, dtype=np.float64), np.asarray(process, dtype=np.float64)
    picks = np.random.default_rng(seed).integers(len(a), size=(RESAMPLES, len(a)))

    def rate(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = pairs[picks].sum(axis=1)
        return np.asarray(sums[:, 0] / sums[:, 1])

    low, high = np.quantile(rate(a) / rate(b), [0.025, 0.975])
    ros_rate, process_rate = (float(pairs[:, 0].sum() / pairs[:, 1].sum()) for pairs in (a, b))
    return {
        "ros_rate": ros_rate,
        "process_rate": process_rate,
        "ratio": ros_rate / process_rate,
        "low": float(low),
        "high": float(high),
    }


def realtime(spec: dict[str, Any], on_progress: Progress) -> dict[str, Any]:
    """Control in real time with a camera subscribed, asked by name, until ``seconds`` of it have passed.

    Latency is the command's own stamp minus the stamp of the observation that it answers; "arrived" is when this
    process, an observer, had the command. A goal's first command may answer an observation from before the goal: what
    passed until somebody asked is no latency, so those are left out. Periods are those between commands of one goal.
    """
    from polytask_cli.demo.stages.evaluation_client import EvaluationClient
    from polytask_cli.demo.stages.observer import Observer

    tasks, seeds, seconds, rate = spec["tasks"], spec["seeds"], float(spec["seconds"]), float(spec["rate"])
    stack = Stack(spec["launch"], spec["arguments"], Path(spec["log"]))
    latencies: list[float] = []
    arrivals: list[float] = []
    periods: list[float] = []
    succeeded = goals = 0
    with stack, EvaluationClient() as asker:
        observer = Observer(asker.node, spec["camera_topic"])
        asker.wait()
        asker.spin(3.0)  # the first pictures and the collector's first passes are start-up, not control
        while len(latencies) < seconds * rate:
            stack.check()
            answer = asker.ask(tasks[goals % len(tasks)], seeds[goals % len(seeds)], "name", tasks[goals % len(tasks)])
            succeeded, goals = succeeded + answer.success, goals + 1
            heard = answer.commands
            if not heard:
                raise RuntimeError(f"no command was heard: {answer.outcome}: {answer.message}")
            timely = [c for c in heard if c.observation >= answer.asked_ns]
            latencies += [(c.stamp - c.observation) * 1e-9 for c in timely]
            arrivals += [(c.arrived - c.observation) * 1e-9 for c in timely]
            periods += [(b.stamp - a.stamp) * 1e-9 for a, b in itertools.pairwise(heard)]
            on_progress(at(len(latencies), seconds * rate, "real time, camera on"))
        asker.spin(1.1)
        pictures, diagnostics = observer.pictures, observer.diagnostics
    return {
        "rate": rate,
        "commands": len(latencies),
        "goals": goals,
        "succeeded": succeeded,
        "pictures": pictures,
        "latency": spread(latencies),
        "arrived": spread(arrivals),
        "period": spread(periods),
        "latencies": [round(value, 6) for value in latencies],
        "periods": [round(value, 6) for value in periods],
        "diagnostics": diagnostics,
    }


def lockstep(spec: dict[str, Any], on_progress: Progress) -> dict[str, Any]:
    """The same policy from the same starts, in turn through ROS in lock-step and in this process; steps per second.

    Only control steps count: neither the reset nor the action's hand-shake, nor the first WARM_UP episodes, in which
    processes just started load what they use.
    """

    from polytask_cli.demo.stages.evaluation_client import EvaluationClient
    from polytask_policy.unified import UnifiedPolicy
    from polytask_suites import make_env

    policy = UnifiedPolicy.load(spec["checkpoint"])
    tasks, seeds = spec["tasks"], spec["seeds"]
    env = make_env(spec["suite"], tasks[0])
    stack = Stack(spec["launch"], spec["arguments"], Path(spec["log"]))
    through_ros: list[tuple[int, float]] = []
    in_process: list[tuple[int, float]] = []
    same = 0
    with stack, EvaluationClient() as asker:
        asker.wait()
        for number, seed in enumerate(seeds[:WARM_UP]):
            asker.ask(tasks[number % len(tasks)], seed, "name", tasks[number % len(tasks)])
        for number, seed in enumerate(seeds):
            task = tasks[number % len(tasks)]
            answer = asker.ask(task, seed, "name", task)
            heard = answer.commands
            through_ros.append((len(heard) - 1, (heard[-1].arrived - heard[0].arrived) * 1e-9))
            goal = policy.goal_from_task(task)
            observation, info = env.reset(seed=seed, options={"task": task})
            truncated, steps, began = False, 0, time.perf_counter()
            while not (truncated or info["success"]):
                observation, _, _, truncated, info = env.step(policy.act(observation["state"], goal))
                steps += 1
            in_process.append((steps, time.perf_counter() - began))
            same += steps == answer.steps and np.array_equal(observation["state"], answer.last_states[-1])
            on_progress(at(len(in_process), len(seeds), "lock-step and in process"))
    env.close()
    return {**ratio_interval(through_ros, in_process, len(seeds)), "episodes": len(seeds), "identical": int(same)}
