"""The server with a real checkpoint and the simulator in lock-step, both as processes, on simulated time."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import rclpy
import torch
import yaml

from polytask_interfaces.msg import EpisodeStatus, Outcome
from polytask_interfaces.srv import ResetEpisode
from polytask_policy.goal_networks import GoalConditionedActor, GoalEncoder
from polytask_policy.policy_spec import PolicySpec
from polytask_policy.unified import UnifiedPolicy
from polytask_policy_server.policy_server_node import PolicyServer
from polytask_robot_io.embodiment import Embodiment

# One process runs them all: they share nodes.
pytestmark = pytest.mark.xdist_group("server_simulation")

CONFIG = Path(__file__).parents[3] / "config" / "embodiments"
TASKS = ("drawer-open", "drawer-close")
SERVER = [sys.executable, "-m", "polytask_policy_server.policy_server_node"]
SIMULATOR = [sys.executable, "-m", "polytask_sim_bridge.sim_bridge_node"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A policy that knows nothing, for the tabletop's robot."""
    robot = Embodiment.load(CONFIG / "xarm7_tabletop.yaml")
    description = PolicySpec(
        "tabletop",
        TASKS,
        robot.state_names,
        robot.command_names,
        {task: (task.replace("-", " "),) for task in TASKS},
        embodiment=yaml.safe_load(robot.to_yaml()),
    )
    torch.manual_seed(0)
    examples = {
        "sentences": torch.eye(2, 384),
        "sentence_tasks": torch.arange(2),
        "pictures": torch.randint(0, 255, (2, 3, 42, 42), dtype=torch.uint8),
        "picture_tasks": torch.arange(2),
    }
    actor = GoalConditionedActor(len(robot.state), len(robot.command), (32, 32))
    folder = tmp_path_factory.mktemp("checkpoint")
    UnifiedPolicy(actor, GoalEncoder(384, 2), description, examples).save(folder)
    return folder


@pytest.fixture(scope="module")
def stack(start_server, make_robot, checkpoint):
    simulator = start_server("lock", command=SIMULATOR, stepping_mode="lock_step", task="drawer-open")
    start_server("lock", command=SERVER, checkpoint=checkpoint, use_sim_time="true")
    client = make_robot("lock")
    client.statuses = []
    client.node.create_subscription(EpisodeStatus, "episode", client.statuses.append, 10)
    reset = client.node.create_client(ResetEpisode, "reset_episode")
    assert reset.wait_for_service(timeout_sec=120)

    def start(seed):
        done = reset.call_async(ResetEpisode.Request(task="drawer-open", seed=seed))
        end = time.monotonic() + 60
        while not done.done() and time.monotonic() < end:
            time.sleep(0.01)
        assert done.result().ok

    client.start = start
    return simulator, client


def test_an_episode_in_lock_step_is_run_to_its_end_and_the_same_again(stack):
    _, client = stack
    runs = []
    for _ in range(2):
        client.start(4)
        known = len(client.commands)
        _, result = client.ask(task="drawer-close", timeout=60.0)
        end = client.outcome(result, 30)
        assert end.outcome in (Outcome.TIMED_OUT, Outcome.SUCCEEDED), end.message
        deadline = time.monotonic() + 30.0  # the result may come before the zero at the end
        while len(client.commands) - known <= end.steps and time.monotonic() < deadline:
            time.sleep(0.01)
        runs.append([tuple(m.values) for _, m in client.commands[known:]])
        assert end.steps == len(runs[-1]) - 1  # and the zero at the end
        assert client.stopped()
    assert runs[0] == runs[1]
    if end.outcome == Outcome.TIMED_OUT:
        assert end.elapsed == pytest.approx(end.steps / 20, abs=0.11)


def test_zero_command_at_the_end_does_not_advance_a_lock_step(stack):
    _, client = stack
    client.start(5)
    handle, result = client.ask(task="drawer-open")
    client.moving()
    handle.cancel_goal_async()
    steps = client.outcome(result).steps
    time.sleep(0.3)
    assert client.statuses[-1].step == steps


def test_goal_after_the_end_of_an_episode_says_what_to_do(stack):
    _, client = stack
    client.start(6)
    client.outcome(client.ask(task="drawer-open", timeout=60.0)[1], 30)
    end = client.outcome(client.ask(task="drawer-open")[1], 10)
    assert end.outcome == Outcome.STALE_OBSERVATIONS
    assert "reset_episode" in end.message


def test_words_of_the_real_language_model(stack):
    _, client = stack
    end = client.outcome(client.ask(words="sing me a song")[1], 300)
    assert end.outcome == Outcome.UNKNOWN_GOAL
    assert "like nothing" in end.message


def test_simulator_killed_in_mid_goal_ends_it(stack):
    simulator, client = stack
    client.start(7)
    _, result = client.ask(task="drawer-open", timeout=600.0)
    client.moving()
    simulator.kill()
    end = client.outcome(result, 8)
    assert end.outcome == Outcome.STALE_OBSERVATIONS
    time.sleep(0.1)
    assert client.stopped()


def test_wrong_robot_is_refused_at_start_up_with_the_differences(checkpoint):
    arguments = ["-p", f"checkpoint:={checkpoint}", "-p", f"embodiment:={CONFIG}/sawyer_metaworld.yaml"]
    process = subprocess.run([*SERVER, "--ros-args", *arguments], capture_output=True, text=True, timeout=60)
    assert process.returncode == 2
    assert "does not fit 'sawyer_metaworld'" in process.stderr
    assert "state: 45 entries against 39" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "checkpoint' is empty"),
        (("checkpoint:=/nowhere",), "holds no checkpoint"),
        (("checkpoint:={}", "on_new_goal:=queue"), "must be one of preempt, refuse"),
        (("checkpoint:={}", "default_timeout:=-1.0"), "default_timeout"),
    ],
)
def test_wrong_parameters_are_refused_at_start_up(checkpoint, arguments, reason):
    rclpy.init(args=["--ros-args", *(part for one in arguments for part in ("-p", one.format(checkpoint)))])
    try:
        with pytest.raises(ValueError, match=reason):
            PolicyServer()
    finally:
        rclpy.shutdown()
