"""Benchmark: the time of two experts learned at once, each in its own process, over that of one."""

from __future__ import annotations

import multiprocessing
import time
from functools import partial
from pathlib import Path
from typing import Any

TASKS = ("drawer-open", "drawer-close")
PATIENCE = 300.0


def measure(folder: Path, steps: int, **settings: Any) -> dict[str, float]:
    """Seconds for ``one`` expert and for ``two`` at once (the slower of them), and their ``ratio``.

    ``settings`` are further ones of LearnConfig.
    """
    one = max(_learn_all(folder / "one", TASKS[:1], {"steps": steps, **settings}))
    two = max(_learn_all(folder / "two", TASKS, {"steps": steps, **settings}))
    return {"one": one, "two": two, "ratio": two / one, "steps": float(steps)}


def _learn_all(folder: Path, tasks: tuple[str, ...], settings: dict[str, Any]) -> list[float]:
    """Seconds that each of the tasks took, all begun at the same moment."""
    context = multiprocessing.get_context("spawn")
    ready, taken = context.Barrier(len(tasks)), context.Queue()
    processes = [context.Process(target=_learn, args=(task, folder / task, settings, ready, taken)) for task in tasks]
    for process in processes:
        process.start()
    try:
        return [taken.get(timeout=PATIENCE) for _ in tasks]
    finally:
        for process in processes:
            process.join(5.0)
            process.kill()


def _learn(task: str, folder: Path, settings: dict[str, Any], ready: Any, taken: Any) -> None:
    import torch

    from polytask_suites import make_env
    from polytask_trainer.experiments.polytask.demonstrations import demonstrations
    from polytask_trainer.experts.config import learn_config
    from polytask_trainer.experts.learn import learn_expert
    from polytask_trainer.experts.spec import describe

    torch.set_num_threads(1)
    shown = demonstrations("tabletop", task, 1, 0)
    # Little of it may be what is done once, so that the steps count.
    short = {"seed_episodes": 2, "goal_rollouts": 2, "goal_pictures": 1, "best_of": 2}
    config = learn_config({**short, **settings})
    about = describe("tabletop", task, shown[0].embodiment)
    ready.wait(PATIENCE)
    began = time.perf_counter()
    learn_expert(config, partial(make_env, "tabletop", task), shown, about, folder)
    taken.put(time.perf_counter() - began)
