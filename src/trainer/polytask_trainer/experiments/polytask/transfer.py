"""Forward transfer: steps to learn a task from nothing, and with the help of a policy that knows all the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from polytask_trainer.experiments.framework.plan import read_budget
from polytask_trainer.experiments.framework.report import Figure, Report, select, table
from polytask_trainer.experiments.framework.results import Document
from polytask_trainer.experiments.framework.run import Run
from polytask_trainer.experiments.framework.scores import Scores, estimate
from polytask_trainer.experiments.polytask.runs import (
    Experts,
    distilled_run,
    expert_run,
    learn_defaults,
    learn_settings,
)
from polytask_trainer.lifelong.warm_start import FADE, GOOD, ROUNDS

TARGET = "polytask_trainer.experiments.polytask.transfer_stages:learned"
WANTED = 0.8
COLD, WARM = "nothing", "the others' policy"


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    experts: str
    """Budget of the experts that the policies are distilled from."""
    suite: str
    tasks: Sequence[str]
    """All that there are; a policy knows all but one."""
    learned: Sequence[str]
    """Which of them are learned, each in turn."""
    steps: int
    """Agent steps of learning."""
    every: int
    """Steps between evaluations."""
    episodes: int
    """Of an evaluation."""
    distill: Mapping[str, Any] = field(default_factory=dict)
    """What differs from DistillConfig."""
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check what depends on each other."""
        if unknown := set(self.learned) - set(self.tasks):
            raise ValueError(f"learned: {', '.join(sorted(unknown))} must be among the tasks")
        if self.every < 1 or self.steps % self.every:
            raise ValueError(f"steps ({self.steps}) must be a multiple of every ({self.every})")


def runs(settings: Settings, seed: int) -> list[Run]:
    """Each task from nothing, then from the policy of the others."""
    found = []
    budget: Experts = read_budget("experts", settings.experts, Experts)
    # Pictures of results are not needed.
    changes = {"steps": settings.steps, "goal_pictures": 1, "goal_rollouts": 1}
    for task in settings.learned:
        learn = learn_settings(budget, settings.suite, task, changes)
        others = [expert_run(settings.experts, settings.suite, o, seed) for o in settings.tasks if o != task]
        policy = distilled_run(others, settings.suite, seed, settings.distill)
        policy = dataclasses.replace(policy, title=f"{policy.title} without {task}")
        for begins, needs in ((COLD, ()), (WARM, (policy,))):
            config = {
                "suite": settings.suite,
                "task": task,
                "begins": begins,
                "demonstrations": budget.demonstrations,
                "learn": learn,
                "every": settings.every,
                "episodes": settings.episodes,
                # How it helps; another way would be another run.
                "help": {"rounds": ROUNDS, "good": GOOD, "fade": FADE} if needs else None,
            }
            title = f"transfer {settings.suite} {task} from {begins}"
            found.append(Run(title, TARGET, config, seed, needs, learn_defaults(learn)))
    return found


def report(documents: Sequence[Document]) -> Report:
    """A row for each task and beginning, what was saved, and curves."""
    found = select(documents, "learned")
    scores, rows, lines = Scores(), [], []
    for task in dict.fromkeys(document["config"]["task"] for document in found):
        for begins in (COLD, WARM):
            own = select(found, "learned", task=task, begins=begins)
            if not own:
                continue
            for document in own:
                scores.add(begins, task, document["seed"], mean_success(document))
                lines += [
                    {"task": task, "begins": begins, "seed": document["seed"], **point}
                    for point in document["result"]["curve"]
                ]
            rows.append(
                [
                    task,
                    begins,
                    " · ".join(reached(document) for document in own),
                    " · ".join(f"{document['result']['curve'][0]['success']:.2f}" for document in own),
                    " · ".join(f"{document['result']['curve'][-1]['success']:.2f}" for document in own),
                    " · ".join(tried(document) for document in own),
                ]
            )
    head = [
        "task",
        "begins with",
        f"steps to {WANTED:.0%}, seed by seed",
        "success at the start",
        "at the end",
        "good trials",
    ]
    config = found[0]["config"]
    sections = [
        f"Success of the averaged actor on {config['episodes']} fresh starts every {config['every']} agent steps, "
        f"up to {config['learn']['steps']}, from the same demonstration. {helped(found)}",
        table(head, rows),
        "\n".join([*saved(found), gain(scores)]),
    ]
    figure = Figure(partial(draw, documents=found), "success over agent steps, mean of tasks and seeds")
    return Report(sections, lines, {"curves.png": figure})


