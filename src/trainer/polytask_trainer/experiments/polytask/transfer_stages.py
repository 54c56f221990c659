"""Stage functions of ``transfer``: learn a task, and evaluate it at intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from polytask_trainer.experiments.framework.run import Context, Stopped
from polytask_trainer.experts.config import learn_config
from polytask_trainer.experts.learn import learn_expert
from polytask_trainer.experts.spec import describe
from polytask_trainer.lifelong.learn import learn_from
from polytask_trainer.lifelong.start import START


def learned(context: Context) -> dict[str, Any]:
    """Learn an expert, with the needed policy's help or from nothing; success on fresh starts now and then."""
    from polytask_suites import make_env
    from polytask_trainer.experiments.polytask.demonstrations import demonstrations

    config = context.config
    suite, task = config["suite"], config["task"]
    shown = demonstrations(suite, task, config["demonstrations"], context.seed)
    description = describe(suite, task, shown[0].embodiment)
    learn = learn_config({**config["learn"], "seed": context.seed})
    method = partial(learn_from, context.needs[0]) if context.needs else learn_expert
    begin = partial(method, learn, partial(make_env, suite, task), shown, description, context.folder)
    curve = []
    for mark in range(0, learn.steps + 1, config["every"]):

        def measure(mark: int = mark) -> dict[str, float]:
            step = max(carry_on(context, begin, mark), sum(one["steps"] for one in trials(context)))
            return {"step": step, "success": judge(context, description)}

        curve.append(context.piece(f"after {mark}", measure))
    return {"curve": curve, "trials": trials(context)}


def trials(context: Context) -> list[dict[str, Any]]:
    """What was tried of the needed policy's skills; nothing without one."""
    from polytask_policy.checkpoint import load_checkpoint

    return load_checkpoint(context.folder / START, START)[1]["trials"] if context.needs else []


def carry_on(context: Context, begin: Callable[..., Any], mark: int) -> int:
    """Learn on until ``mark`` steps, with the state of it in the run's folder; gives the steps done. Raises Stopped."""
    from polytask_policy.checkpoint import has_checkpoint, load_checkpoint

    state = context.folder / "training"
    done = int(load_checkpoint(state)[1]["step"]) if has_checkpoint(state) else 0

    def progress(report: Mapping[str, Any]) -> None:
        nonlocal done
        done = max(done, int(report["step"]))
        context.on_progress(dict(report))

    if done < mark or not has_checkpoint(state):
        begin(on_progress=progress, should_stop=lambda: done >= mark or context.should_stop())
    done = int(load_checkpoint(state)[1]["step"])
    if done < mark:
        raise Stopped
    return done


def judge(context: Context, description: Any) -> float:
    """Success, on fresh starts, of the averaged actor of the training that lies in the run's folder."""
    from polytask_policy.checkpoint import load_checkpoint
    from polytask_policy.expert import ExpertPolicy
    from polytask_policy.networks import Actor
    from polytask_suites import make_env
    from polytask_trainer.common.optimizer_state import under
    from polytask_trainer.experiments.polytask import stages

    config = context.config
    actor = Actor(
        len(description.state_names), len(description.action_names), tuple(config["learn"]["agent"]["hidden"])
    )
    actor.load_state_dict(under(load_checkpoint(context.folder / "training")[0], "average"))
    env = make_env(config["suite"], config["task"])
    try:
        seeds = stages.starts(context.seed, config["episodes"])
        return stages.judge(ExpertPolicy(actor, description), env, seeds).rate
    finally:
        env.close()
