"""Listens to commands, pictures and diagnostics beside a client, and notes when they came."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from polytask_bringup.demo.asker import deep
from polytask_interfaces.msg import Command
from polytask_robot_io import qos
from polytask_robot_io.stamps import to_ns


@dataclass(frozen=True)
class HeardCommand:
    """Times of one command, ns: its own stamp, that of the observation it answers, and its arrival here."""

    stamp: int
    observation: int
    arrived: int


class Observer:
    """Subscriptions on somebody else's node."""

    def __init__(self, node: Node, camera_topic: str | None) -> None:
        """``camera_topic``: also receive this camera's pictures, so that the simulation has to render them."""
        self.pictures = 0
        self.diagnostics: dict[str, dict[str, str]] = {}
        self._raw: list[tuple[int, bytes]] = []
        node.create_subscription(Command, "command", self._take, deep(qos.COMMAND), raw=True)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, qos.DIAGNOSTICS)
        if camera_topic is not None:
            node.create_subscription(Image, camera_topic, self._count, qos.CAMERA, raw=True)

    def clear(self) -> None:
        """Forget the commands heard so far."""
        self._raw.clear()

    def commands(self) -> list[HeardCommand]:
        """Commands that answered an observation, in order."""
        messages = [(arrived, deserialize_message(data, Command)) for arrived, data in self._raw]
        heard = [HeardCommand(to_ns(m.header.stamp), to_ns(m.observation_stamp), arrived) for arrived, m in messages]
        return [command for command in heard if command.observation > 0]

    def _take(self, data: bytes) -> None:
        self._raw.append((time.time_ns(), data))

    def _count(self, data: bytes) -> None:
        self.pictures += 1

    def _diagnose(self, array: Any) -> None:
        for status in array.status:
            self.diagnostics[status.name] = {pair.key: pair.value for pair in status.values}
