"""Learn an expert from the one demonstration of its task by the matching reward alone; distil all into one policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from polytask_cli.demo.jobs.worker import Report


def work(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Learn ``task`` from its folder of ``demonstrations``; resumes what an earlier sitting left in ``output``."""
    from polytask_demo_recorder.dataset.folder import episode_files
    from polytask_trainer.common.progress import LOG
    from polytask_trainer.jobs.execute import run
    from polytask_trainer.jobs.resolve import learn_settings
    from polytask_trainer.jobs.spec import LearnJob

    torch.set_num_threads(1)
    report.patient = True
    folder = Path(spec["demonstrations"]) / spec["task"]
    job = LearnJob(
        task=spec["task"],
        demonstrations=str(folder),
        output=spec["output"],
        suite=spec["suite"],
        reward="ot",
        steps=int(spec["steps"]),
        seed=int(spec["seed"]),
    )
    result = run(job, lambda at: report(at["step"], at["total_steps"], at["phase"]), lambda: report.stopping)
    return {
        **result,
        "reward": learn_settings(job).reward,
        "demonstrations": [str(path) for path in episode_files(folder)],
        "progress": str(Path(spec["output"]) / LOG),
    }


def distill(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Distil the ``experts`` into ``output``; resumes what an earlier sitting left there."""
    from polytask_trainer.jobs.execute import run
    from polytask_trainer.jobs.spec import DistillJob

    torch.set_num_threads(1)
    report.patient = True
    job = DistillJob(tuple(spec["experts"]), spec["output"], int(spec["steps"]), int(spec["seed"]))
    return run(
        job,
        lambda at: report(at["step"], at["total_steps"], f"loss {at['loss']:.4f}"),
        lambda: report.stopping,
    )
