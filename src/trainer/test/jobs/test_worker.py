"""How long a job that is told to stop is waited for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polytask_trainer.jobs.execute import run
from polytask_trainer.jobs.spec import CallJob, EvaluateJob, Job, LearnJob, from_dict, to_dict
from polytask_trainer.jobs.worker import GRACE, SAVING, grace


def test_a_large_state_is_given_the_time_to_be_saved(tmp_path: Path) -> None:
    learn = LearnJob("drawer-open", "", str(tmp_path / "learn"))
    call = CallJob("module:function", {}, str(tmp_path / "call"))
    jobs: tuple[Job, ...] = (learn, call)
    for job, name in zip(jobs, ("learn", "call"), strict=True):
        assert grace(job) == GRACE
        state = tmp_path / name / "training" / "tensors-0.safetensors"
        state.parent.mkdir(parents=True)
        with state.open("wb") as file:
            file.truncate(10**9)  # takes no room
        assert grace(job) == GRACE + 1e9 / SAVING > 20.0
    assert grace(EvaluateJob(str(tmp_path / "learn"), "drawer-open")) == GRACE


def double(
    number: int, on_progress: Callable[[dict[str, Any]], None], should_stop: Callable[[], bool]
) -> dict[str, Any]:
    on_progress({"step": 1, "total_steps": 1})
    return {"finished": not should_stop(), "doubled": 2 * number}


def test_a_function_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "called", sys.modules[__name__])
    reports: list[dict[str, Any]] = []
    job = CallJob("called:double", {"number": 3}, str(tmp_path))
    assert run(from_dict(to_dict(job)), reports.append, lambda: False) == {"finished": True, "doubled": 6}
    assert reports == [{"step": 1, "total_steps": 1}]
