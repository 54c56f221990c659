"""`learn --into`, `--warm-start` and `--method`: which jobs they are, in which order."""

import pytest
import torch
from typer.testing import CliRunner

from polytask_cli.cli import app
from polytask_cli.commands import learning
from polytask_policy.checkpoint import save_checkpoint
from polytask_trainer.jobs.spec import AddTaskJob, LearnJob


@pytest.fixture
def policy(tmp_path):
    """A folder that says it holds a unified policy."""
    save_checkpoint(tmp_path / "unified", {"a": torch.zeros(1)}, {"kind": "unified"})
    return tmp_path / "unified"


@pytest.fixture
def asked(monkeypatch):
    """The jobs of each call of ``run_all``; none is run."""
    calls = []

    def record(jobs, parallel=1):
        calls.append(list(jobs.values()))
        return {title: {"steps": 1, "output": job.output, "message": ""} for title, job in jobs.items()}

    monkeypatch.setattr(learning, "run_all", record)
    return calls


def invoke(*arguments):
    return CliRunner().invoke(app, ["learn", "reach", "peg-blue", *map(str, arguments)])


def test_offline_the_experts_learn_first_and_are_then_taught_one_after_another(policy, asked, tmp_path):
    result = invoke("--into", policy, "--output", tmp_path, "--parallel", 2, "--seed", 3)
    assert result.exit_code == 0, result.output
    learned, *taught = asked
    assert [(job.task, job.policy, job.seed) for job in learned] == [("reach", "", 3), ("peg-blue", "", 3)]
    assert taught == [[AddTaskJob(str(tmp_path / name), str(policy), seed=3)] for name in ("reach", "peg-blue")]


def test_online_each_task_begins_with_the_policy_that_knows_the_one_before(policy, asked, tmp_path):
    assert invoke("--into", policy, "--variant", "online", "--output", tmp_path).exit_code == 0
    assert [type(job) for call in asked for job in call] == [LearnJob, AddTaskJob] * 2
    assert all(job.online and job.policy == str(policy) for [job] in asked[::2])


def test_a_warm_start_leaves_the_policy_alone(policy, asked):
    assert invoke("--warm-start", policy).exit_code == 0
    assert [[(job.policy, job.online) for job in call] for call in asked] == [[(str(policy), False)] * 2]


def test_a_method_learns_all_tasks_in_one_job(asked, tmp_path):
    assert invoke("--method", "ot_regularised", "--suite", "maze", "--output", tmp_path).exit_code == 0
    [[job]] = asked
    assert (job.task, job.with_tasks, job.method, job.output) == (
        "reach",
        ("peg-blue",),
        "ot_regularised",
        str(tmp_path),
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--method", "distral", "--reward", "ot"), "from the suite's own reward"),
        (("--into", "{}/nowhere"), "holds no checkpoint"),
        (("--warm-start", "{}/nowhere"), "holds no checkpoint"),
        (("--variant", "online"), "give --into"),
        (("--variant", "online", "--into", "{}/unified", "--warm-start", "{}/unified"), "no --warm-start"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_learned(policy, asked, tmp_path, arguments, reason):
    result = invoke(*(part.format(tmp_path) for part in arguments))
    assert result.exit_code == 1
    assert reason in " ".join(result.output.split())
    assert asked == []
