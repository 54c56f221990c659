"""The runs that PolyTask's experiments are made of, and share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from polytask_sim_bridge.suites import load_suite
from polytask_trainer.config import LearnConfig, learn_config
from polytask_trainer.distill_config import DistillConfig
from polytask_trainer.experiments.plan import read_budget
from polytask_trainer.experiments.run import Run

WORKS = "polytask_trainer.experiments.works"


@dataclass(frozen=True)
class Experts:
    """How experts are learned at a budget (``config/experiments/experts.yaml``), the same in all experiments."""

    learn: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What differs from the settings in config/trainer, by suite, and by "suite/task" for a task that needs more."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Name of a suite's settings in config/trainer, where it is not the suite's own."""
    demonstrations: int = 1
    episodes: int = 25
    """Fresh starts on which each is judged."""


def learn_settings(experts: Experts, suite: str, task: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """All settings of learning a task, without the seed; ``changes`` may hold mappings of parts."""
    from polytask_trainer.jobs import LearnJob
    from polytask_trainer.jobs import learn_settings as of_suite

    settings = dataclasses.asdict(of_suite(LearnJob("", "", "", suite=suite, settings=experts.settings.get(suite, ""))))
    for more in (experts.learn.get(suite, {}), experts.learn.get(f"{suite}/{task}", {}), changes or {}):
        for name, value in more.items():
            settings[name] = {**settings[name], **value} if isinstance(value, Mapping) else value
    settings = dataclasses.asdict(learn_config(settings))
    del settings["seed"]
    return settings


def expert(
    budget: str,
    suite: str,
    task: str,
    seed: int,
    changes: Mapping[str, Any] | None = None,
    name: str = "expert",
    demonstrations: int | None = None,
) -> Run:
    """Learn an expert and judge it; ``name`` tells variants with ``changes`` of the settings apart.

    ``demonstrations``: None: the budget's; 0: none, from the environment's reward alone.
    """
    experts: Experts = read_budget("experts", budget, Experts)
    config = {
        "suite": suite,
        "task": task,
        "demonstrations": experts.demonstrations if demonstrations is None else demonstrations,
        "learn": learn_settings(experts, suite, task, changes),
        "features": load_suite(suite).task(task).features,
        "episodes": experts.episodes,
    }
    defaults = {"learn": dataclasses.asdict(LearnConfig())}
    return Run(f"{name} {suite} {task}", f"{WORKS}:expert", config, seed, defaults=defaults)


def clones(budget: str, suite: str, task: str, seed: int, counts: Sequence[int]) -> Run:
    """Clone from one and from several demonstrations, and judge."""
    experts: Experts = read_budget("experts", budget, Experts)
    learn = learn_settings(experts, suite, task)
    config = {
        "suite": suite,
        "task": task,
        "demonstrations": list(counts),
        "learn": {"cloning": learn["cloning"], "agent": {"hidden": learn["agent"]["hidden"]}},
        "episodes": experts.episodes,
    }
    defaults = {"learn": dataclasses.asdict(LearnConfig())}
    return Run(f"clones {suite} {task}", f"{WORKS}:clones", config, seed, defaults=defaults)


def distilled(experts: Sequence[Run], suite: str, seed: int, steps: int) -> Run:
    """Distil experts of a suite; ``steps`` 0: the default."""
    config = dataclasses.asdict(DistillConfig(steps=steps or DistillConfig.steps))
    del config["seed"]
    defaults = {"distill": dataclasses.asdict(DistillConfig())}
    return Run(f"distilled {suite}", f"{WORKS}:distilled", {"distill": config}, seed, tuple(experts), defaults)


def asked(policy: Run, suite: str, tasks: Sequence[str], kinds: Sequence[str], episodes: int) -> Run:
    """Ask a distilled policy in several ways."""
    config = {"suite": suite, "tasks": list(tasks), "kinds": list(kinds), "episodes": episodes}
    return Run(f"asked {suite} by {' '.join(kinds)}", f"{WORKS}:asked", config, policy.seed, (policy,))
