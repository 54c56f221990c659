"""Experts and the unified policy of several suites, beside plain cloning, no goal, and another task's goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polytask_trainer.experiments import polytask
from polytask_trainer.experiments.report import Document, Report, select, table
from polytask_trainer.experiments.run import Run

CLONED = (1, 5)
KINDS = ("task", "none", "other")


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    experts: str
    """Budget of the experts."""
    tasks: Mapping[str, Sequence[str]]
    """Tasks by suite."""
    episodes: int
    """Fresh starts per task and kind of goal."""
    distill_steps: int = 0
    """0: the distillation's own."""
    seeds: int = 3


def runs(settings: Settings, seed: int) -> list[Run]:
    """Clones and experts of every task, then each suite's policy."""
    found = []
    for suite, tasks in settings.tasks.items():
        for task in tasks:
            found.append(polytask.expert(settings.experts, suite, task, seed))
            found.append(polytask.clones(settings.experts, suite, task, seed, CLONED))
        policy = polytask.distilled(settings.experts, suite, tasks, seed, settings.distill_steps)
        found.append(polytask.asked(policy, suite, tasks, KINDS, settings.episodes))
    return found


def report(documents: Sequence[Document]) -> Report:
    """Success per task of what was finished."""
    rows = []
    for document in select(documents, "expert"):
        config, rate = document["config"], document["result"]["evaluation"]["success"]
        rows.append([config["suite"], config["task"], str(document["seed"]), f"{rate:.2f}"])
    return Report([table(["suite", "task", "seed", "expert"], rows)])
