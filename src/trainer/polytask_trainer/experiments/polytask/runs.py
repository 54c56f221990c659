"""The runs that PolyTask's experiments are made of, and share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from polytask_suites import load_suite
from polytask_trainer.agents.pixel_config import PictureConfig
from polytask_trainer.common.settings import read_settings
from polytask_trainer.distillation.config import DistillConfig
from polytask_trainer.experiments.framework.plan import read_budget
from polytask_trainer.experiments.framework.run import Run
from polytask_trainer.experts.config import LearnConfig, learn_config

STAGES = "polytask_trainer.experiments.polytask.stages"


@dataclass(frozen=True)
class Experts:
    """How experts are learned at a budget (``config/experiments/experts.yaml``), the same in all experiments."""

    learn: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What differs from the settings in config/trainer, by suite, or by the settings' name where an experiment names
    them, and by "suite/task" for a task that needs more."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Name of a suite's settings in config/trainer, where it is not the suite's own."""
    demonstrations: int = 1
    episodes: int = 25
    """Fresh starts on which each is judged."""


def learn_settings(
    experts: Experts, suite: str, task: str, changes: Mapping[str, Any] | None = None, settings: str = ""
) -> dict[str, Any]:
    """All settings of learning a task, without the seed; ``changes`` may hold mappings of parts.

    ``settings``: name of those in config/trainer, where they are not the suite's.
    """
    from polytask_trainer.jobs.resolve import learn_settings as of_suite
    from polytask_trainer.jobs.spec import LearnJob

    key, file = settings or suite, settings or experts.settings.get(suite, "")
    found = dataclasses.asdict(of_suite(LearnJob("", "", "", suite=suite, settings=file)))
    for more in (experts.learn.get(key, {}), experts.learn.get(f"{key}/{task}", {}), changes or {}):
        for name, value in more.items():
            found[name] = {**found[name], **value} if isinstance(value, Mapping) else value
    found = dataclasses.asdict(learn_config(found))
    del found["seed"]
    return found


def expert_run(
    budget: str,
    suite: str,
    task: str,
    seed: int,
    changes: Mapping[str, Any] | None = None,
    name: str = "expert",
    demonstrations: int | None = None,
    settings: str = "",
) -> Run:
    """Learn an expert and judge it; ``name`` tells variants with ``changes`` of the settings apart.

    ``demonstrations``: None: the budget's; 0: none, from the environment's reward alone. ``settings``: see
    :func:`learn_settings`.
    """
    experts: Experts = read_budget("experts", budget, Experts)
    learn = learn_settings(experts, suite, task, changes, settings)
    config = {
        "suite": suite,
        "task": task,
        "demonstrations": experts.demonstrations if demonstrations is None else demonstrations,
        "learn": learn,
        "features": None if learn["pictures"] else load_suite(suite).task(task).features,
        "episodes": experts.episodes,
    }
    return Run(f"{name} {suite} {task}", f"{STAGES}:expert", config, seed, defaults=learn_defaults(learn))


def learn_defaults(learn: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a run's ``learn`` settings."""
    return {"learn": dataclasses.asdict(LearnConfig(pictures=PictureConfig() if learn["pictures"] else None))}


def clones_run(budget: str, suite: str, task: str, seed: int, counts: Sequence[int], settings: str = "") -> Run:
    """Clone from one and from several demonstrations, and judge; ``settings``: see :func:`learn_settings`."""
    experts: Experts = read_budget("experts", budget, Experts)
    learn = learn_settings(experts, suite, task, settings=settings)
    config = {
        "suite": suite,
        "task": task,
        "demonstrations": list(counts),
        "learn": {
            "cloning": learn["cloning"],
            "agent": {"hidden": learn["agent"]["hidden"]},
            "pictures": learn["pictures"],
        },
        "episodes": experts.episodes,
    }
    return Run(f"clones {suite} {task}", f"{STAGES}:clones", config, seed, defaults=learn_defaults(learn))


def distilled_run(experts: Sequence[Run], suite: str, seed: int, settings: Mapping[str, Any]) -> Run:
    """Distil experts of a suite; ``settings``: what differs from DistillConfig. Raises ConfigError."""
    config = dataclasses.asdict(read_settings(DistillConfig, settings, "distill"))
    del config["seed"]
    defaults = {"distill": dataclasses.asdict(DistillConfig())}
    return Run(f"distilled {suite}", f"{STAGES}:distilled", {"distill": config}, seed, tuple(experts), defaults)


def asked_run(policy: Run, suite: str, tasks: Sequence[str], kinds: Sequence[str], episodes: int) -> Run:
    """Ask a distilled policy in several ways."""
    config = {"suite": suite, "tasks": list(tasks), "kinds": list(kinds), "episodes": episodes}
    return Run(f"asked {suite} by {' '.join(kinds)}", f"{STAGES}:asked", config, policy.seed, (policy,))
