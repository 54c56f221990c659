"""Listens to pictures and diagnostics beside a client."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import Image

from polytask_robot_io import qos


class Observer:
    """Subscriptions on somebody else's node."""

    def __init__(self, node: Node, camera_topic: str) -> None:
        """``camera_topic``: pictures are received, so that the simulation has to draw them."""
        self.pictures = 0
        self.diagnostics: dict[str, dict[str, str]] = {}
        node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, qos.DIAGNOSTICS)
        node.create_subscription(Image, camera_topic, self._count, qos.CAMERA, raw=True)

    def _count(self, data: bytes) -> None:
        self.pictures += 1

    def _diagnose(self, array: Any) -> None:
        for status in array.status:
            self.diagnostics[status.name] = {pair.key: pair.value for pair in status.values}
