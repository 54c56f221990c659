"""The demo's stages: what is done, in which order, and what waits for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polytask_cli.demo.options import Demo
from polytask_cli.demo.scheduler import Stage
from polytask_cli.demo.stages.ask_plan import Goals, make_plan, shard
from polytask_trainer.jobs.spec import CallJob, DistillJob, LearnJob

STACKS = 2
"""Stacks of nodes that run side by side, one per core."""
PHASES: tuple[tuple[str, str], ...] = (
    ("record", "record over the topics"),
    ("learn", "learn experts"),
    ("evaluate", "evaluate experts and clones"),
    ("distill", "distil into one policy"),
    ("ask", "ask through the action"),
    ("controls", "control without a goal"),
    ("timing", "measure timing"),
    ("film", "pictures for the report"),
)
STAGES = "polytask_cli.demo.stages"
REWARD = "ot"
"""Likeness to the demonstration: experts learn by it alone."""
LOCK_STEP = {"stepping_mode": "lock_step", "use_sim_time": "true"}


def training_stages(demo: Demo) -> list[Stage]:
    """Record, learn, clone, evaluate, distil, and make goal pictures."""
    stages = [
        _call(demo, f"record-{number}", "record", "record:work", spec) for number, spec in enumerate(_recordings(demo))
    ]
    recorded = tuple(stage.name for stage in stages)
    starts = list(demo.seeds.evaluation(demo.scale.expert_starts))
    for task in demo.tasks:
        learn = LearnJob(
            task,
            str(demo.demonstrations / task),
            str(demo.expert(task)),
            demo.suite,
            reward=REWARD,
            steps=demo.scale.learn_steps,
            seed=demo.seed,
        )
        stages.append(Stage(f"learn-{task}", "learn", learn, recorded))
    learned = tuple(f"learn-{task}" for task in demo.tasks)
    experts = tuple(str(demo.expert(task)) for task in demo.tasks)
    distill = DistillJob(experts, str(demo.unified), demo.scale.distill_steps, demo.seed)
    stages.append(Stage("distill", "distill", distill, learned))
    spec: dict[str, Any]
    for task in demo.tasks:
        spec = {"suite": demo.suite, "task": task, "seed": demo.seed, "starts": starts}
        spec |= {"demonstrations": str(demo.demonstrations), "controls": str(demo.controls)}
        stages.append(_call(demo, f"clone-{task}", "evaluate", "clone:work", spec, recorded))
        spec = {"suite": demo.suite, "task": task, "expert": str(demo.expert(task)), "starts": starts}
        stages.append(_call(demo, f"evaluate-{task}", "evaluate", "clone:evaluate_expert", spec, (f"learn-{task}",)))
    for number in range(STACKS):
        firsts = {task: demo.seeds.picture(index) for index, task in enumerate(demo.tasks) if index % STACKS == number}
        if firsts:
            spec = {"suite": demo.suite, "firsts": firsts, "count": demo.scale.ask_starts}
            spec["folder"] = str(demo.goal_pictures)
            stages.append(_call(demo, f"goal-pictures-{number}", "ask", "goal_pictures:work", spec))
    return stages


def _call(
    demo: Demo,
    name: str,
    phase: str,
    target: str,
    spec: dict[str, Any],
    needs: tuple[str, ...] = (),
    alone: bool = False,
) -> Stage:
    """A stage that is a function of ``stages``, with a folder of its own."""
    folder = demo.output / "jobs" / name
    return Stage(name, phase, CallJob(f"{STAGES}.{target}", {"spec": spec}, str(folder), polls=False), needs, alone)


def _recordings(demo: Demo) -> list[dict[str, Any]]:
    """Tasks shared out over the stacks; each task's demonstrations in order."""
    from polytask_suites import EMBODIMENTS

    parts = []
    for number in range(STACKS):
        wanted = {task: demo.seeds.demonstrations for task in demo.tasks[number::STACKS]}
        if wanted:
            arguments = {**LOCK_STEP, "suite": demo.suite, "dataset": str(demo.demonstrations)}
            arguments["embodiment"] = EMBODIMENTS[demo.suite]
            parts.append(
                {
                    "launch": "record",
                    "arguments": arguments,
                    "log": str(demo.output / "logs" / f"record-{number}-nodes.log"),
                    "demonstrations": str(demo.demonstrations),
                    "control_folder": str(demo.controls),
                    "controls": demo.scale.control_demonstrations - 1,
                    "seeds": wanted,
                    "thumbnails": str(demo.output / "media"),
                }
            )
    return parts


def serving_stages(demo: Demo, goals: Goals, rate: float, camera_topic: str) -> list[Stage]:
    """Ask, the control without a goal, timing, videos; all need the distilled policy."""
    plan = make_plan(demo, goals)
    spec: dict[str, Any]
    common: dict[str, Any] = {"suite": demo.suite, "tasks": list(demo.tasks)}
    checkpoint = {"checkpoint": str(demo.unified), "suite": demo.suite}
    answers = [str(demo.output / "answers" / f"{number}.jsonl") for number in range(STACKS)]
    pictures = tuple(f"goal-pictures-{number}" for number in range(STACKS))
    stages = []
    for number in range(STACKS):
        spec = {
            **common,
            "plan": [question.to_json() for question in shard(plan, number, STACKS)],
            "answers": answers[number],
            "pictures": str(demo.goal_pictures),
            "launch": "serve",
            "arguments": {**LOCK_STEP, **checkpoint},
            "log": str(demo.output / "logs" / f"ask-{number}-nodes.log"),
        }
        stages.append(_call(demo, f"ask-{number}", "ask", "ask:work", spec, ("distill", *pictures)))
    starts = [
        (task, seed) for number, task in enumerate(demo.tasks) for seed in demo.seeds.ask(number, demo.scale.ask_starts)
    ]
    for number in range(STACKS):
        spec = {**common, "checkpoint": str(demo.unified), "starts": shard_starts(starts, number)}
        stages.append(_call(demo, f"no-goal-{number}", "controls", "controls:work", spec, ("distill",)))
    video = {**common, "answers": answers, "pictures": str(demo.goal_pictures), "folder": str(demo.output / "media")}
    video["montage"] = str(demo.output / "demo.gif")
    stages.append(
        _call(demo, "film", "film", "film:work", video, (*pictures, *(f"ask-{number}" for number in range(STACKS))))
    )
    measurements: list[tuple[str, dict[str, str], dict[str, Any]]] = [
        (
            "realtime",
            {"stepping_mode": "real_time"},
            {"seconds": demo.scale.timing_seconds, "camera_topic": camera_topic},
        ),
        ("lockstep", LOCK_STEP, {"checkpoint": str(demo.unified)}),
    ]
    for name, arguments, amount in measurements:
        count = demo.scale.lockstep_episodes
        spec = {
            **common,
            **amount,
            "rate": rate,
            "seeds": list(demo.seeds.timing(count)),
            "launch": "serve",
            "arguments": {**arguments, **checkpoint},
            "log": str(demo.output / "logs" / f"{name}-nodes.log"),
        }
        stages.append(_call(demo, name, "timing", f"timing:{name}", spec, ("distill",), alone=True))
    return stages


def shard_starts(starts: Sequence[tuple[str, int]], index: int) -> list[tuple[str, int]]:
    """Every second start, so that both halves hold all tasks."""
    return list(starts[index::STACKS])
