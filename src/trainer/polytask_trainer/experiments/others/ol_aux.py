"""Auxiliary losses weighted online (OL-AUX): the paper's toy problem, and reaching what a goal picture shows.

**Scale.** The paper's visual tasks are three robots in MuJoCo with RGBD pictures. Here a planar arm with two joints,
drawn at 16 pixels, is to look as a picture shows it within 20 steps. The reward is sparse (elbow and tip within 0.2,
the arm being 0.85 long), and 90 % of the goals in the replay are relabelled (HER). The agent is DrQ-v2 without
demonstrations; a frame and the goal picture go through one encoder. It sees nothing of the arm's true state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from polytask_trainer.agents.ddpg import AgentConfig
from polytask_trainer.agents.pixel_config import PictureConfig
from polytask_trainer.auxiliary import arm
from polytask_trainer.auxiliary.config import LOSSES, AuxiliaryConfig
from polytask_trainer.common.settings import read_settings
from polytask_trainer.experiments.framework.report import Figure, Report, select, table
from polytask_trainer.experiments.framework.results import Document
from polytask_trainer.experiments.framework.run import Run
from polytask_trainer.experiments.framework.scores import Scores, verdict

STAGES = "polytask_trainer.experiments.others.ol_aux_stages"
WANTED = 0.8
METHODS: Mapping[str, Mapping[str, Any] | None] = MappingProxyType(
    {
        "none": None,
        "balance": {"combine": "balance"},
        "cosine": {"combine": "cosine"},
        # A fifth of the rate, as in section 5.6: with the same, it would do the steps of N = 5 one by one.
        "ol-aux-1": {"horizon": 1, "rate": AuxiliaryConfig().rate / 5},
        "ol-aux-5": {"horizon": 5},
    }
)
"""Auxiliary settings by name."""
TITLES = {
    "none": "no auxiliary losses",
    "balance": "gradient balancing",
    "cosine": "cosine similarity",
    "ol-aux-1": "OL-AUX-1",
    "ol-aux-5": "OL-AUX-5",
}


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    steps: int
    """Environment steps."""
    every: int
    """Steps between evaluations."""
    episodes: int
    """Of an evaluation."""
    methods: Sequence[str] = tuple(METHODS)
    seed_episodes: int = 20
    seed_noise: float = 1.0
    updates_per_step: float = 1.0
    toy_steps: int = 800
    agent: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check the names."""
        if unknown := set(self.methods) - set(METHODS):
            raise ValueError(f"unknown methods {', '.join(sorted(unknown))}; known: {', '.join(METHODS)}")


def runs(settings: Settings, seed: int) -> list[Run]:
    """The toy problem, which has no chance in it, once; the arm with each method."""
    toy = [Run("toy", f"{STAGES}:toy_problem", {"steps": settings.toy_steps}, seed)] if seed == 0 else []
    sizes = {
        name: getattr(settings, name)
        for name in ("steps", "every", "episodes", "seed_episodes", "seed_noise", "updates_per_step")
    }
    # Not for the run to read, but so that other arms make other runs.
    sizes["arm"] = {"size": arm.SIZE, "links": arm.LINKS, "speed": arm.SPEED, "near": arm.NEAR, "horizon": arm.HORIZON}
    agent = dataclasses.asdict(read_settings(AgentConfig, settings.agent, "agent"))
    defaults = {
        "agent": dataclasses.asdict(AgentConfig()),
        "pictures": {**dataclasses.asdict(PictureConfig()), "auxiliary": dataclasses.asdict(AuxiliaryConfig())},
    }
    found = []
    for method in settings.methods:
        pictures = read_settings(PictureConfig, {**settings.pictures, "auxiliary": METHODS[method]}, "pictures")
        config = {**sizes, "method": method, "agent": agent, "pictures": dataclasses.asdict(pictures)}
        found.append(Run(f"arm {method}", f"{STAGES}:reach", config, seed, defaults=defaults))
    return [*toy, *found]


def report(documents: Sequence[Document]) -> Report:
    """Ends of the toy problem; steps to 80 % and mean success of the arm; curves and weights."""
    sections, rows = [], list[dict[str, Any]]()
    figures: dict[str, Figure] = {}
    for document in select(documents, "toy_problem"):
        sections += ["## Toy problem", toy_table(document["result"])]
        figures["toy_courses.png"] = Figure(partial(draw_courses, toy=document["result"]), "courses of the toy problem")
        figures["toy_weights.png"] = Figure(
            partial(draw_toy_weights, toy=document["result"]), "weights of the toy problem"
        )
    arms = {method: select(documents, "reach", method=method) for method in METHODS}
    arms = {method: found for method, found in arms.items() if found}
    if arms:
        sections += ["## Reaching a goal picture", *arm_sections(arms)]
        for method, found in arms.items():
            rows += [{"method": method, "seed": d["seed"], **point} for d in found for point in d["result"]["curve"]]
        figures["curves.png"] = Figure(partial(draw_curves, arms=arms), "success over environment steps")
        for method in ("ol-aux-1", "ol-aux-5", "cosine"):
            if method in arms:
                draw = partial(draw_weights, documents=arms[method], title=TITLES[method])
                figures[f"weights-{method}.png"] = Figure(draw, f"weights of {TITLES[method]}, means over seeds")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return Report(sections, [{name: row.get(name, "") for name in columns} for row in rows], figures)


