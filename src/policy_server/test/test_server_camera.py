"""The server with a policy that sees, and a camera of the test's."""

import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
import torch
from fake_server import SeeingPolicy
from sensor_msgs.msg import Image

from polytask_interfaces.msg import Outcome
from polytask_policy.goal_networks import GoalConditionedActor, GoalEncoder
from polytask_policy.unified import UnifiedPolicy
from polytask_policy_server.policy_manager import PolicyManager
from polytask_robot_io import qos
from polytask_robot_io.images import to_message
from polytask_robot_io.stamps import from_ns, to_ns

# One process runs them all: they share nodes.
pytestmark = pytest.mark.xdist_group("server_camera")

FAKE_SERVER = Path(__file__).parent / "fake_server.py"
TOPIC = "eye/image_raw"


@pytest.fixture(scope="module")
def robot(start_server, make_robot):
    start_server("camera", command=[sys.executable, str(FAKE_SERVER), "0", "sees"])
    robot = make_robot("camera")
    robot.camera = robot.node.create_publisher(Image, TOPIC, qos.CAMERA)
    robot.wait_for(robot.camera.get_subscription_count)
    return robot


def show(robot, shade):
    """Publish a state and its picture of one shade; gives their stamp in ns."""
    stamp = robot.show()
    picture(robot, shade, stamp)
    return stamp


def picture(robot, shade, stamp):
    robot.camera.publish(to_message(np.full((16, 16, 3), shade, np.uint8), from_ns(stamp), "optical"))


def answer(robot, stamp):
    """The command that answers the observation of a stamp."""

    def found():
        return [m for _, m in robot.commands if to_ns(m.observation_stamp) == stamp]

    return list(robot.wait_for(found)[0].values)


def begun(robot, shade):
    """Show a shade, at 16 Hz, until the goal has begun; gives its first command's values."""
    robot.wait_for(lambda: time.monotonic() - robot.commands[-1][0] > 0.06 if robot.commands else True)
    known = len(robot.commands)

    def answered():
        show(robot, shade)
        time.sleep(0.06)
        return robot.commands[known:]

    return list(robot.wait_for(answered)[0][1].values)


def test_it_acts_on_the_frames_of_its_own_goal_only(robot):
    for oldest, newest in ((255, 0), (51, 204)):
        handle, result = robot.ask(task="go")
        assert begun(robot, oldest) == pytest.approx([oldest / 255] * 2)  # it stands in for those before it
        assert answer(robot, show(robot, newest)) == pytest.approx([oldest / 255, newest / 255])
        handle.cancel_goal_async()
        assert robot.outcome(result).outcome == Outcome.CANCELLED
        robot.wait_for(robot.stopped)


def test_a_state_is_answered_when_its_picture_is_there(robot):
    handle, result = robot.ask(task="go")
    begun(robot, 255)
    stamp = robot.show()
    time.sleep(0.1)
    assert not any(to_ns(m.observation_stamp) == stamp for _, m in robot.commands)
    picture(robot, 102, stamp)
    assert answer(robot, stamp) == pytest.approx([1.0, 0.4])
    handle.cancel_goal_async()
    robot.outcome(result)


def test_a_camera_that_stops_ends_the_goal_and_is_named(robot):
    robot.streaming = False
    _, result = robot.ask(task="go")
    begun(robot, 255)
    robot.streaming = True  # states alone
    try:
        end = robot.outcome(result)
    finally:
        robot.streaming = False
    assert end.outcome == Outcome.STALE_OBSERVATIONS
    assert f"no pictures that belong to them on {TOPIC}" in end.message
    robot.wait_for(robot.stopped)


def test_a_picture_of_another_size_ends_the_goal_with_its_reason(robot):
    _, result = robot.ask(task="go")
    while not result.done():  # the first may come before the goal has begun
        picture = to_message(np.zeros((8, 8, 3), np.uint8), from_ns(robot.show()), "optical")
        robot.camera.publish(picture)
        time.sleep(0.02)
    end = robot.outcome(result)
    assert end.outcome == Outcome.STALE_OBSERVATIONS
    assert TOPIC in end.message
    assert "8x8" in end.message


def test_another_policy_that_sees_otherwise_needs_another_server(ros_domain, tmp_path):
    """Which topics are read is settled when the server starts."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("server", context=context)
    try:
        policy = SeeingPolicy()
        manager = PolicyManager(node, policy.text, policy)
        assert manager.cameras == ("eye",)
        blind = dataclasses.replace(manager.current.description, state_names=("x", "y"), pictures=None)
        examples = {
            "sentences": torch.eye(1, 384),
            "sentence_tasks": torch.arange(1),
            "pictures": torch.zeros(1, 3, 42, 42, dtype=torch.uint8),
            "picture_tasks": torch.arange(1),
        }
        UnifiedPolicy(GoalConditionedActor(2, 2, (8,)), GoalEncoder(384, 1), blind, examples).save(tmp_path)
        with pytest.raises(ValueError, match="sees through no camera, this server reads eye: start the server anew"):
            manager._load(tmp_path)
    finally:
        node.destroy_node()
        context.try_shutdown()
