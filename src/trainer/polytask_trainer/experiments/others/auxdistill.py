"""AuxDistill: a long task by distilling easier ones into it; without distillation, alone, without an oracle; λ."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from polytask_trainer.auxdistill.config import AuxDistillConfig, load_auxdistill_config
from polytask_trainer.common.settings import named_file
from polytask_trainer.experiments.framework.report import Figure, Report, select, table
from polytask_trainer.experiments.framework.results import Document
from polytask_trainer.experiments.framework.run import Run
from polytask_trainer.experiments.framework.scores import Scores, score_table, verdict

TARGET = "polytask_trainer.experiments.others.auxdistill_stages:learned"
VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "oracle": {},
        "classifier": {"relevance": "classifier"},
        "value": {"relevance": "value"},
        "none": {"relevance": "none"},
        "alone": {"relevance": "none", "auxiliaries": (), "stages": ()},
    }
)
"""Changes of AuxDistillConfig by name."""
TITLES = {
    "oracle": "AuxDistill, oracle",
    "classifier": "… no oracle: classifier",
    "value": "… no oracle: values",
    "none": "same PPO, no distillation",
    "alone": "main task alone",
}
LEAST, MOST, KEPT = 0.7, 1 / 3, 0.8


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    suite: str
    learn: str
    """Settings of the learning, by the name of their file in config/trainer."""
    episodes: int
    """Of each task, in which the policy is judged."""
    parts: Mapping[str, int]
    """Columns of the table of stages: what is done when the oracle plan comes to this stage or a later one."""
    variants: Sequence[str] = tuple(VARIANTS)
    sweep: Sequence[float] = ()
    """Further coefficients λ for the oracle."""
    sweep_seeds: int = 5
    """Seeds of these: the first ones."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of the learning's settings."""
    seeds: int = 5

    def __post_init__(self) -> None:
        """Check the names."""
        if unknown := set(self.variants) - set(VARIANTS):
            raise ValueError(f"unknown variants {', '.join(sorted(unknown))}; known: {', '.join(VARIANTS)}")


def runs(settings: Settings, seed: int) -> list[Run]:
    """Each variant, then the sweep of λ."""
    found = [run(settings, seed, variant, VARIANTS[variant]) for variant in settings.variants]
    if seed < settings.sweep_seeds:
        found += [run(settings, seed, f"lambda {weight:g}", {"distill": weight}) for weight in settings.sweep]
    return found


def run(settings: Settings, seed: int, title: str, changes: Mapping[str, Any]) -> Run:
    """Learn and judge one policy."""
    path = named_file("trainer", settings.learn)
    learn = load_auxdistill_config(path, **{**settings.changes, **changes, "seed": seed})
    defaults = dataclasses.asdict(AuxDistillConfig("", relevance="none"))
    config = {
        "suite": settings.suite,
        "learn": dataclasses.asdict(learn),
        "episodes": settings.episodes,
        "parts": dict(settings.parts),
    }
    return Run(f"auxdistill {title}", TARGET, config, seed, defaults={"learn": defaults})


def report(documents: Sequence[Document]) -> Report:
    """Success and stages of the main task, the auxiliary tasks, λ, and learning curves."""
    scores, calm, parts, curves = Scores(), Scores(), Scores(), dict[str, list[Sequence[Mapping[str, Any]]]]()
    swept: dict[float, Scores] = {}
    found = select(documents, "learned")
    main = found[0]["config"]["learn"]["main"]
    for document in found:
        variant = document["title"].removeprefix("auxdistill ")
        result, learn = document["result"], document["config"]["learn"]
        if variant == "oracle" or variant not in VARIANTS:
            own = swept.setdefault(learn["distill"], Scores())
            own.add("oracle", main, document["seed"], result["success"][main])
        if variant in VARIANTS:
            for task, success in result["success"].items():
                scores.add(variant, task, document["seed"], success)
            for task, success in result["by_mean"].items():
                calm.add(variant, task, document["seed"], success)
            for part, rate in result["parts"].items():
                parts.add(variant, part, document["seed"], rate)
            curves.setdefault(variant, []).append(result["curve"])
    columns = {key: title for key, title in TITLES.items() if key in curves}
    sections = [
        f"## {main}",
        f"Share of {found[0]['config']['episodes']} fresh episodes, actions drawn from the policy, after "
        f"{found[0]['config']['learn']['steps']} environment steps of all tasks together.",
        stages(parts, columns),
        "\n".join(targets(scores, main, columns)),
        "## λ",
        f"Success of {main} with the oracle by the coefficient of the distillation loss.",
        coefficients(swept),
        "## All tasks",
        score_table(scores, columns),
        "The same with mean actions, which is what students are taught.",
        score_table(calm, columns),
    ]
    kinds = {"task": scores, "task, mean actions": calm, "part": parts}
    rows = [{**row, "of": kind} for kind, own in kinds.items() for row in own.rows()]
    figure = Figure(partial(draw, curves=curves, main=main), f"learning curves of {main}")
    return Report(sections, rows, {"curves.png": figure})


def stages(parts: Scores, columns: Mapping[str, str]) -> str:
    """Success stage by stage: a row for each variant."""
    rows = []
    for variant, title in columns.items():
        means = [parts.within(part).mean(variant) for part in parts.tasks()]
        rows.append([title, *("–" if mean is None else str(mean) for mean in means)])
    return table(["", *parts.tasks()], rows)


def coefficients(swept: Mapping[float, Scores]) -> str:
    """Success with the oracle by λ, in the order of λ."""
    means = [(f"{weight:g}", scores.mean("oracle")) for weight, scores in sorted(swept.items())]
    return table(["λ", "success", "seeds"], [[name, str(mean), str(mean.seeds)] for name, mean in means if mean])


def targets(scores: Scores, main: str, columns: Mapping[str, str]) -> list[str]:
    """One line for each thing that was to be shown."""
    scores = scores.within(main)
    ours = scores.mean("oracle")
    lines = [verdict("with distillation", ours, ours is not None and ours.value >= LEAST, f"≥ {LEAST}")]
    for variant in columns:
        if variant == "oracle":
            continue
        ratio = scores.ratio(variant, "oracle")
        within = variant in ("none", "alone")
        reached = ratio is not None and (ratio.value < MOST if within else ratio.value >= KEPT)
        what = f"{TITLES[variant].removeprefix('… ')}, over AuxDistill's success"
        if ours is not None and ours.value == 0.0:
            lines.append(f"- {what}: no ratio, since AuxDistill has not succeeded either")
        else:
            lines.append(verdict(what, ratio, reached, f"< {MOST:.2f}" if within else f"≥ {KEPT}"))
    return lines


def draw(axes: Any, curves: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], main: str) -> None:
    """Success of the main task's training episodes over environment steps: mean, and the seeds as thin lines."""
    for variant, title in TITLES.items():
        if variant not in curves:
            continue
        steps = [point["step"] / 1e6 for point in curves[variant][0]]
        rates = [[point["success"][main] for point in one] for one in curves[variant]]
        lines = np.ma.masked_invalid(np.array(rates, dtype=float))
        [line] = axes.plot(steps, lines.mean(axis=0), label=title)
        for one in lines:
            axes.plot(steps, one, color=line.get_color(), alpha=0.25, linewidth=0.8)
    axes.set_xlabel("environment steps, all tasks together (millions)")
    axes.set_ylabel(f"success of {main}")
    axes.set_ylim(0, 1)
    axes.legend(fontsize=7)