def toy_table(toy: Mapping[str, Any]) -> str:
    """Where the courses end, and when the harmful loss has no weight any more."""
    rows = []
    for fixed, online in zip(toy["fixed"], toy["ol_aux"], strict=True):
        start = "({:g}, {:g})".format(*fixed["places"][0])
        ends = [f"{np.hypot(*course['places'][-1]):.4f}" for course in (fixed, online)]
        harmful = [w[1] for w in online["weights"]]
        gone = next((10 * i for i, w in enumerate(harmful) if w <= 0.0), None)
        rows.append([start, *ends, "–" if gone is None else f"≤ {gone}", f"{max(w[0] for w in online['weights']):.2f}"])
    head = ["start", "fixed weights: distance from the optimum", "OL-AUX", "steps until w₂ ≤ 0", "largest w₁"]
    return table(head, rows)


def steps_to(document: Document) -> int | None:
    """Steps at the first evaluation with the wanted success."""
    return next((p["step"] for p in document["result"]["curve"] if p["success"] >= WANTED), None)


def arm_sections(arms: Mapping[str, Sequence[Document]]) -> list[str]:
    """The table and whether learned weights beat all others."""
    scores, rows = Scores(), []
    for method, documents in arms.items():
        limit = documents[0]["config"]["steps"]
        for document in documents:
            mean = float(np.mean([point["success"] for point in document["result"]["curve"]]))
            scores.add(method, "arm", document["seed"], mean)
        needed = [steps_to(document) for document in documents]
        median = float(np.median([np.inf if steps is None else steps for steps in needed]))
        rows.append(
            [
                TITLES[method],
                ", ".join(f"> {limit}" if steps is None else str(steps) for steps in needed),
                f"{median:.0f}" if np.isfinite(median) else f"> {limit}",
                str(scores.mean(method)),
                f"{np.mean([document['result']['curve'][-1]['success'] for document in documents]):.2f}",
            ]
        )
    head = ["", f"steps to {WANTED:.0%}, seed by seed", "median", "mean success over all evaluations", "last"]
    found = [table(head, rows)]
    for other in ("none", "balance", "ol-aux-1"):
        if other in arms and "ol-aux-5" in arms:
            ratio = scores.ratio("ol-aux-5", other)
            better = ratio is not None and ratio.value > 1.0
            found.append(verdict(f"mean success of OL-AUX-5 over {TITLES[other]}", ratio, better, "> 1"))
    return found


def draw_courses(axes: Any, toy: Mapping[str, Any]) -> None:
    """The places of all courses over the main loss."""
    side = np.linspace(-1.8, 1.8, 61)
    axes.contour(side, side, np.add.outer(side**2, side**2), 8, colors="lightgrey", linewidths=0.6)
    for name, colour, label in (("fixed", "tab:orange", "fixed weights"), ("ol_aux", "tab:blue", "OL-AUX")):
        for number, course in enumerate(toy[name]):
            x, y = np.array(course["places"]).T
            axes.plot(x, y, ".-", color=colour, markersize=3, linewidth=0.9, label=None if number else label)
            axes.plot(x[:1], y[:1], "o", color="black", markersize=4)
    axes.set_aspect("equal")
    axes.legend(fontsize=7)


def draw_toy_weights(axes: Any, toy: Mapping[str, Any]) -> None:
    """Main loss and weights of OL-AUX from the first start."""
    course = toy["ol_aux"][0]
    steps = 10 * np.arange(len(course["losses"]))
    axes.plot(steps, course["losses"], color="black", label="main loss")
    for number, label in enumerate(("w₁, helps at first", "w₂, works against it")):
        axes.plot(steps, [w[number] for w in course["weights"]], label=label)
    axes.set_xlabel("steps")
    axes.legend(fontsize=7)


def draw_curves(axes: Any, arms: Mapping[str, Sequence[Document]]) -> None:
    """Mean success, the seeds as thin lines."""
    for method, documents in arms.items():
        [line] = axes.plot(*_mean(documents, "success"), label=TITLES[method])
        for document in documents:
            curve = document["result"]["curve"]
            axes.plot(*_course(curve, "success"), color=line.get_color(), alpha=0.25, linewidth=0.7)
    axes.axhline(WANTED, color="grey", linewidth=0.6, linestyle=":")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("success on fresh starts and goals")
    axes.legend(fontsize=7)


def draw_weights(axes: Any, documents: Sequence[Document], title: str) -> None:
    """Mean weights, each point the mean over the updates since the last."""
    for loss in LOSSES:
        if f"{loss}_weight" in documents[0]["result"]["curve"][-1]:
            axes.plot(*_mean(documents, f"{loss}_weight"), label=loss.replace("_", " "))
    axes.set_xlabel("environment steps")
    axes.set_ylabel(f"weight, {title}")
    axes.legend(fontsize=7)


def _course(curve: Sequence[Mapping[str, float]], name: str) -> tuple[list[float], list[float]]:
    points = [(point["step"], point[name]) for point in curve if name in point]
    return [step for step, _ in points], [value for _, value in points]


def _mean(documents: Sequence[Document], name: str) -> tuple[list[float], Any]:
    courses = [_course(document["result"]["curve"], name) for document in documents]
    steps = courses[0][0]
    return steps, np.mean([np.interp(steps, *course) for course in courses], axis=0)
