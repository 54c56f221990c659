"""Goal pictures that were never trained on: how the scene looks when the scripted expert has done a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from polytask_cli.files import write_bytes
from polytask_cli.video.replay import picture
from polytask_trainer.jobs.execute import Progress, at
from polytask_trainer.rollouts.episode import rollout

MOST_TRIES = 100


def work(spec: dict[str, Any], on_progress: Progress) -> dict[str, Any]:
    """Write ``count`` pictures per task into ``folder``; gives their paths by task.

    ``firsts`` names for each task its first start seed; failed episodes are passed over.
    """
    from io import BytesIO

    from polytask_suites import make_env, scripted_expert

    count, tasks = int(spec["count"]), dict(spec["firsts"])
    found: dict[str, list[str]] = {task: [] for task in tasks}
    env = make_env(spec["suite"], next(iter(tasks)))
    for number, (task, first) in enumerate(tasks.items()):
        expert = scripted_expert(spec["suite"], task)
        for seed in range(first, first + MOST_TRIES):
            if len(found[task]) == count:
                break
            expert.reset()
            if rollout(env, expert, seed, until_success=True, task=task).success:
                buffer = BytesIO()
                Image.fromarray(picture(env)).save(buffer, "PNG")
                path = Path(spec["folder"]) / task / f"{seed}.png"
                write_bytes(path, buffer.getvalue())
                found[task].append(str(path))
            on_progress(at(number * count + len(found[task]), count * len(tasks), task))
        if not found[task]:
            raise RuntimeError(f"the scripted expert of {task} never succeeded from seed {first} on")
    env.close()
    return {"pictures": found}
