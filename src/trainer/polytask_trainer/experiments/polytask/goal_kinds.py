"""Table III: the same policy asked by name, in words, in words never taught, and by a picture; and two controls.

The paper's pictures are of results of the experts; beside them, pictures of results that the script has reached, whose
hand and arm end elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from polytask_trainer.experiments.framework.plan import read_budget
from polytask_trainer.experiments.framework.report import Figure, Report, select, table
from polytask_trainer.experiments.framework.results import Document
from polytask_trainer.experiments.framework.run import Run
from polytask_trainer.experiments.framework.scores import bars, score_table, verdict
from polytask_trainer.experiments.polytask import multitask
from polytask_trainer.experiments.polytask.runs import asked_run

KINDS = {"task": "name", "words": "words", "expert_image": "picture"}
COLUMNS = {
    **KINDS,
    "image": "picture of another's result",
    "heldout": "words never taught",
    "none": "no goal",
    "other": "another task's goal",
}
MOST = 0.05


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    policies: str
    """Budget of the experiment ``multitask``, whose policies are asked."""
    kinds: Mapping[str, Sequence[str]]
    """Ways of asking by suite, beside name and controls."""
    seeds: int = 3


def runs(settings: Settings, seed: int) -> list[Run]:
    """Ask each suite's policy."""
    of: multitask.Settings = read_budget("multitask", settings.policies, multitask.Settings)
    found = []
    for suite, kinds in settings.kinds.items():
        policy = multitask.policy(of, suite, seed)
        for asked in (multitask.KINDS, kinds):
            found.append(asked_run(policy, suite, of.tasks[suite], asked, of.episodes))
    return found


def report(documents: Sequence[Document]) -> Report:
    """For each suite a table of all kinds, and how far they lie apart."""
    sections, rows, figures = [], [], {}
    for suite in dict.fromkeys(document["config"]["suite"] for document in select(documents, "asked")):
        scores = multitask.scores_of(select(documents, "asked"), suite)
        columns = {what: title for what, title in COLUMNS.items() if any(scores.of(what, t) for t in scores.tasks())}
        apart = scores.gap(list(KINDS)) if all(kind in columns for kind in KINDS) else None
        sections += [
            f"## {suite}",
            "Success of one policy on the same fresh starts. A goal that the policy refuses is a failure.",
            score_table(scores, columns),
            verdict("name, words and picture lie apart", apart, apart is not None and apart.value <= MOST, f"≤ {MOST}"),
            refusals(documents, suite),
        ]
        rows += [{"suite": suite, **row} for row in scores.rows()]
        figures[f"{suite}.png"] = Figure(partial(bars, scores=scores, columns=columns), f"success on {suite}")
    return Report(sections, rows, figures)


def refusals(documents: Sequence[Document], suite: str) -> str:
    """How many goals of each kind were refused."""
    counts: dict[str, list[int]] = {}
    for document in select(documents, "asked", suite=suite):
        for kind, by_task in document["result"]["evaluations"].items():
            for found in by_task.values():
                refused, episodes = counts.setdefault(kind, [0, 0])
                counts[kind] = [refused + found["refused"], episodes + found["episodes"]]
    rows = [[COLUMNS[kind], str(refused), str(episodes)] for kind, (refused, episodes) in counts.items()]
    return table(["goal", "refused", "of episodes"], rows)
