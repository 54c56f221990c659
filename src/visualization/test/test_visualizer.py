"""What RViz is given to show."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
import yaml
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from polytask_interfaces.action import ExecuteTask
from polytask_interfaces.msg import EpisodeStatus, StateVector
from polytask_robot_io import qos
from polytask_robot_io.embodiment import Embodiment
from polytask_visualization.visualizer_node import Visualizer, position

CONFIG = Path(__file__).resolve().parents[3] / "config"
VALUES = {"grasp.x": 1.0, "grasp.y": 2.0, "grasp.z": 3.0, "peg.x": 0.5, "peg.y": 0.0, "peg.z": -1.0, "lid.angle": 0.1}


def test_points_are_sums_of_triples():
    np.testing.assert_array_equal(position("grasp + peg", VALUES), [1.5, 2.0, 2.0])
    assert position("lid", VALUES) is None


def test_the_points_of_the_layout_are_in_the_state():
    names = dict.fromkeys(Embodiment.load("xarm7_tabletop").state_names, 0.0)
    parameters = yaml.safe_load((CONFIG / "params" / "visualizer.yaml").read_text())
    points = parameters["/**/visualizer"]["ros__parameters"]["points"]
    assert [point for point in points if position(point, names) is None] == []


@pytest.fixture
def executor(ros_domain: int) -> Iterator[SingleThreadedExecutor]:
    rclpy.init(args=["--ros-args", "-p", "points:=[grasp, grasp + peg, nothing]"])
    executor = SingleThreadedExecutor()
    yield executor
    executor.shutdown()
    rclpy.shutdown()


def test_state_and_goal_become_markers(executor):
    visualizer, other = Visualizer(), Node("other")
    executor.add_node(visualizer)
    executor.add_node(other)
    markers: dict[str, MarkerArray] = {}
    for topic in ("state_markers", "goal_markers"):
        other.create_subscription(
            MarkerArray, topic, lambda message, topic=topic: markers.update({topic: message}), qos.JOINT_STATES
        )
    state = other.create_publisher(StateVector, "state", qos.STATE)
    episode = other.create_publisher(EpisodeStatus, "episode", qos.EPISODE)
    feedback = other.create_publisher(ExecuteTask.Impl.FeedbackMessage, "execute_task/_action/feedback", 1)
    message = StateVector(names=list(VALUES), values=list(VALUES.values()))
    message.header.frame_id = "link_base"
    goal = ExecuteTask.Impl.FeedbackMessage()
    goal.feedback.matched_task = "drawer-open"
    until = time.monotonic() + 60
    while "drawer-open (" not in (markers["goal_markers"].markers[0].text if "goal_markers" in markers else ""):
        assert time.monotonic() < until
        state.publish(message)
        episode.publish(EpisodeStatus(task="drawer-open", step=7))
        feedback.publish(goal)
        executor.spin_once(timeout_sec=0.05)
    while "state_markers" not in markers:
        assert time.monotonic() < until
        executor.spin_once(timeout_sec=0.05)
    shown = markers["state_markers"].markers
    assert [marker.text for marker in shown] == ["", "grasp", "", "peg"]
    assert {marker.header.frame_id for marker in shown} == {"link_base"}
    assert shown[2].pose.position.z == 2.0
    assert "step 7, running" in markers["goal_markers"].markers[0].text
    for node in (visualizer, other):
        node.destroy_node()
