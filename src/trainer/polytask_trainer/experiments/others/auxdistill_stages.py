"""Stage functions of the AuxDistill experiment: learn all tasks at once, and evaluate the policy."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

from polytask_trainer.common.settings import read_settings
from polytask_trainer.experiments.framework.curves import read_log, spans
from polytask_trainer.experiments.framework.run import Context, Stopped

POINTS = 30
"""Of a learning curve."""


def learned(context: Context) -> dict[str, Any]:
    """Success by task with drawn actions and by mean actions, the share of the main task's episodes in which each part
    was done, and the curve.
    """
    from polytask_suites import load_suite
    from polytask_suites.registry import make_batch
    from polytask_trainer.auxdistill.config import AuxDistillConfig
    from polytask_trainer.auxdistill.evaluate import trials
    from polytask_trainer.auxdistill.learn import learn_auxdistill
    from polytask_trainer.auxdistill.state import load_policy
    from polytask_trainer.common.progress import LOG
    from polytask_trainer.experiments.polytask.stages import starts

    config = context.config
    learn: AuxDistillConfig = read_settings(AuxDistillConfig, config["learn"], "learn")
    make = partial(make_batch, config["suite"])
    done = learn_auxdistill(
        learn, make, context.folder, on_progress=context.on_progress, should_stop=context.should_stop
    )
    if not done.finished:
        raise Stopped
    policy, tasks = load_policy(context.folder)
    first = starts(context.seed, config["episodes"])[0]
    success, by_mean, parts = dict[str, float](), dict[str, float](), dict[str, float]()
    for number, task in enumerate(tasks):
        tried = trials(policy, number, task, make, config["episodes"], first)
        success[task] = float(tried.success.mean())
        calm = trials(policy, number, task, make, config["episodes"], first, by_mean=True)
        by_mean[task] = float(calm.success.mean())
        if task == learn.main:
            parts = {part: float((tried.stage >= stage).mean()) for part, stage in config["parts"].items()}
    settling = math.ceil(load_suite(config["suite"]).task(learn.main).horizon / learn.sequence)
    points = curve(context.folder / LOG, tasks, learn.restart, settling)
    return {"success": success, "by_mean": by_mean, "parts": parts, "curve": points}


def curve(log: Path, tasks: tuple[str, ...], restart: int, settling: int) -> list[dict[str, Any]]:
    """Success of training episodes by task, over ``POINTS`` spans of the training; None where none ended.

    The first ``settling`` updates after each ``restart`` are left out: there only short episodes have ended yet, which
    are the successful ones.
    """
    settled = [row for update, row in enumerate(read_log(log)) if update % restart >= settling]
    points = []
    for span in spans(settled, POINTS):
        counts = {task: [0, 0] for task in tasks}
        for row in span:
            for task, (ended, succeeded, _) in row["ended"].items():
                counts[task][0] += ended
                counts[task][1] += succeeded
        rates = {task: round(done / ended, 4) if ended else None for task, (ended, done) in counts.items()}
        points.append({"step": span[-1]["step"], "success": rates})
    return points
