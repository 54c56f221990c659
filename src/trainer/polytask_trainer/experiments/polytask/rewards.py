"""Rewards compared: matching as in the demo, the paper's on raw states, and the environment's reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from polytask_trainer.experiments.framework.report import Figure, Report, select
from polytask_trainer.experiments.framework.results import Document
from polytask_trainer.experiments.framework.run import Run
from polytask_trainer.experiments.framework.scores import Scores, bars, score_table
from polytask_trainer.experiments.polytask.multitask import sizes
from polytask_trainer.experiments.polytask.runs import clones_run, expert_run
from polytask_trainer.rewards.matching import MatchingConfig

# The paper matches its encoder's features (here there is none), and its code has an epsilon of 0.01 (here 0.02).
PAPER = {"features": "absolute", "reward": "cost", "cost": "cosine", "time_weight": 0.0}
VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "expert": {},
        "environment": {"reward": "environment"},
        "paper-matching": {"matching": PAPER},
        "absolute-features": {"matching": {"features": "absolute"}},
        "nearest-frame": {"matching": {"plan": "nearest"}},
        "no-time-term": {"matching": {"time_weight": 0.0}},
        "nearest-frame-no-time-term": {"matching": {"plan": "nearest", "time_weight": 0.0}},
        "original-reward": {"matching": {"reward": "cost"}},
        "cosine-cost": {"matching": {"cost": "cosine"}},
    }
)
"""Changes of LearnConfig by name; "expert" is the expert of all experiments."""
MAIN = ("bc1", "environment", "paper-matching", "expert")
TITLES = {
    "bc1": "BC-1",
    "environment": "environment's reward",
    "paper-matching": "the paper's OT, raw states",
    "expert": "OT, the demo's",
    "absolute-features": "… absolute features",
    "nearest-frame": "… nearest frame, no transport",
    "no-time-term": "… no time term",
    "nearest-frame-no-time-term": "… nearest frame, no time term",
    "original-reward": "… original reward",
    "cosine-cost": "… cosine cost",
}


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    experts: str
    """Budget of the experts."""
    tasks: Mapping[str, Sequence[str]]
    """Tasks by suite."""
    variants: Sequence[str]
    """Variants learned on all of these."""
    ablations: Mapping[str, Sequence[str]]
    """Further variants, each on some tasks of the suite tabletop."""
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check the names."""
        unknown = {*self.variants, *self.ablations} - set(VARIANTS)
        if unknown:
            raise ValueError(f"unknown variants {', '.join(sorted(unknown))}; known: {', '.join(VARIANTS)}")


def runs(settings: Settings, seed: int) -> list[Run]:
    """The clone and every variant of each task, then the ablations."""
    found = []
    for suite, tasks in settings.tasks.items():
        for task in tasks:
            found.append(clones_run(settings.experts, suite, task, seed, (1, 5)))
            for variant in settings.variants:
                found.append(expert_run(settings.experts, suite, task, seed, VARIANTS[variant], variant))
    for variant, tasks in settings.ablations.items():
        for task in tasks:
            found.append(expert_run(settings.experts, "tabletop", task, seed, VARIANTS[variant], variant))
    return found


def report(documents: Sequence[Document]) -> Report:
    """For each suite success by task and reward, and the gaps to the environment's reward."""
    sections, rows, figures = [], [], {}
    for suite in dict.fromkeys(document["config"]["suite"] for document in select(documents, "expert")):
        scores = Scores()
        for document in select(documents, "clones", suite=suite):
            found = document["result"]["evaluations"]["1"]["success"]
            scores.add("bc1", document["config"]["task"], document["seed"], found)
        for document in select(documents, "expert", suite=suite):
            variant, _, task = document["title"].split(" ")
            scores.add(variant, task, document["seed"], document["result"]["evaluation"]["success"])
        columns = {key: title for key, title in TITLES.items() if any(scores.of(key, task) for task in scores.tasks())}
        sections += [
            f"## {suite}",
            f"Success of experts on fresh starts by the reward that they learned from: {sizes(documents, suite)}. "
            "The paper's OT has its cosine cost and its reward, but the raw states in place of an encoder's features, "
            f"and ε = {MatchingConfig().epsilon} in place of 0.01.",
            score_table(scores, columns),
            gaps(scores, columns),
        ]
        rows += [{"suite": suite, **row} for row in scores.rows()]
        main = {key: title for key, title in columns.items() if key in MAIN}
        figures[f"{suite}.png"] = Figure(partial(bars, scores=scores, columns=main), f"success on {suite}")
    return Report(sections, rows, figures)


def gaps(scores: Scores, columns: Mapping[str, str]) -> str:
    """How far the two kinds of matching lie below the environment's reward, on the mean of all tasks."""
    lines = []
    for key in ("paper-matching", "expert"):
        both = [scores.mean(what) for what in ("environment", key)]
        if key in columns and both[0] is not None and both[1] is not None:
            lines.append(f"- environment's reward less {columns[key]}: {both[0].value - both[1].value:+.3f}")
    return "\n".join(lines) or "- gaps: not measured yet"
