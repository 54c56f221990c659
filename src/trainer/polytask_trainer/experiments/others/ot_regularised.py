"""Several tasks at once: does the reward of optimal transport between tasks help, beside Distral and learning alone?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polytask_trainer.experiments.framework.report import Figure, Report, select, table
from polytask_trainer.experiments.framework.results import Document
from polytask_trainer.experiments.framework.run import Run
from polytask_trainer.experiments.framework.scores import Estimate, Scores, verdict
from polytask_trainer.ot_regularised.config import TasksConfig, tasks_config

OURS, DISTRAL, ALONE = "ot_regularised", "distral", "separate"
COST = "_cost"
"""Ends the name of a method all of whose steps cost something."""
GAIN = 1.15
"""Least area under the learning curve over that of learning alone."""
HALL = "hall"
MUCH = 0.01
"""Share of another task's steps from which on a cell counts as shared."""


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    mazes: Mapping[str, Sequence[str]]
    """Tasks by the name of what is compared."""
    methods: Mapping[str, Mapping[str, Any]]
    """What each method's TasksConfig says besides, by its name here."""
    learn: Mapping[str, Any]
    """TasksConfig of all runs on mazes; its ``repetitions`` are what a seed consists of."""
    continuous: Mapping[str, Any] = field(default_factory=dict)
    """``suite``, ``tasks``, ``methods`` and ``learn`` of the runs with continuous actions; none when empty."""
    seeds: int = 1


def runs(settings: Settings, seed: int) -> list[Run]:
    """Every method on every maze, then those with continuous actions."""
    found = [
        _run(f"{maze} {method}", "maze", {"maze": maze, "tasks": list(tasks)}, method, (settings.learn, said), seed)
        for maze, tasks in settings.mazes.items()
        for method, said in settings.methods.items()
    ]
    if settings.continuous:
        own = settings.continuous
        what = {"maze": own["suite"], "suite": own["suite"], "tasks": list(own["tasks"])}
        for method in own["methods"]:
            layers = (own["learn"], settings.methods[method])
            found.append(_run(f"{own['suite']} {method}", "continuous", what, method, layers, seed))
    return found


def _run(
    title: str, function: str, what: Mapping[str, Any], method: str, layers: Sequence[Mapping[str, Any]], seed: int
) -> Run:
    said: dict[str, Any] = {}
    for layer in layers:
        parts = {name: {**said.get(name, {}), **value} for name, value in layer.items() if isinstance(value, Mapping)}
        said |= {**layer, **parts}
    learn = dataclasses.asdict(tasks_config(said))
    del learn["seed"]  # the run's own
    defaults = {"learn": dataclasses.asdict(TasksConfig())}
    where = f"polytask_trainer.experiments.others.ot_regularised_stages:{function}"
    return Run(title, where, {**what, "method": method, "learn": learn}, seed, defaults=defaults)


def report(documents: Sequence[Document]) -> Report:
    """Areas under the curves with their ratios, the curves, and where the proxy reward lies."""
    sections, figures, rows = [], {}, []
    names = list(dict.fromkeys(one["config"]["maze"] for one in documents))
    plain = [m for m in (ALONE, DISTRAL, OURS) if select(documents, "maze", method=m)]
    methods = [*plain, *sorted({one["config"]["method"] for one in documents} - set(plain), key=_costs_last)]
    by_task = {name: area_scores([one for one in documents if one["config"]["maze"] == name]) for name in names}
    areas = {name: joined(scores, scores.tasks()) for name, scores in by_task.items()}
    head = ["", *methods, f"{OURS} / {ALONE}", f"{OURS} / {DISTRAL}"]
    lines = []
    for name, scores in areas.items():
        ratios = [scores.ratio(OURS, to) for to in (ALONE, DISTRAL)]
        lines.append([name, *(_said(scores.mean(method)) for method in methods), *map(_said, ratios)])
        rows += [{"maze": name, **row} for row in by_task[name].rows()]
    sections.append("Mean of the learning curve (success of training episodes; dmc: return / 1000), 95 % intervals.")
    sections.append(table(head, lines))
    sections.append("\n".join(_verdicts(areas, "")))
    if any(method.endswith(COST) for method in methods):
        sections.append("The same where every step costs something, in all methods alike:")
        sections.append("\n".join(_verdicts(areas, COST)))
    hall = {name: scores for name, scores in by_task.items() if name.startswith(HALL)}
    if hall:
        first = next(iter(hall.values())).tasks()
        sections.append(
            f"The more tasks share the hall: {' and '.join(first)} alone, learned with none, two or six others."
        )
        lines = [[name, *(_said(joined(scores, first).mean(m)) for m in methods)] for name, scores in hall.items()]
        sections.append(table(["", *methods], lines))
    for name in names:
        own = [one for one in documents if one["config"]["maze"] == name]
        figures[f"{name}.png"] = Figure(
            partial(draw_curves, documents=own, methods=methods), f"learning curves, {name}"
        )
    shared = [one for one in documents if "proxy" in one["result"] and one["config"]["method"] == OURS]
    if shared:
        sections.append(
            "Proxy reward (in units of sigma) of trained agents, on cells that another task's agents go too and others."
        )
        lines = [[one["config"]["maze"], *(f"{value:.2f}" for value in concentration(one))] for one in shared]
        sections.append(table(["", "shared cells", "others"], lines))
        figures["proxy.png"] = Figure(
            partial(draw_proxy, documents=shared), "proxy reward by cell, for two tasks of each maze"
        )
    return Report(sections, rows, figures)


