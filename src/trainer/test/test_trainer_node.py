"""The trainer as a process: learn, distil, cancel, be killed and carry on, in process and through the topics."""

import fcntl
import os
import signal
import subprocess
import time

import pytest
from tiny import write_demonstration, write_settings
from trainer_client import TASK, Client, node, same, wait_for

from polytask_interfaces.action import Distill, LearnTask
from polytask_interfaces.msg import Outcome
from polytask_policy.checkpoint import load_checkpoint
from polytask_trainer.jobs.execute import run
from polytask_trainer.jobs.spec import JobRefused, LearnJob

# One process runs them all: they share nodes.
pytestmark = pytest.mark.xdist_group("trainer_node")


@pytest.fixture(scope="module")
def ros_domain(module_ros_domain):
    return module_ros_domain


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory):
    return write_demonstration(tmp_path_factory.mktemp("dataset"), TASK)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return write_settings(tmp_path_factory.mktemp("settings"))


@pytest.fixture(scope="module")
def client(ros_domain):
    client = Client()
    yield client
    client.close()


@pytest.fixture(scope="module")
def trainer(ros_domain, settings):
    with node("polytask_trainer.trainer_node", settings=settings) as process:
        yield process


def learn_goal(demonstrations, output, **changes):
    return LearnTask.Goal(**{"task": TASK, "demonstrations": str(demonstrations), "output": str(output), **changes})


@pytest.fixture(scope="module")
def expert(client, trainer, demonstrations, tmp_path_factory):
    """An expert that was learned without a break."""
    output = tmp_path_factory.mktemp("whole") / TASK
    _, result = client.ask(client.learn, learn_goal(demonstrations, output))
    end = client.result(result)
    assert (end.outcome, end.checkpoint) == (Outcome.SUCCEEDED, str(output)), end.message
    assert end.steps >= 400
    phases = [feedback.phase for feedback in client.feedback]
    assert phases[0] == "bc"
    assert {"seed", "rl"} <= set(phases)
    assert client.feedback[-1].total_steps == 400
    return output


@pytest.mark.slow
def test_killed_at_any_moment_the_same_goal_resumes_and_gives_the_same_expert(
    client, trainer, expert, demonstrations, tmp_path
):
    output = tmp_path / TASK
    goal = learn_goal(demonstrations, output)
    handle, result = client.ask(client.learn, goal)
    wait_for(lambda: any(f.phase == "rl" for f in client.feedback))
    steps = client.feedback[-1].step
    worker = int(subprocess.run(["pgrep", "-P", str(trainer.pid)], capture_output=True).stdout)
    os.kill(worker, signal.SIGKILL)
    failed = client.result(result)
    assert failed.outcome == Outcome.INTERNAL_ERROR
    assert "its process ended" in failed.message
    handle, result = client.ask(client.learn, goal)
    wait_for(lambda: any(f.phase == "rl" and f.step > steps for f in client.feedback))
    assert min(f.step for f in client.feedback if f.phase == "rl") > 0
    began = time.monotonic()
    handle.cancel_goal_async()
    cancelled = client.result(result)
    assert cancelled.outcome == Outcome.CANCELLED
    assert time.monotonic() - began < 20.0  # 4 on a machine of its own
    assert "resume" in cancelled.message
    handle, result = client.ask(client.learn, goal)
    assert client.result(result).outcome == Outcome.SUCCEEDED
    assert same(output, expert)


def test_one_goal_at_a_time(client, expert, demonstrations, tmp_path):
    handle, first = client.ask(client.learn, learn_goal(demonstrations, tmp_path / "a"))
    _, second = client.ask(client.distill, Distill.Goal(experts=[str(expert)], output=str(tmp_path / "b")))
    assert client.result(second).outcome == Outcome.BUSY
    handle.cancel_goal_async()
    assert client.result(first).outcome == Outcome.CANCELLED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": ""}, "fill in task"),
        ({"task": "juggle"}, "juggle"),
        ({"task": "x" * 1_000_000}, "longer than 32000 characters"),
        ({"settings": "\n" + "y" * 5_000}, "yyyyyyyyyy"),
    ],
)
def test_impossible_requests_are_refused_with_their_reason(client, trainer, demonstrations, tmp_path, changes, reason):
    _, result = client.ask(client.learn, learn_goal(demonstrations, tmp_path / "x", **changes))
    end = client.result(result)
    assert end.outcome == Outcome.REFUSED
    assert reason in end.message


