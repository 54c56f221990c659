"""Two runs, of which the second needs the first: an expert of few steps, and a digest of its replay."""

from __future__ import annotations

import hashlib

from tiny import SETTINGS

from polytask_trainer.experiments.framework.run import Context, Run
from polytask_trainer.experiments.polytask.runs import STAGES

LEARN = {**SETTINGS, "steps": 300}


def two_runs() -> list[Run]:
    config = {"suite": "tabletop", "task": "drawer-close", "episodes": 2, "learn": LEARN, "demonstrations": 1}
    expert = Run("expert", f"{STAGES}:expert", config, 0)
    return [expert, Run("judged", f"{__name__}:judged", {"file": "replay.npz"}, 0, (expert,))]


def judged(context: Context) -> dict[str, str]:
    return {"digest": hashlib.sha256((context.needs[0] / context.config["file"]).read_bytes()).hexdigest()}