def _costs_last(method: str) -> tuple[bool, str]:
    return method.endswith(COST), method


def _verdicts(areas: Mapping[str, Scores], kind: str) -> list[str]:
    """Lines on the ratios of the methods whose names end with ``kind``."""
    found = []
    for name, scores in areas.items():
        for to, least in ((ALONE + kind, GAIN), (DISTRAL + kind, 1.0)):
            if scores.mean(OURS + kind) is None or scores.mean(to) is None:
                continue
            ratio, what = scores.ratio(OURS + kind, to), f"{name}: {OURS + kind} over {to}"
            if ratio is None:
                found.append(f"- {what}: no ratio, since {to} never succeeded")
            else:
                found.append(verdict(what, ratio, ratio.value >= least, f"≥ {least}"))
    return found


def _said(found: Estimate | None) -> str:
    return "–" if found is None else str(found)


def curve(document: Document) -> NDArray[np.float64]:
    """Success, of continuous tasks return / 1000, float64 (points, repetitions, tasks)."""
    points = document["result"]["curve"]
    if document["target"].endswith(":continuous"):
        return np.array([point["return"] for point in points]) / 1000.0
    return np.array([point["success"] for point in points])


def area_scores(documents: Sequence[Document]) -> Scores:
    """Area under the curve of each method, task and repetition."""
    scores = Scores()
    for document in documents:
        for repetition, by_task in enumerate(curve(document).mean(axis=0)):
            for task, area in zip(document["config"]["tasks"], by_task, strict=True):
                seed = document["seed"] * document["config"]["learn"]["repetitions"] + repetition
                scores.add(document["config"]["method"], task, seed, float(area))
    return scores


def joined(scores: Scores, tasks: Sequence[str]) -> Scores:
    """Each training's mean over ``tasks``, which learn from one another: only whole trainings are independent."""
    found = Scores()
    rows = [row for row in scores.rows() if row["task"] in tasks]
    for what, seed in dict.fromkeys((row["what"], row["seed"]) for row in rows):
        own = [row["success"] for row in rows if (row["what"], row["seed"]) == (what, seed)]
        found.add(what, "all", seed, float(np.mean(own)))
    return found


def _proxies(document: Document) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean proxy reward over sigma, and visits, float64 (tasks, cells)."""
    visits = np.array(document["result"]["visits"], dtype=np.float64)
    sums = np.array(document["result"]["proxy"]) / document["config"]["learn"]["transport"]["sigma"]
    with np.errstate(invalid="ignore"):
        return sums / visits, visits


def concentration(document: Document) -> tuple[float, float]:
    """Mean proxy reward over sigma on cells that are shared, and on others."""
    means, visits = _proxies(document)
    common = visits / visits.sum(axis=1, keepdims=True) >= MUCH
    others = (common.sum(axis=0) - common) > 0
    weighted = np.nan_to_num(means) * visits
    shared, own = ((weighted * where).sum() / max((visits * where).sum(), 1.0) for where in (others, ~others))
    return float(shared), float(own)


def draw_curves(axes: Any, documents: Sequence[Document], methods: Sequence[str]) -> None:
    """Mean over tasks and repetitions with its standard error over repetitions; with a cost of steps dashed."""
    base = list(dict.fromkeys(method.removesuffix(COST) for method in methods))
    for method in methods:
        found = [one for one in documents if one["config"]["method"] == method]
        if not found:
            continue
        values = np.concatenate([curve(one).mean(axis=2) for one in found], axis=1)
        steps = [point["step"] for point in found[0]["result"]["curve"]]
        mean, error = values.mean(axis=1), values.std(axis=1) / np.sqrt(values.shape[1])
        colour, style = f"C{base.index(method.removesuffix(COST))}", "--" if method.endswith(COST) else "-"
        [line] = axes.plot(steps, mean, style, color=colour, label=method)
        axes.fill_between(steps, mean - error, mean + error, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set_xlabel("environment steps of each task")
    axes.set_ylabel("mean of tasks, ± standard error")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def draw_proxy(axes: Any, documents: Sequence[Document]) -> None:
    """Each maze's first two tasks, one above the other: mean proxy reward; grey where nobody has been."""
    from matplotlib.patches import Rectangle

    columns = []
    for number, document in enumerate(documents):
        means = _proxies(document)[0][:2]
        size = round(means.shape[1] ** 0.5)
        columns.append(np.pad(means.reshape(2 * size, size), ((0, 1), (0, 1)), constant_values=np.nan))
        columns[-1] = np.insert(columns[-1], size, np.nan, axis=0)
        axes.text(number * (size + 1) + size / 2 - 0.5, -1.0, document["config"]["maze"], ha="center", fontsize=8)
        for row, task in enumerate(("first task", "second")):
            left, top = number * (size + 1) - 0.5, row * (size + 1) - 0.5
            axes.add_patch(Rectangle((left, top), size, size, facecolor="0.9", zorder=0))
            if number == 0:
                axes.text(left - 1.5, top + size / 2, task, rotation=90, ha="center", va="center", fontsize=8)
    image = axes.imshow(np.concatenate(columns, axis=1), vmin=0.0, vmax=1.0, zorder=1)
    axes.figure.colorbar(image, ax=axes, label="proxy reward / sigma", shrink=0.6)
    axes.set_axis_off()