def test_a_goal_says_its_settings_by_name_or_whole_path(client, trainer, demonstrations, tmp_path):
    other = write_settings(tmp_path, reward="fame")
    for named, reason in (
        ("nonsense", "none of dmc"),
        (os.path.relpath(other), "or the whole path of a file"),
        (str(other), "reward must be"),
        ("maze_together", "maze_together.yaml: unknown settings"),
    ):
        _, result = client.ask(client.learn, learn_goal(demonstrations, tmp_path / "x", settings=named))
        end = client.result(result)
        assert end.outcome == Outcome.REFUSED
        assert reason in end.message


def test_other_methods_learn_in_process_also_where_the_node_steps_a_simulator(ros_domain, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("{environments: 1, updates_per_step: 0.01, sac: {hidden: []}}")
    goal = LearnTask.Goal(task="apart-a", with_tasks=["apart-b"], method="separate", steps=20_000)
    goal.output, goal.settings = str(tmp_path / "out"), str(settings)
    with node("polytask_trainer.trainer_node", "maze", suite="maze", through_topics="true"):
        client = Client("maze")
        handle, result = client.ask(client.learn, goal)
        assert wait_for(lambda: client.feedback)[0].phase == "separate"
        handle.cancel_goal_async()
        cancelled = client.result(result)
        assert (cancelled.outcome, cancelled.checkpoint) == (Outcome.CANCELLED, ""), cancelled.message
        _, result = client.ask(client.learn, goal)
        end = client.result(result)
        steps = [feedback.step for feedback in client.feedback]
        client.close()
    assert (end.outcome, end.steps, end.checkpoint) == (Outcome.SUCCEEDED, 20_000, ""), end.message
    assert end.message.startswith("done after 20000 steps; no experts")
    assert 0 < cancelled.steps < steps[0] < steps[-1] == 20_000


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"demonstrations": "/nowhere"}, "/nowhere"),
        ({"task": "drawer-close"}, "it holds episodes of drawer-open"),
        ({"reward": "fame"}, "reward must be"),
        ({"seed": -1}, "seed must not be negative"),
        ({"settings": "/nowhere.yaml"}, "/nowhere.yaml"),
        ({"suite": "moon"}, "moon"),
    ],
)
def test_what_is_wrong_with_a_job_is_said(demonstrations, settings, tmp_path, changes, reason):
    job = {"task": TASK, "demonstrations": str(demonstrations), "output": str(tmp_path), "settings": str(settings)}
    with pytest.raises(JobRefused, match=reason):
        run(LearnJob(**{**job, **changes}), lambda report: None, lambda: False)


@pytest.mark.timed
def test_interrupted_node_tells_its_client_and_saves_the_state(ros_domain, demonstrations, settings, tmp_path):
    with node("polytask_trainer.trainer_node", "short", settings=settings) as process:
        client = Client("short")
        _, result = client.ask(client.learn, learn_goal(demonstrations, tmp_path, steps=5000))
        wait_for(lambda: any(f.phase == "rl" for f in client.feedback))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=5) == 0
        assert client.result(result).outcome == Outcome.CANCELLED
        client.close()
    assert (tmp_path / "training" / "checkpoint.json").exists()


def test_folder_in_use_is_refused(demonstrations, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("polytask_trainer.jobs.execute.LOCK_TIMEOUT", 0.2)
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        job = LearnJob(TASK, str(demonstrations), str(tmp_path), settings=str(settings))
        with pytest.raises(JobRefused, match="another process is working"):
            run(job, lambda report: None, lambda: False)


def test_other_settings_in_the_same_folder_are_refused(client, expert, demonstrations):
    _, result = client.ask(client.learn, learn_goal(demonstrations, expert, seed=5))
    end = client.result(result)
    assert end.outcome == Outcome.REFUSED
    assert "choose another output folder" in end.message


def test_distil_and_resume(client, expert, tmp_path):
    goal = Distill.Goal(experts=[str(expert)], output=str(tmp_path / "policy"), steps=60)
    _, result = client.ask(client.distill, goal)
    end = client.result(result)
    assert (end.outcome, end.steps) == (Outcome.SUCCEEDED, 60), end.message
    assert client.feedback[-1].total_steps == 60
    assert load_checkpoint(tmp_path / "policy")[1]["kind"] == "unified"
    _, result = client.ask(client.distill, Distill.Goal(experts=["/nowhere"], output=str(tmp_path / "c")))
    end = client.result(result)
    assert end.outcome == Outcome.REFUSED
    assert "/nowhere" in end.message
