"""Methods by name, as jobs: what they write, and what they refuse."""

import numpy as np
import pytest
import yaml

from polytask_policy.expert import ExpertPolicy
from polytask_trainer import methods
from polytask_trainer.inputs import settings_file
from polytask_trainer.jobs import JobRefused, LearnJob, from_dict, to_dict
from polytask_trainer.run_job import run


def never():
    return False


def test_tasks_of_a_maze_are_learned_together_and_resume(tmp_path):
    job = LearnJob(
        "apart-a", "", str(tmp_path), suite="maze", steps=2000, method="ot_regularised", with_tasks=("apart-b",)
    )
    seen = []
    stopped = run(job, seen.append, lambda: bool(seen))
    assert (stopped["finished"], seen[0]["phase"]) == (False, "ot_regularised")
    assert 0 < stopped["steps"] < run(job, seen.append, never)["steps"]


@pytest.mark.slow
def test_what_acts_continuously_becomes_run_folders_of_experts(tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "TRIES", 1)
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        yaml.safe_dump({"environments": 1, "updates_per_step": 0.01, "sac": {"hidden": [8], "target_entropy": -6.0}})
    )
    job = LearnJob(
        "cheetah-run-80",
        "",
        str(tmp_path / "out"),
        suite="dmc",
        steps=500,
        settings=str(settings),
        method="distral",
        with_tasks=("cheetah-run-120",),
    )
    assert run(job, lambda report: None, never)["finished"]
    for task in ("cheetah-run-80", "cheetah-run-120"):
        expert = ExpertPolicy.load(tmp_path / "out" / task)
        states = np.load(tmp_path / "out" / task / "replay.npz")["states"]
        assert (expert.task, expert.act(states[0]).shape, states.shape) == (task, (6,), (500, 17))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "magic"}, "there is no method 'magic'; there are: polytask, auxdistill"),
        ({"method": "distral", "through_topics": True}, "leave out through_topics"),
        ({"method": "distral"}, "name at least two"),
        ({"method": "auxdistill"}, "there is no maze_auxdistill"),
        ({"method": "distral", "with_tasks": ("nowhere",)}, "nowhere"),
    ],
)
def test_what_a_method_cannot_do_is_refused(tmp_path, changes, reason):
    with pytest.raises(JobRefused, match=reason):
        run(LearnJob("apart-a", "", str(tmp_path), suite="maze", **changes), lambda report: None, never)


def test_auxdistill_takes_its_auxiliary_tasks_from_the_settings_or_the_job(tmp_path, monkeypatch):
    asked = []

    def record(config, suite, output, **callbacks):
        asked.append((config.main, config.auxiliaries, config.seed, suite))
        raise ValueError("enough")

    monkeypatch.setattr("polytask_trainer.auxdistill.students.learn_experts", record)
    job = {"task": "rearrange-hard", "demonstrations": "", "output": str(tmp_path), "suite": "pocket_house"}
    for more in ({}, {"settings": "pocket_house_auxdistill", "seed": 3}):
        with pytest.raises(JobRefused, match="enough"):
            run(LearnJob(**job, method="auxdistill", **more), lambda report: None, never)
    named = yaml.safe_load(settings_file("pocket_house_auxdistill", "").read_text())["auxiliaries"]
    assert asked == [("rearrange-hard", tuple(named), seed, "pocket_house") for seed in (0, 3)]


def test_a_job_is_the_same_after_its_way_to_the_worker():
    job = LearnJob("a", "", "out", method="distral", with_tasks=("b", "c"))
    assert from_dict(to_dict(job)) == job
    assert from_dict({**to_dict(job), "with_tasks": ["b", "c"]}) == job
