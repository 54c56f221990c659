"""The server takes over another checkpoint between goals; those that were accepted before end with the old one."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from polytask_interfaces.msg import Outcome
from polytask_policy.checkpoint import META_FILE
from polytask_policy.goal_networks import GoalConditionedActor, GoalEncoder
from polytask_policy.policy_spec import PolicySpec
from polytask_policy.unified import UnifiedPolicy

# One process runs them all: they share nodes.
pytestmark = pytest.mark.xdist_group("server_checkpoint")

SERVER = [sys.executable, "-m", "polytask_policy_server.policy_server_node"]
TOY = yaml.safe_load((Path(__file__).parent / "toy.yaml").read_text())


def save_policy(folder, command, tasks=("go",), **changes):
    """Write a policy that always gives ``command`` on both axes."""
    actor = GoalConditionedActor(2, 2, (8,))
    with torch.no_grad():
        actor.layers[-1].weight.zero_()
        actor.layers[-1].bias.fill_(torch.atanh(torch.tensor(command)))
    count = len(tasks)
    examples = {
        "sentences": torch.eye(count, 384),
        "sentence_tasks": torch.arange(count),
        "pictures": torch.zeros(count, 3, 42, 42, dtype=torch.uint8),
        "picture_tasks": torch.arange(count),
    }
    description = PolicySpec("toy", tasks, ("x", "y"), ("dx", "dy"), {t: (t,) for t in tasks}, embodiment=TOY)
    changed = dataclasses.replace(description, **changes)
    UnifiedPolicy(actor, GoalEncoder(384, count), changed, examples).save(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    save_policy(folder, 0.5)
    return folder


@pytest.fixture(scope="module")
def robot(start_server, make_robot, folder):
    start_server("swap", command=SERVER, checkpoint=folder)
    robot = make_robot("swap")
    robot.streaming = True
    return robot


def shown(robot, key, timeout=120.0):
    """What the server's next diagnostics show under ``key``."""
    known = len(robot.diagnostics)
    robot.wait_for(lambda: len(robot.diagnostics) > known, timeout)
    return {v.key: v.value for v in robot.diagnostics[-1].status[0].values}.get(key, "")


def serves(robot, tasks):
    robot.wait_for(lambda: shown(robot, "tasks") == tasks, 30.0)


def commanded(robot, known):
    """The values of the commands after the first ``known``, each once; zeros at the end of goals left out."""
    return {round(m.values[0], 5) for _, m in robot.commands[known:] if any(m.values)}


def command(robot):
    """Ask for a moment; gives what was commanded meanwhile."""
    known = len(robot.commands)
    handle, result = robot.ask(task="go")
    robot.moving()
    handle.cancel_goal_async()
    end = robot.outcome(result)
    assert (end.outcome, end.matched_task, end.steps > 0) == (Outcome.CANCELLED, "go", True), end.message
    return commanded(robot, known)


def test_a_goal_ends_with_the_policy_it_began_with_and_the_next_has_the_new_one(robot, folder):
    serves(robot, "go")
    _, result = robot.ask(task="go")
    robot.moving()
    known = len(robot.commands)
    save_policy(folder, -0.5, ("go", "come"))
    serves(robot, "go, come")
    assert not result.done()
    after = len(robot.commands)
    robot.moving()
    assert commanded(robot, known) == {0.5}
    assert len(robot.commands) > after > known
    # It takes over from a running goal too, without a stop between.
    newer, second = robot.ask(task="come")
    assert robot.outcome(result).outcome == Outcome.PREEMPTED
    robot.wait_for(lambda: robot.commands[-1][1].values[0] < 0)
    newer.cancel_goal_async()
    assert robot.outcome(second).outcome == Outcome.CANCELLED
    assert commanded(robot, known) == {0.5, -0.5}


def test_no_goal_of_a_stream_is_lost_or_mixed_while_checkpoints_come_and_go(robot, folder):
    sides, seen = (0.5, -0.5), []
    saved = 0
    while len(set(seen)) < 2 or saved < 12:
        save_policy(folder, sides[saved % 2], ("go",) if saved % 2 else ("go", "come"))
        saved += 1
        assert saved < 100, "the other policy never came"
        for _ in range(2):
            [one] = command(robot)
            seen.append(one)
    assert set(seen) == set(sides)


def test_what_cannot_be_served_is_refused_and_the_old_policy_goes_on(robot, folder):
    save_policy(folder, 0.5)
    robot.wait_for(lambda: command(robot) == {0.5})  # the one before may show the same tasks
    other = {**TOY, "name": "other", "state": [{**field, "name": f"j{i}"} for i, field in enumerate(TOY["state"])]}
    save_policy(folder, -0.5, state_names=("j0", "j1"), embodiment=other)
    robot.wait_for(lambda: "does not fit 'toy'" in shown(robot, "checkpoints refused last reason"), 30)
    assert command(robot) == {0.5}
    (folder / META_FILE).rename(folder / "old.json")
    (folder / "new.json").write_text(json.dumps({"format": 2}))
    (folder / "new.json").rename(folder / META_FILE)
    robot.wait_for(lambda: "is damaged" in shown(robot, "checkpoints refused last reason"), 30)
    assert command(robot) == {0.5}
    shutil.rmtree(folder)
    assert command(robot) == {0.5}
    save_policy(folder, -0.5, ("go", "come"))
    serves(robot, "go, come")
    assert command(robot) == {-0.5}


def test_the_parameter_leads_to_another_folder(robot, folder, tmp_path):
    client = robot.node.create_client(SetParameters, "policy_server/set_parameters")
    assert client.wait_for_service(timeout_sec=120)

    def set_checkpoint(path):
        parameter = Parameter("checkpoint", value=str(path)).to_parameter_msg()
        done = client.call_async(SetParameters.Request(parameters=[parameter]))
        return robot.wait_for(lambda: done.done() and done.result()).results[0]

    refused = set_checkpoint(tmp_path / "nowhere")
    assert (refused.successful, "holds no checkpoint" in refused.reason) == (False, True)
    save_policy(tmp_path / "other", 0.25, ("go", "stay"))
    assert set_checkpoint(tmp_path / "other").successful
    serves(robot, "go, stay")
    assert command(robot) == {0.25}
    save_policy(folder, 0.5)  # nobody looks there any more
    save_policy(tmp_path / "other", -0.25, ("go", "run"))
    serves(robot, "go, run")
    assert command(robot) == {-0.25}
