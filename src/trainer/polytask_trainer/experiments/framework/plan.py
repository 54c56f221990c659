"""From an experiment's name and a budget to the runs that are to be done, in order."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable
from typing import Any

from polytask_trainer.common.settings import ConfigError, named_file, read_settings, read_yaml
from polytask_trainer.experiments import EXPERIMENTS
from polytask_trainer.experiments.framework.run import Run

BUDGETS = ("smoke", "cpu", "paper")


def experiment(name: str) -> Any:
    """The module of an experiment. Raises ConfigError for an unknown one."""
    if name not in EXPERIMENTS:
        raise ConfigError(f"there is no experiment '{name}'; there are: {', '.join(EXPERIMENTS)}")
    return importlib.import_module(f"polytask_trainer.experiments.{EXPERIMENTS[name]}")


def read_budget(name: str, budget: str, kind: type[Any]) -> Any:
    """Read section ``budget`` of ``config/experiments/NAME.yaml`` into the dataclass ``kind``. Raises ConfigError."""
    path = named_file("experiments", name)
    data = read_yaml(path, {})
    if not isinstance(data, dict) or budget not in data:
        raise ConfigError(f"{path}: has no budget '{budget}'")
    return read_settings(kind, data[budget], f"{path}: {budget}")


def plan(name: str, budget: str, seeds: int = 0) -> list[Run]:
    """All runs, those that others need first, seed after seed. ``seeds`` 0: the budget's. Raises ConfigError."""
    module = experiment(name)
    settings = read_budget(name, budget, module.Settings)
    if seeds:
        settings = dataclasses.replace(settings, seeds=seeds)
    return with_needs(run for seed in range(settings.seeds) for run in module.runs(settings, seed))


def with_needs(runs: Iterable[Run]) -> list[Run]:
    """Each run once, after what it needs."""
    found: dict[str, Run] = {}

    def add(run: Run) -> None:
        for need in run.needs:
            add(need)
        found.setdefault(run.name, run)

    for run in runs:
        add(run)
    return list(found.values())
