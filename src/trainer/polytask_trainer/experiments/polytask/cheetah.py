"""Cheetahs with different torsos, from their states and the environment's reward: curves, and one policy for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from polytask_trainer.experiments.framework.report import Figure, Report, select
from polytask_trainer.experiments.framework.results import Document
from polytask_trainer.experiments.framework.run import Run
from polytask_trainer.experiments.framework.scores import Scores, score_table, verdict
from polytask_trainer.experiments.polytask.runs import asked_run, distilled_run, expert_run

SUITE = "dmc"
HIGHEST = 1000.0
"""Return of an episode at full speed."""
LEAST = 0.95
COLUMNS = {"expert": "expert", "task": "unified", "none": "unified, no goal"}


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    experts: str
    """Budget of the experts."""
    tasks: Sequence[str]
    episodes: int
    distill: Mapping[str, Any] = field(default_factory=dict)
    """What differs from DistillConfig."""
    seeds: int = 3


def runs(settings: Settings, seed: int) -> list[Run]:
    """An expert of each torso without demonstrations, then their policy."""
    experts = [expert_run(settings.experts, SUITE, task, seed, demonstrations=0) for task in settings.tasks]
    policy = distilled_run(experts, SUITE, seed, settings.distill)
    return [*experts, asked_run(policy, SUITE, settings.tasks, ("task", "none"), settings.episodes)]


def report(documents: Sequence[Document]) -> Report:
    """Returns by torso, the ratio, and learning curves."""
    scores, curves = Scores(), dict[str, list[Sequence[Mapping[str, float]]]]()
    for document in select(documents, "expert"):
        task = document["config"]["task"]
        scores.add("expert", task, document["seed"], document["result"]["evaluation"]["mean_return"] / HIGHEST)
        scale = document["config"]["learn"]["environment_reward_scale"]
        points = [{**point, "return": point["episode_reward"] / scale} for point in document["result"]["curve"]]
        curves.setdefault(task, []).append(points)
    for document in select(documents, "asked"):
        for kind, by_task in document["result"]["evaluations"].items():
            for task, found in by_task.items():
                scores.add(kind, task, document["seed"], found["mean_return"] / HIGHEST)
    ratio = scores.ratio("task", "expert")
    sections = [
        f"Return over {HIGHEST:g} on fresh starts; the experts have learned for "
        f"{select(documents, 'expert')[0]['config']['learn']['steps']} agent steps (two frames each).",
        score_table(scores, COLUMNS),
        verdict("unified policy over its experts", ratio, ratio is not None and ratio.value >= LEAST, f"≥ {LEAST}"),
    ]
    return Report(sections, scores.rows(), {"curves.png": Figure(partial(draw, curves=curves), "learning curves")})


def draw(axes: Any, curves: Mapping[str, Sequence[Sequence[Mapping[str, float]]]]) -> None:
    """Mean return of training episodes over agent steps, a line for each torso, the seeds as thin lines."""
    for task, found in curves.items():
        steps = [point["step"] for point in found[0]]
        returns = [np.interp(steps, [p["step"] for p in one], [p["return"] for p in one]) for one in found]
        [line] = axes.plot(steps, np.mean(returns, axis=0), label=task)
        for one in returns:
            axes.plot(steps, one, color=line.get_color(), alpha=0.3, linewidth=0.8)
    axes.set_xlabel("agent steps")
    axes.set_ylabel("return of training episodes")
    axes.legend(fontsize=7)
