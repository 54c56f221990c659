"""Experts and the unified policy that see camera pictures, beside plain cloning; asked in every way, with controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from polytask_trainer.experiments.framework.report import Figure, Report, select
from polytask_trainer.experiments.framework.results import Document
from polytask_trainer.experiments.framework.run import Run
from polytask_trainer.experiments.framework.scores import bars, score_table, verdict
from polytask_trainer.experiments.polytask import goal_kinds, multitask
from polytask_trainer.experiments.polytask.runs import asked_run, clones_run, distilled_run, expert_run

COLUMNS = {"bc1": "BC-1", "expert": "expert", **goal_kinds.COLUMNS}


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    experts: str
    """Budget of the experts."""
    settings: str
    """Name of those in config/trainer that say what is seen."""
    tasks: Mapping[str, Sequence[str]]
    """Tasks by suite."""
    kinds: Mapping[str, Sequence[str]]
    """Ways of asking by suite, beside name and controls."""
    episodes: int
    """Fresh starts per task and kind of goal."""
    distill: Mapping[str, Any]
    """What differs from DistillConfig."""
    seeds: int = 3


def runs(settings: Settings, seed: int) -> list[Run]:
    """Clone and expert of every task, then each suite's policy."""
    found, sees = [], settings.settings
    for suite, tasks in settings.tasks.items():
        experts = [expert_run(settings.experts, suite, task, seed, settings=sees) for task in tasks]
        policy = distilled_run(experts, suite, seed, settings.distill)
        kinds = (*multitask.KINDS, *settings.kinds[suite])
        found += experts
        found += [clones_run(settings.experts, suite, task, seed, (1,), settings=sees) for task in tasks]
        # A run for each way of asking, so that they go on side by side: most of the time is drawing pictures.
        found += [asked_run(policy, suite, tasks, (kind,), settings.episodes) for kind in kinds]
    return found


def report(documents: Sequence[Document]) -> Report:
    """For each suite a table, the ratio, refusals, and a picture."""
    sections, rows, figures = [], [], {}
    must = f"≥ {multitask.LEAST}"
    for suite in dict.fromkeys(document["config"]["suite"] for document in select(documents, "expert")):
        scores = multitask.scores_of(documents, suite)
        columns = {what: title for what, title in COLUMNS.items() if any(scores.of(what, t) for t in scores.tasks())}
        ratio = scores.ratio("task", "expert")
        sections += [
            f"## {suite}",
            f"{sight(documents, suite)} Success on fresh starts; the mean with its 95 % interval. Experts by OT: "
            f"{multitask.sizes(documents, suite)}. A goal that the policy refuses is a failure.",
            score_table(scores, columns),
            verdict(
                "unified policy over its experts", ratio, ratio is not None and ratio.value >= multitask.LEAST, must
            ),
            goal_kinds.refusals(documents, suite),
        ]
        rows += [{"suite": suite, **row} for row in scores.rows()]
        shown = {what: COLUMNS[what] for what in ("bc1", "expert", "task", "words", "image")}
        figures[f"{suite}.png"] = Figure(partial(bars, scores=scores, columns=shown), f"success on {suite}")
    return Report(sections, rows, figures)


def sight(documents: Sequence[Document], suite: str) -> str:
    """What the policies see, in words."""
    sees = select(documents, "expert", suite=suite)[0]["config"]["learn"]["pictures"]
    beside = f" beside {len(sees['state'])} values that the robot measures of itself" if sees["state"] else ""
    return f"Seen: {sees['stack']} frame{'s' if sees['stack'] > 1 else ''} of {sees['size']} pixels{beside}."
