"""How long a job that is told to stop is waited for."""

from __future__ import annotations

from pathlib import Path

from polytask_trainer.jobs import EvaluateJob, Job, LearnJob, RunJob
from polytask_trainer.worker import GRACE, SAVING, grace


def test_a_large_state_is_given_the_time_to_be_saved(tmp_path: Path) -> None:
    learn = LearnJob("drawer-open", "", str(tmp_path / "learn"))
    run = RunJob({"name": "experts"}, str(tmp_path))
    jobs: tuple[Job, ...] = (learn, run)
    for job, name in zip(jobs, ("learn", "experts"), strict=True):
        assert grace(job) == GRACE
        state = tmp_path / name / "training" / "tensors-0.safetensors"
        state.parent.mkdir(parents=True)
        with state.open("wb") as file:
            file.truncate(10**9)  # takes no room
        assert grace(job) == GRACE + 1e9 / SAVING > 20.0
    assert grace(EvaluateJob(str(tmp_path / "learn"), "drawer-open")) == GRACE
