"""Memory size: success after the last task over the share of samples that is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from polytask_trainer.experiments.framework.report import Figure, Report, select
from polytask_trainer.experiments.framework.results import Document
from polytask_trainer.experiments.framework.run import Run
from polytask_trainer.experiments.framework.scores import Estimate, Scores, score_table, verdict
from polytask_trainer.experiments.polytask.task_sequence import final, sequence

LEAST, AT = 0.9, "10 %"


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    experts: str
    """Budget of the experts."""
    suite: str
    tasks: Sequence[str]
    """In the order in which they are learned."""
    shares: Sequence[float]
    """Of all tasks' replay samples, kept in memory."""
    episodes: int
    first_steps: int
    more_steps: int
    distill: Mapping[str, Any] = field(default_factory=dict)
    """What differs from DistillConfig, beside the steps."""
    seeds: int = 3


def runs(settings: Settings, seed: int) -> list[Run]:
    """One sequence for each share; everything kept is that of the experiment ``lifelong``."""
    return [
        sequence(
            settings.experts,
            settings.suite,
            settings.tasks,
            seed,
            variant="offline",
            storage=share,
            steps=(settings.first_steps, settings.more_steps),
            episodes=settings.episodes,
            distill=settings.distill,
            last_only=share < 1.0,
        )
        for share in settings.shares
    ]


def report(documents: Sequence[Document]) -> Report:
    """A table of success by task and share, and the curve."""
    scores = Scores()
    shares = sorted({document["config"]["share"] for document in select(documents, "learned")}, reverse=True)
    columns = {f"{100 * share:g} %": f"{100 * share:g} % kept" for share in shares}
    for document in select(documents, "learned"):
        for task, success in final(document).items():
            scores.add(f"{100 * document['config']['share']:g} %", task, document["seed"], success)
    kept = scores.ratio(AT, "100 %") if AT in columns and "100 %" in columns else None
    sections = [
        "Success of every task after the last was learned, by the share of all replay samples that memory may hold.",
        score_table(scores, columns),
        verdict(f"success with {AT} of that with all", kept, kept is not None and kept.value >= LEAST, f"≥ {LEAST}"),
    ]
    points = [(share, mean) for share in shares if (mean := scores.mean(f"{100 * share:g} %")) is not None]
    figure = Figure(partial(draw, points=points), "success over storage")
    return Report(sections, scores.rows(), {"storage.png": figure})


def draw(axes: Any, points: Sequence[tuple[float, Estimate]]) -> None:
    """Mean success over the share, with intervals."""
    axes.plot([100 * share for share, _ in points], [mean.value for _, mean in points], "o-")
    for share, mean in points:
        if mean.low is not None:
            axes.plot([100 * share] * 2, [mean.low, mean.high], color="C0", alpha=0.5)
    axes.set_xscale("log")
    axes.set_xlabel("samples kept, % of all")
    axes.set_ylabel("mean success after the last task")
    axes.set_ylim(0, 1.05)
