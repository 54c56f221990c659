"""A policy that learns task after task: the function of a run, and what its stages gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polytask_trainer.experiments import polytask
from polytask_trainer.experiments.report import Document
from polytask_trainer.experiments.run import Context, Run, Stopped

VARIANTS = {"offline": "offline", "fine-tuning": "plain fine-tuning"}
"""Variants by title: rehearsal of the memory (appendix D), and no rehearsal."""


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
    last_only: bool = False,
) -> Run:
    """Learn ``tasks`` in their order.

    ``storage`` is the share of all replay samples that is kept; ``steps`` are those of the first task and of each
    further one; ``last_only``: success is measured after the last task, not after every one.
    """
    experts = tuple(polytask.expert(budget, suite, task, seed) for task in tasks)
    samples = sum(int(expert.config["learn"]["steps"]) for expert in experts)
    config = {
        "suite": suite,
        "tasks": list(tasks),
        "variant": variant,
        "share": storage,
        "storage": 0 if storage >= 1.0 else round(storage * samples),
        "steps": list(steps),
        "episodes": episodes,
        "last_only": last_only or None,
    }
    title = f"sequence {suite} {variant} {100 * storage:g} percent" + (" at the end" if last_only else "")
    return Run(title, "polytask_trainer.experiments.sequences:learned", config, seed, experts)


def learned(context: Context) -> dict[str, Any]:
    """Learn the needed experts' tasks one after another; success of all taught tasks after each stage."""
    from polytask_policy.text import TextEncoder
    from polytask_trainer.distill import distill
    from polytask_trainer.distill_config import DistillConfig
    from polytask_trainer.lifelong import assimilate, copy_policy

    config, encode = context.config, TextEncoder().encode
    tasks: list[str] = config["tasks"]
    first_steps, more_steps = config["steps"]
    told: dict[str, Any] = {"should_stop": context.should_stop, "encode": encode}
    stages: list[Mapping[str, Any]] = []
    for number, expert in enumerate(context.needs):
        policy, title = context.folder / f"stage-{number}", f"stage {number + 1} of {len(tasks)}"
        told["on_progress"] = lambda at, title=title: context.progress(at.step, at.steps, title)
        if number == 0:
            settings = DistillConfig(steps=first_steps, storage=config["storage"], seed=context.seed)
            done = distill(settings, [expert], policy, **told)
        else:
            copy_policy(context.folder / f"stage-{number - 1}", policy)
            rehearse = config["variant"] != "fine-tuning"
            settings = DistillConfig(steps=more_steps, seed=context.seed)
            done = assimilate(settings, expert, policy, rehearse=rehearse, **told)
        if not done.finished:
            raise Stopped
        if number == len(tasks) - 1 or not config.get("last_only"):
            stages.append({"task": tasks[number], "success": judge(context, policy, number)})
    return {"stages": stages}


def judge(context: Context, policy: Path, number: int) -> dict[str, float]:
    """Success, by task, of the policy of stage ``number`` on the tasks that it was taught, asked by name."""
    from polytask_policy.unified import UnifiedPolicy
    from polytask_sim_bridge.suites import make_env
    from polytask_trainer.evaluate import evaluate
    from polytask_trainer.experiments.works import starts

    config, found = context.config, {}
    loaded = UnifiedPolicy.load(policy)
    for task in config["tasks"][: number + 1]:

        def measure(task: str = task) -> float:
            env, goal = make_env(config["suite"], task), loaded.goal_from_task(task)
            try:
                seeds = starts(context.seed, config["episodes"])
                return evaluate(lambda state: loaded.act(state, goal), env, seeds).rate
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
