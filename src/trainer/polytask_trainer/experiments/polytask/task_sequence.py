"""A policy that learns task after task: the function of a run, and what its stages gave."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from polytask_trainer.experiments.framework.results import Document
from polytask_trainer.experiments.framework.run import DOCUMENT, Context, Run, Stopped
from polytask_trainer.experiments.polytask.runs import expert_run

VARIANTS = {"offline": "offline", "fine-tuning": "plain fine-tuning", "online": "online"}
"""Titles: rehearsal of the memory, none, and learning each further task by RL with the policy itself (appendix D)."""


def sequence(
    budget: str,
    suite: str,
    tasks: Sequence[str],
    seed: int,
    *,
    variant: str,
    storage: float,
    steps: tuple[int, int],
    episodes: int,
    distill: Mapping[str, Any] = MappingProxyType({}),
    last_only: bool = False,
) -> Run:
    """Learn ``tasks`` in their order.

    ``storage`` is the share of all replay samples that is kept; ``steps`` are those of the first task and of each
    further one, ``distill`` what else differs from DistillConfig; ``last_only``: success is measured after the last
    task, not after every one.
    """
    experts = tuple(expert_run(budget, suite, task, seed) for task in tasks)
    samples = sum(int(expert.config["learn"]["steps"]) for expert in experts)
    config = {
        "suite": suite,
        "tasks": list(tasks),
        "variant": variant,
        "share": storage,
        "storage": 0 if storage >= 1.0 else round(storage * samples),
        "steps": list(steps),
        "episodes": episodes,
        "distill": dict(distill) or None,
        "last_only": last_only or None,
    }
    title = f"sequence {suite} {variant} {100 * storage:g} percent" + (" at the end" if last_only else "")
    return Run(title, "polytask_trainer.experiments.polytask.task_sequence:learned", config, seed, experts)


def learned(context: Context) -> dict[str, Any]:
    """Learn the needed experts' tasks one after another; success of all taught tasks after each stage."""
    from polytask_policy.text import TextEncoder
    from polytask_trainer.common.settings import read_settings
    from polytask_trainer.distillation.config import DistillConfig
    from polytask_trainer.distillation.distill import distill
    from polytask_trainer.lifelong.add_task import add_task, copy_policy

    config, encode = context.config, TextEncoder().encode
    tasks: list[str] = config["tasks"]
    first_steps, more_steps = config["steps"]
    distillation = read_settings(DistillConfig, {**config.get("distill", {}), "seed": context.seed}, "distill")
    told: dict[str, Any] = {"should_stop": context.should_stop, "encode": encode}
    stages: list[Mapping[str, Any]] = []
    for number, expert in enumerate(context.needs):
        policy, title = context.folder / f"stage-{number}", f"stage {number + 1} of {len(tasks)}"
        told["on_progress"] = lambda at, title=title: context.progress(at.step, at.steps, title)
        if number == 0:
            settings = dataclasses.replace(distillation, steps=first_steps, storage=config["storage"])
            done = distill(settings, [expert], policy, **told)
        else:
            before = context.folder / f"stage-{number - 1}"
            if config["variant"] == "online":
                expert = online(context, before, expert, number)
            copy_policy(before, policy)
            rehearse = config["variant"] != "fine-tuning"
            settings = dataclasses.replace(distillation, steps=more_steps)
            done = add_task(settings, expert, policy, rehearse=rehearse, **told)
        if not done.finished:
            raise Stopped
        if number == len(tasks) - 1 or not config.get("last_only"):
            stages.append({"task": tasks[number], "success": judge(context, policy, number)})
    return {"stages": stages}


def online(context: Context, policy: Path, expert: Path, number: int) -> Path:
    """Have the policy learn the needed expert's task itself, from what that was shown; gives the run folder."""
    from polytask_suites import make_env
    from polytask_trainer.experiments.polytask.demonstrations import demonstrations
    from polytask_trainer.experts.config import learn_config
    from polytask_trainer.experts.spec import describe
    from polytask_trainer.lifelong.learn import learn_from

    config = json.loads((expert / DOCUMENT).read_text())["config"]
    suite, task = config["suite"], config["task"]
    shown = demonstrations(suite, task, config["demonstrations"], context.seed)
    folder = context.folder / f"online-{number}"
    done = learn_from(
        policy,
        learn_config({**config["learn"], "seed": context.seed}),
        partial(make_env, suite, task),
        shown,
        describe(suite, task, shown[0].embodiment),
        folder,
        online=True,
        on_progress=context.on_progress,
        should_stop=context.should_stop,
    )
    if not done.finished:
        raise Stopped
    return folder


def judge(context: Context, policy: Path, number: int) -> dict[str, float]:
    """Success, by task, of the policy of stage ``number`` on the tasks that it was taught, asked by name."""
    from polytask_policy.unified import UnifiedPolicy
    from polytask_suites import make_env
    from polytask_trainer.experiments.polytask import stages

    config, found = context.config, {}
    loaded = UnifiedPolicy.load(policy)
    for task in config["tasks"][: number + 1]:

        def measure(task: str = task) -> float:
            env, goal = make_env(config["suite"], task), loaded.goal_from_task(task)
            try:
                return stages.judge(loaded, env, stages.starts(context.seed, config["episodes"]), goal).rate
            finally:
                env.close()

        found[task] = context.piece(f"{number}/{task}", measure)
    return found


def final(document: Document) -> dict[str, float]:
    """Success by task after the last stage."""
    found: dict[str, float] = document["result"]["stages"][-1]["success"]
    return found


def own(document: Document) -> dict[str, float]:
    """Success of each task right after it was learned."""
    return {stage["task"]: stage["success"][stage["task"]] for stage in document["result"]["stages"]}
