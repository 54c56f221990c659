"""A video of what a policy did in an evaluation, made by playing its actions again from the same starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from polytask_cli.files import write_bytes
from polytask_cli.video.montage import SIZE, VIDEO_RATE, Video, montage
from polytask_cli.video.replay import replay

OVERSAMPLING = 2
"""Pictures are drawn this much larger and scaled down: the software renderer has no antialiasing."""


def write_video(path: Path, policy: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> None:
    """Write a GIF in real time of each result's first episode, side by side, a green or red frame at its end.

    ``policy``: meta of its checkpoint; ``results``: of its evaluation jobs, with ``actions``.
    """
    from polytask_suites import make_env

    videos, rate = [], VIDEO_RATE
    for result in results:
        task, seed = result["task"], result["first_seed"]
        env = make_env(str(policy["suite"]), task)
        try:
            control_rate = float(env.get_wrapper_attr("control_rate"))
            step = max(1, round(control_rate / VIDEO_RATE))
            rate = control_rate / step
            actions = np.asarray(result["actions"])
            frames = sorted({*range(0, len(actions), step), len(actions)})
            size = (SIZE[0] * OVERSAMPLING, SIZE[1] * OVERSAMPLING)
            pictures, _ = replay(env, task, seed, actions, frames, size)
        finally:
            env.close()
        videos.append(Video(pictures, caption(policy, result), success=seed not in result["failed_seeds"]))
    write_bytes(path, montage(videos, rate))


def caption(policy: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """What was asked; of an expert, which does one thing only and is not asked, what that is in words."""
    task, ways = result["task"], {"task": "by name", "image": "by a picture", "none": "no goal"}
    if policy["kind"] == "expert" or result["goal"] == "words":
        return f"“{policy['instructions'][task][0]}”" if policy["instructions"].get(task) else task
    return f"{ways[result['goal']]}: {task}"
