"""State and goal as markers, for RViz (config/rviz/polytask.rviz)."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from rclpy.node import Node
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from polytask_interfaces.action import ExecuteTask
from polytask_interfaces.msg import EpisodeStatus, StateVector
from polytask_robot_io import params, qos
from polytask_robot_io.executors import run_node

PALETTE = ((0.9, 0.3, 0.3), (0.3, 0.9, 0.4), (0.3, 0.5, 1.0), (0.95, 0.8, 0.2), (0.8, 0.4, 0.9), (0.4, 0.9, 0.9))
SIZE = 0.02  # m, diameter of a point
TEXT_HEIGHT = 0.03  # m
ABOVE = np.array([0.0, 0.0, SIZE])
TERMINATION = {
    EpisodeStatus.RUNNING: "running",
    EpisodeStatus.SUCCEEDED: "succeeded",
    EpisodeStatus.TIME_LIMIT: "time is up",
    EpisodeStatus.ABORTED: "aborted",
    EpisodeStatus.FAULT: "fault",
}


def position(point: str, values: Mapping[str, float]) -> NDArray[np.float64] | None:
    """Position of a point such as "grasp + peg_tip", whose parts are triples of state entries NAME.x, NAME.y, NAME.z.

    Returns:
        float64 (3,), m; None where the state lacks an entry.
    """
    try:
        parts = [[values[f"{name.strip()}.{axis}"] for axis in "xyz"] for name in point.split("+")]
    except KeyError:
        return None
    return np.sum(np.array(parts, dtype=np.float64), axis=0)


class Visualizer(Node):
    """Publishes `state_markers` (points with names) and `goal_markers` (what is being done, as text)."""

    def __init__(self) -> None:
        super().__init__("visualizer")
        self._points = params.declare(
            self,
            "points",
            ["grasp"],
            "points to show, each a state entry NAME (.x, .y, .z) or a sum of such, NAME + NAME",
        )
        self._goal = "no goal"
        self._status = ""
        self._header = Header()
        self._state_out = self.create_publisher(MarkerArray, "state_markers", qos.JOINT_STATES)
        self._goal_out = self.create_publisher(MarkerArray, "goal_markers", qos.JOINT_STATES)
        self.create_subscription(StateVector, "state", self._show_state, qos.STATE)
        self.create_subscription(EpisodeStatus, "episode", self._show_episode, qos.EPISODE)
        # The feedback of an action is a topic, which anybody may hear.
        self.create_subscription(
            ExecuteTask.Impl.FeedbackMessage,
            "execute_task/_action/feedback",
            self._show_goal,
            10,
        )

    def _show_state(self, message: StateVector) -> None:
        self._header = message.header
        values = dict(zip(message.names, message.values, strict=False))
        markers = []
        for index, point in enumerate(self._points):
            place = position(point, values)
            if place is None:
                continue
            colour = PALETTE[index % len(PALETTE)]
            markers.append(self._marker(2 * index, Marker.SPHERE, place, SIZE, colour))
            name = self._marker(2 * index + 1, Marker.TEXT_VIEW_FACING, place + ABOVE, TEXT_HEIGHT / 2, colour)
            name.text = point.split("+")[-1].strip()
            markers.append(name)
        self._state_out.publish(MarkerArray(markers=markers))

    def _show_episode(self, message: EpisodeStatus) -> None:
        how = TERMINATION.get(message.termination_reason, "?")
        self._status = f"{message.task or 'world'}: step {message.step}, {how}"
        if not message.task and message.holds:
            self._status += f"; done: {', '.join(message.holds)}"
        self._publish_goal()

    def _show_goal(self, message: ExecuteTask.Impl.FeedbackMessage) -> None:
        feedback = message.feedback
        self._goal = f"doing {feedback.matched_task} (similarity {feedback.similarity:.2f}), {feedback.elapsed:.1f} s"
        self._publish_goal()

    def _publish_goal(self) -> None:
        marker = self._marker(0, Marker.TEXT_VIEW_FACING, np.array([0.4, 0.0, 0.6]), TEXT_HEIGHT, (1.0, 1.0, 1.0))
        marker.text = f"{self._goal}\n{self._status}"
        self._goal_out.publish(MarkerArray(markers=[marker]))

    def _marker(
        self, number: int, kind: int, place: NDArray[np.float64], size: float, colour: tuple[float, float, float]
    ) -> Marker:
        marker = Marker(header=self._header, id=number, type=kind, action=Marker.ADD, lifetime=Duration(sec=2))
        marker.pose.position = Point(x=float(place[0]), y=float(place[1]), z=float(place[2]))
        marker.pose.orientation.w = 1.0
        marker.scale.x = marker.scale.y = marker.scale.z = size
        marker.color = ColorRGBA(r=colour[0], g=colour[1], b=colour[2], a=1.0)
        return marker


def main() -> None:
    """Run the node."""
    sys.exit(run_node(Visualizer))
