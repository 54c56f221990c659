"""Ask the served policy through the real action, one stack of nodes per process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from polytask_cli.demo.stages.ask_plan import EvaluationEpisode, goal_pictures, picture_path
from polytask_cli.demo.stages.success_predicates import done_tasks
from polytask_cli.files import read_lines
from polytask_cli.nodes.stack import Stack
from polytask_trainer.jobs.execute import Progress, at

if TYPE_CHECKING:
    from polytask_cli.demo.stages.evaluation_client import Answer, EvaluationClient


def work(spec: dict[str, Any], on_progress: Progress) -> dict[str, Any]:
    """Ask every question of the plan; each answer becomes a line of the file ``answers`` as soon as it is there.

    Started again after an interruption, it carries on after the last line.
    """
    from polytask_cli.demo.stages.evaluation_client import EvaluationClient
    from polytask_cli.execute_task_client import AskError

    plan = [EvaluationEpisode(**question) for question in spec["plan"]]
    path = Path(spec["answers"])
    path.parent.mkdir(parents=True, exist_ok=True)
    answered = {line["id"] for line in read_lines(path)}
    missing = [question for question in plan if question.id not in answered]
    pictures = goal_pictures(Path(spec["pictures"]))
    if missing:
        stack = Stack(spec["launch"], spec["arguments"], Path(spec["log"]))
        with stack, EvaluationClient() as asker, path.open("a", encoding="utf-8") as file:
            asker.wait()
            for number, question in enumerate(missing, len(plan) - len(missing)):
                stack.check()
                try:
                    answer = _answer(asker, question, pictures, spec)
                except AskError as error:  # nothing is known of the episode, so it is asked again, once
                    print(f"{question.id} is asked again: {error}", file=sys.stderr)
                    answer = {**_answer(asker, question, pictures, spec), "repeated": str(error)}
                file.write(json.dumps(answer) + "\n")
                file.flush()
                on_progress(at(number + 1, len(plan), f"{question.group}: {question.asked}"))
    return {"answers": str(path), "count": len(plan)}


def _answer(
    asker: EvaluationClient, question: EvaluationEpisode, pictures: dict[str, list[str]], spec: dict[str, Any]
) -> dict[str, Any]:
    goal: Any = question.goal
    if question.kind == "image":
        goal = np.asarray(Image.open(picture_path(question.goal, pictures)).convert("RGB"))
    return {**question.to_json(), **describe(asker.ask(question.asked, question.seed, question.kind, goal), spec)}


def describe(answer: Answer, spec: dict[str, Any]) -> dict[str, Any]:
    """An answer as JSON-able values; the actions in full, so that the episode can be played again."""
    return {
        "success": answer.success,
        "outcome": answer.outcome,
        "message": answer.message,
        "understood": answer.understood,
        "similarity": round(answer.similarity, 4),
        "steps": answer.steps,
        "seconds": round(answer.seconds, 4),
        "done": done_tasks(spec["suite"], spec["tasks"], answer.last_states),
        "actions": answer.actions.tolist(),
        "end_state": answer.last_states[-1].tolist(),
    }
