"""Distil the experts into one policy."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from polytask_bringup.demo.worker import Report


def work(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Distil the ``experts`` into ``output``; resumes what an earlier sitting left there."""
    from polytask_trainer.distill import distill
    from polytask_trainer.distill_config import DistillConfig

    torch.set_num_threads(1)
    report.patient = True
    config = DistillConfig(seed=int(spec["seed"]))
    if spec["steps"]:
        config = dataclasses.replace(config, steps=int(spec["steps"]))
    outcome = distill(
        config,
        [Path(folder) for folder in spec["experts"]],
        Path(spec["output"]),
        on_progress=lambda at: report(at.step, at.steps, f"loss {at.loss:.4f}"),
        should_stop=lambda: report.stopping,
    )
    return {"steps": outcome.steps, "loss": outcome.loss, "settings": dataclasses.asdict(config)}
