"""Which goals are asked for from which starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polytask_cli.demo.options import Demo, DemoError
from polytask_robot_io.yaml_text import BadYaml, read_file

KINDS = ("words", "image", "name")


@dataclass(frozen=True)
class EvaluationEpisode:
    """One episode: the start, what is asked for, and how."""

    id: str
    group: str
    """"words", "image", "name", "heldout" or "other"."""
    kind: str
    """"words", "image" or "name"."""
    start_of: str
    """Task whose start it is; ``asked`` except in the group "other"."""
    asked: str
    """Task that is meant, and whose predicate judges."""
    seed: int
    goal: str
    """The sentence, the task's name, or task and number of a goal picture as ``picture_goal`` writes them."""

    def to_json(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


@dataclass(frozen=True)
class Goals:
    """What can be asked: per task the taught sentences and the held-out ones; and how many goal pictures each has."""

    taught: Mapping[str, Sequence[str]]
    heldout: Mapping[str, Sequence[str]]
    pictures: int

    def goal(self, kind: str, task: str, index: int) -> str:
        """The goal number ``index`` of its kind, over again from the first when there are fewer."""
        if kind == "name":
            return task
        if kind == "words":
            return self.taught[task][index % len(self.taught[task])]
        return picture_goal(task, index % self.pictures)


def picture_goal(task: str, index: int) -> str:
    """Stands for goal picture number ``index`` of ``task``; see :func:`picture_path`."""
    return f"{task}/{index}"


def picture_path(goal: str, pictures: Mapping[str, Sequence[str]]) -> str:
    """The file that ``picture_goal`` stands for, of the files by task."""
    task, _, index = goal.rpartition("/")
    return pictures[task][int(index) % len(pictures[task])]


def goal_pictures(folder: Path) -> dict[str, list[str]]:
    """Goal pictures' paths by task, in the order of their seeds: TASK/SEED.png in the folder."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*/*.png"), key=lambda path: int(path.stem)):
        found.setdefault(path.parent.name, []).append(str(path))
    return found


def make_plan(demo: Demo, goals: Goals) -> list[EvaluationEpisode]:
    """All episodes of the demo's questions, in the order of their groups."""
    scale = demo.scale
    plan: list[EvaluationEpisode] = []

    def add(group: str, kind: str, start_of: str, asked: str, seed: int, goal: str) -> None:
        plan.append(EvaluationEpisode(f"{group}-{len(plan):04d}", group, kind, start_of, asked, seed, goal))

    starts = {task: demo.seeds.ask(number, scale.ask_starts) for number, task in enumerate(demo.tasks)}
    for kind in KINDS:
        for task in demo.tasks:
            for index, seed in enumerate(starts[task]):
                add(kind, kind, task, task, seed, goals.goal(kind, task, index))
    for number, task in enumerate(demo.tasks):
        sentences = goals.heldout.get(task, ())[: scale.heldout_sentences]
        for index, seed in enumerate(demo.seeds.ask(number, scale.heldout_starts) if sentences else ()):
            add("heldout", "words", task, task, seed, sentences[index % len(sentences)])
    for task in demo.tasks:
        for index, seed in enumerate(starts[task][: scale.other_starts]):
            for turn, other in enumerate(other for other in demo.tasks if other != task):
                kind = KINDS[(index + turn) % len(KINDS)]
                add("other", kind, task, other, seed, goals.goal(kind, other, index))
    return plan


def shard(plan: Sequence[EvaluationEpisode], index: int, count: int) -> list[EvaluationEpisode]:
    """Every ``count``-th question from ``index`` on, so that each shard has about the same work."""
    return list(plan[index::count])


def read_heldout(path: Path | None, tasks: Sequence[str], taught: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Sentences never trained on, per task; none where the file has none, or where there is no file.

    Raises DemoError when one was taught.
    """
    if path is None:
        return {}
    try:
        data = read_file(path)
    except BadYaml as error:
        raise DemoError(str(error)) from error
    entries = data.get("tasks", data) if isinstance(data, dict) else {}
    found = {task: [str(line) for line in entries.get(task, [])] for task in tasks}
    for task, lines in found.items():
        known = {_plain(line) for line in taught[task]}
        both = [line for line in lines if _plain(line) in known]
        if both:
            raise DemoError(f"{path}: '{both[0]}' ({task}) is taught; a held-out sentence must not be")
    return {task: lines for task, lines in found.items() if lines}


def _plain(sentence: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in sentence.lower()).split())
