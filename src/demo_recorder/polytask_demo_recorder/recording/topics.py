"""Topics that are recorded."""

from __future__ import annotations

from typing import Any, NamedTuple

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, JointState

from polytask_interfaces.msg import Command, EpisodeStatus, StateVector
from polytask_robot_io.embodiment import Embodiment

DEPTH = 1000
"""Messages that may wait for the recorder on a topic of small messages: it must not lose one in lock-step."""
CAMERA_DEPTH = 50
"""The same for pictures."""


class RecordedTopic(NamedTuple):
    """One topic to record."""

    name: str
    """Relative to the node's namespace."""
    kind: type
    qos: QoSProfile

    @property
    def type_name(self) -> str:
        """For example ``sensor_msgs/msg/Image``."""
        package, folder, *_ = self.kind.__module__.split(".")
        return f"{package}/{folder}/{self.kind.__name__}"


def recorded_topics(embodiment: Embodiment, cameras: bool) -> list[RecordedTopic]:
    """Topics of an embodiment's observation and command, and those that explain them."""
    reliable = _profile(DEPTH, ReliabilityPolicy.RELIABLE)
    # A best-effort subscription hears every publisher; a reliable one none that is best-effort.
    sensor = _profile(DEPTH, ReliabilityPolicy.BEST_EFFORT)
    camera_qos = _profile(CAMERA_DEPTH, ReliabilityPolicy.BEST_EFFORT)
    kinds: dict[str, tuple[type, Any]] = {
        embodiment.command_topic: (Command, reliable),
        "episode": (EpisodeStatus, reliable),
        "joint_states": (JointState, sensor),
    }
    for entry in embodiment.state:
        kinds[entry.topic] = (StateVector, reliable) if entry.quantity == "value" else (JointState, sensor)
    for camera in embodiment.cameras if cameras else ():
        kinds[camera.topic] = (Image, camera_qos)
        kinds[camera.info_topic] = (CameraInfo, camera_qos)
    return [RecordedTopic(name, kind, qos) for name, (kind, qos) in kinds.items()]


def _profile(depth: int, reliability: ReliabilityPolicy) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability)
