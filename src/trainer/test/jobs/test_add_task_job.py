"""The job that teaches a policy one more task, as a worker does it; the text model is replaced by a quick one."""

from __future__ import annotations

import pytest
from toy_experts import CONFIG, encode, make_expert

from polytask_policy.checkpoint import load_checkpoint
from polytask_policy.text import TextEncoder
from polytask_policy.unified import UnifiedPolicy
from polytask_trainer.distillation.distill import distill
from polytask_trainer.jobs.execute import run
from polytask_trainer.jobs.spec import AddTaskJob, JobRefused


@pytest.fixture
def policy(tmp_path, monkeypatch):
    """A policy of two tasks."""
    monkeypatch.setattr(TextEncoder, "encode", lambda self, sentences: encode(sentences))
    distill(CONFIG, [make_expert(tmp_path / str(task), task) for task in (0, 1)], tmp_path / "unified", encode=encode)
    return tmp_path / "unified"


def test_the_policy_knows_one_more_task_and_the_one_before_is_kept(policy, tmp_path):
    reports = []
    job = AddTaskJob(str(make_expert(tmp_path / "2", 2)), str(policy), steps=40, seed=1)
    result = run(job, reports.append, lambda: False)
    assert (result["finished"], result["steps"], result["output"]) == (True, 40, str(policy))
    assert reports[-1]["step"] == reports[-1]["total_steps"] == 40
    assert UnifiedPolicy.load(policy).tasks == ("left", "right", "stay")
    assert load_checkpoint(policy / "previous")[1]["tasks"] == ["left", "right"]
    assert run(job, reports.append, lambda: False)["finished"], "asked again, it is done"
    assert load_checkpoint(policy / "previous")[1]["tasks"] == ["left", "right"]


def test_stopped_it_says_so_and_the_policy_is_as_before(policy, tmp_path):
    job = AddTaskJob(str(make_expert(tmp_path / "2", 2)), str(policy), steps=40)
    assert not run(job, lambda _: None, lambda: True)["finished"]
    assert UnifiedPolicy.load(policy).tasks == ("left", "right")
    assert run(job, lambda _: None, lambda: False)["finished"]
    assert UnifiedPolicy.load(policy).tasks == ("left", "right", "stay")


def test_an_expert_of_another_robot_or_none_is_refused(policy, tmp_path):
    other = make_expert(tmp_path / "other", 2, state_names=("x", "z", "speed"))
    for expert, reason in ((other, "robot"), (tmp_path / "nowhere", "nowhere")):
        with pytest.raises(JobRefused, match=reason):
            run(AddTaskJob(str(expert), str(policy), steps=40), lambda _: None, lambda: False)
    assert UnifiedPolicy.load(policy).tasks == ("left", "right")
