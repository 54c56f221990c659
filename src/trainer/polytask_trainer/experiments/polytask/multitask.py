"""Experts and the unified policy of several suites, beside plain cloning, no goal, and another task's goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from polytask_trainer.experiments.framework.report import Figure, Report, select
from polytask_trainer.experiments.framework.results import Document
from polytask_trainer.experiments.framework.run import Run
from polytask_trainer.experiments.framework.scores import Scores, bars, score_table, verdict
from polytask_trainer.experiments.polytask.runs import asked_run, clones_run, distilled_run, expert_run

CLONED = (1, 5)
KINDS = ("task", "none", "other")
LEAST = 0.93
COLUMNS = {
    "bc1": "BC-1",
    "bc5": "BC-5",
    "expert": "expert",
    "task": "unified",
    "none": "unified, no goal",
    "other": "unified, another task's goal",
}


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    experts: str
    """Budget of the experts."""
    tasks: Mapping[str, Sequence[str]]
    """Tasks by suite."""
    episodes: int
    """Fresh starts per task and kind of goal."""
    distill: Mapping[str, Any] = field(default_factory=dict)
    """What differs from DistillConfig."""
    seeds: int = 3


def runs(settings: Settings, seed: int) -> list[Run]:
    """Clones and experts of every task, then each suite's policy."""
    found = []
    for suite, tasks in settings.tasks.items():
        for task in tasks:
            found.append(expert_run(settings.experts, suite, task, seed))
            found.append(clones_run(settings.experts, suite, task, seed, CLONED))
        found.append(asked_run(policy(settings, suite, seed), suite, tasks, KINDS, settings.episodes))
    return found


def policy(settings: Settings, suite: str, seed: int) -> Run:
    """The policy distilled from the experts of a suite's tasks."""
    experts = [expert_run(settings.experts, suite, task, seed) for task in settings.tasks[suite]]
    return distilled_run(experts, suite, seed, settings.distill)


def scores_of(documents: Sequence[Document], suite: str) -> Scores:
    """Success of experts, clones, and the policy asked in each way, on a suite's tasks."""
    scores = Scores()
    for document in select(documents, "expert", suite=suite):
        scores.add("expert", document["config"]["task"], document["seed"], document["result"]["evaluation"]["success"])
    for document in select(documents, "clones", suite=suite):
        for count, found in document["result"]["evaluations"].items():
            scores.add(f"bc{count}", document["config"]["task"], document["seed"], found["success"])
    for document in select(documents, "asked", suite=suite):
        for kind, by_task in document["result"]["evaluations"].items():
            for task, found in by_task.items():
                scores.add(kind, task, document["seed"], found["success"])
    return scores


def report(documents: Sequence[Document]) -> Report:
    """For each suite a table, the ratio, and a picture."""
    sections, rows, figures = [], [], {}
    for suite in dict.fromkeys(document["config"]["suite"] for document in select(documents, "expert")):
        scores = scores_of(documents, suite)
        ratio = scores.ratio("task", "expert")
        sections += [
            f"## {suite}",
            f"Success on fresh starts; the mean with its 95 % interval. Experts by OT: {sizes(documents, suite)}.",
            score_table(scores, COLUMNS),
            verdict("unified policy over its experts", ratio, ratio is not None and ratio.value >= LEAST, f"≥ {LEAST}"),
        ]
        rows += [{"suite": suite, **row} for row in scores.rows()]
        shown = {what: COLUMNS[what] for what in ("bc1", "bc5", "expert", "task")}
        figures[f"{suite}.png"] = Figure(partial(bars, scores=scores, columns=shown), f"success on {suite}")
    return Report(sections, rows, figures)


def sizes(documents: Sequence[Document], suite: str) -> str:
    """At which size the experts were learned, in words."""
    experts = select(documents, "expert", suite=suite)
    config = experts[0]["config"]
    count, steps = config["demonstrations"], sorted({expert["config"]["learn"]["steps"] for expert in experts})
    return (
        f"{count} demonstration{'s' if count > 1 else ''}, {' or '.join(map(str, steps))} agent steps, "
        f"judged on {config['episodes']} episodes a seed"
    )