def steps_to(document: Document) -> int | None:
    """Steps at the first evaluation with the wanted success."""
    return next((point["step"] for point in document["result"]["curve"] if point["success"] >= WANTED), None)


def reached(document: Document) -> str:
    """These steps for a table."""
    steps = steps_to(document)
    return f"> {document['config']['learn']['steps']}" if steps is None else str(steps)


def helped(documents: Sequence[Document]) -> str:
    """What the policy did, in words."""
    for document in documents:
        if helps := document["config"].get("help"):
            return (
                "The policy's help: trials of each taught task's skill, of what the sentences mean to it, and of a "
                "plain clone, most of those that fit best, are the first episodes, and count as steps. Those that "
                f"match the demonstration by {helps['good']:g} of 10 or more are imitated too, until {helps['fade']} "
                "steps are made."
            )
    return ""


def tried(document: Document) -> str:
    """How many of the trials matched the demonstration well enough to be imitated, for a table."""
    if not (helps := document["config"].get("help")):
        return "–"
    trials = document["result"]["trials"]
    return f"{sum(one['matched'] >= helps['good'] for one in trials)} of {len(trials)}"


def mean_success(document: Document) -> float:
    """Over all evaluations but the first, which comes after the trials with the policy's help, and before any step
    without."""
    return float(np.mean([point["success"] for point in document["result"]["curve"][1:]]))


def saved(documents: Sequence[Document]) -> list[str]:
    """Steps that the warm start saved, task by task, in the seeds where both came to the wanted success."""
    lines = []
    for task in dict.fromkeys(document["config"]["task"] for document in documents):
        cold, warm = (
            {
                document["seed"]: steps_to(document)
                for document in select(documents, "learned", task=task, begins=begins)
            }
            for begins in (COLD, WARM)
        )
        both = [seed for seed in cold if seed in warm]
        found = [c - w for c, w in ((cold[seed], warm[seed]) for seed in both) if c is not None and w is not None]
        many = f"{len(found)} of {len(both)} seeds reached {WANTED:.0%} both ways"
        lines.append(f"- {task}: {many}" + (f"; steps saved there: {', '.join(map(str, found))}" if found else ""))
    return lines


def gain(scores: Scores) -> str:
    """By how much the mean success over the evaluations is higher with the policy's help than from nothing."""
    found = estimate(scores.matrix([WARM, COLD]), lambda drawn: float((drawn[..., 0] - drawn[..., 1]).mean()))
    value = "not measured yet" if found is None else found
    return f"- mean success over the evaluations after the start, with help less from nothing: {value}"


def draw(axes: Any, documents: Sequence[Document]) -> None:
    """Mean success over the marks at which it was judged."""
    for begins in (COLD, WARM):
        own = select(documents, "learned", begins=begins)
        if not own:
            continue
        curves = [[point["success"] for point in document["result"]["curve"]] for document in own]
        marks = np.mean([[point["step"] for point in document["result"]["curve"]] for document in own], axis=0)
        axes.plot(marks, np.mean(curves, axis=0), "o-", label=f"{'from' if begins == COLD else 'with'} {begins}")
    axes.set_xlabel("agent steps")
    axes.set_ylabel("success")
    axes.set_ylim(0, 1.05)
    axes.legend(fontsize=8)
