"""Tasks learned one after another by one policy: what it keeps, beside plain fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from polytask_trainer.experiments.framework.report import Figure, Report, select, table
from polytask_trainer.experiments.framework.results import Document
from polytask_trainer.experiments.framework.run import Run
from polytask_trainer.experiments.framework.scores import Scores, score_table, verdict
from polytask_trainer.experiments.polytask.task_sequence import VARIANTS, final, own, sequence

LEAST = 0.9


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    experts: str
    """Budget of the experts."""
    suite: str
    tasks: Sequence[str]
    """In the order in which they are learned."""
    episodes: int
    first_steps: int
    """Gradient steps of the first task."""
    more_steps: int
    """Gradient steps of each further one."""
    distill: Mapping[str, Any] = field(default_factory=dict)
    """What differs from DistillConfig, beside the steps."""
    variants: Sequence[str] = ("offline", "fine-tuning", "online")
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check the names."""
        if unknown := set(self.variants) - set(VARIANTS):
            raise ValueError(f"unknown variants {', '.join(sorted(unknown))}; known: {', '.join(VARIANTS)}")


def runs(settings: Settings, seed: int) -> list[Run]:
    """One sequence for each variant."""
    return [
        sequence(
            settings.experts,
            settings.suite,
            settings.tasks,
            seed,
            variant=variant,
            storage=1.0,
            steps=(settings.first_steps, settings.more_steps),
            episodes=settings.episodes,
            distill=settings.distill,
        )
        for variant in settings.variants
    ]


def report(documents: Sequence[Document]) -> Report:
    """Success at the end beside that right after learning, a matrix for each variant, and curves."""
    sections, rows = [], []
    curves: dict[str, list[list[float]]] = {}
    for variant, title in VARIANTS.items():
        found = [document for document in select(documents, "learned") if document["config"]["variant"] == variant]
        if not found:
            continue
        scores = Scores()
        for document in found:
            after = final(document)
            for task, success in own(document).items():
                scores.add("own", task, document["seed"], success)
                scores.add("end", task, document["seed"], after[task])
                rows.append(
                    {"variant": variant, "seed": document["seed"], "task": task, "own": success, "end": after[task]}
                )
        kept = scores.ratio("end", "own")
        weakest = least_kept(scores)
        sections += [
            f"## {title}",
            score_table(scores, {"own": "right after learning it", "end": "at the end of the sequence"}),
            verdict("kept, of the mean", kept, kept is not None and kept.value >= LEAST, f"≥ {LEAST}"),
            f"- kept, of the weakest task: {weakest:.3f}",
            "Success of each task (column) after each stage (row), mean of the seeds:",
            matrix(found),
        ]
        curves[title] = [[float(np.mean(list(s["success"].values()))) for s in d["result"]["stages"]] for d in found]
    figure = Figure(partial(draw, curves=curves), "mean success of the tasks taught so far")
    return Report(sections, rows, {"curve.png": figure})


def least_kept(scores: Scores) -> float:
    """Share that the weakest task keeps of its own success."""
    shares = [np.mean(scores.of("end", t)) / max(float(np.mean(scores.of("own", t))), 1e-9) for t in scores.tasks()]
    return float(min(shares))


def matrix(documents: Sequence[Document]) -> str:
    """A row for each stage."""
    tasks = documents[0]["config"]["tasks"]
    rows = []
    for number, task in enumerate(tasks):
        stages: list[Mapping[str, Any]] = [document["result"]["stages"][number]["success"] for document in documents]
        means = [f"{np.mean([stage[t] for stage in stages]):.2f}" for t in tasks[: number + 1]]
        rows.append([f"{number + 1}: {task}", *means, *[""] * (len(tasks) - number - 1)])
    return table(["after stage", *tasks], rows)


def draw(axes: Any, curves: Mapping[str, list[list[float]]]) -> None:
    """Mean success over stages, the seeds as thin lines."""
    for title, found in curves.items():
        stages = range(1, len(found[0]) + 1)
        [line] = axes.plot(stages, np.mean(found, axis=0), "o-", label=title)
        for one in found:
            axes.plot(stages, one, color=line.get_color(), alpha=0.3, linewidth=0.8)
    axes.set_xlabel("tasks learned")
    axes.set_ylabel("mean success of these tasks")
    axes.set_ylim(0, 1.05)
    axes.legend(fontsize=8)
