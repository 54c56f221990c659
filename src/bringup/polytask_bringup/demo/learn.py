"""Learn one expert from one recorded demonstration, by the matching reward alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from polytask_bringup.demo.worker import Report


def work(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Learn ``task`` from its first demonstration in ``dataset``; resumes what an earlier sitting left behind."""
    from polytask_demo_recorder.dataset import read_dataset
    from polytask_sim_bridge.suites import make_env
    from polytask_trainer.config import LearnConfig
    from polytask_trainer.learn import learn_expert

    torch.set_num_threads(1)
    report.patient = True
    suite, task, output = spec["suite"], spec["task"], Path(spec["output"])
    demonstrations = read_dataset(Path(spec["dataset"]) / task)[:1]
    config = LearnConfig(seed=int(spec["seed"]))
    if spec["steps"]:
        config = dataclasses.replace(config, steps=int(spec["steps"]))
    outcome = learn_expert(
        config,
        lambda: make_env(suite, task),
        demonstrations,
        describe(demonstrations[0], suite, task),
        output,
        on_progress=lambda at: report(at["step"], at["total_steps"], at["phase"]),
        should_stop=lambda: report.stopping,
    )
    return {
        "finished": outcome.finished,
        "steps": outcome.steps,
        "seconds": outcome.seconds,
        "reward": config.reward,
        "demonstration": str(demonstrations[0].path),
        "progress": str(output / "progress.jsonl"),
    }


def describe(demonstration: Any, suite: str, task: str) -> Any:
    """What the expert of ``task`` is trained for, by the recording's own embodiment."""
    import yaml

    from polytask_policy.description import Description
    from polytask_sim_bridge.suites import load_suite

    embodiment, known = demonstration.embodiment, load_suite(suite).tasks[task]
    return Description(
        suite=suite,
        tasks=(task,),
        state_names=embodiment.state_names,
        action_names=tuple(value.name for value in embodiment.command),
        instructions={task: demonstration.instructions},
        descriptions={task: known.description},
        embodiment=yaml.safe_load(embodiment.to_yaml()),
    )
