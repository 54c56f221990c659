"""The recorder's raw subscriptions: who publishes, and when a message arrived."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from rclpy.node import Node

from polytask_demo_recorder.recording.episode_recording import ReceivedMessage
from polytask_demo_recorder.recording.topics import recorded_topics
from polytask_interfaces.msg import Command, EpisodeStatus
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.errors import BadMessage
from polytask_robot_io.serialised import header_stamp, read_message
from polytask_robot_io.stamps import to_ns
from polytask_robot_io.subscriptions import node_of, with_publisher

if TYPE_CHECKING:
    from polytask_demo_recorder.recording.session import Session


class TopicSubscriptions:
    """Hands messages as they were on the wire to the session, if there is one; what is no message is dropped."""

    def __init__(
        self, node: Node, embodiment: Embodiment, cameras: bool, on_refused: Callable[[str, str], None]
    ) -> None:
        """``on_refused``: called with topic and reason for each message that could not be read."""
        self.session: Session | None = None
        self._node = node
        self._on_refused = on_refused
        self._clock = node.get_clock()
        self._steady_to_ros = 0
        self._command_topic = embodiment.command_topic
        self._declared = {entry.topic for entry in embodiment.state}
        self._declared |= {camera.topic for camera in embodiment.cameras if cameras}
        self.topics: dict[str, tuple[str, str]] = {}
        """(name, type) by relative topic."""
        self._subscriptions = {}
        for topic in recorded_topics(embodiment, cameras):
            self.topics[topic.name] = (node.resolve_topic_name(topic.name), topic.type_name)
            receive: Callable[..., None] = partial(self._receive, self._message, topic.name)
            if topic.kind is Command:
                receive = partial(self._receive, self._command, topic.name)
            elif topic.kind is EpisodeStatus:
                receive = with_publisher(partial(self._receive_status, topic.name))
            self._subscriptions[topic.name] = node.create_subscription(
                topic.kind, topic.name, receive, topic.qos, raw=True
            )

    def start(self, session: Session) -> None:
        """Hand messages to a session from now on."""
        self._steady_to_ros = self._clock.now().nanoseconds - time.monotonic_ns()
        self.session = session

    def unheard(self) -> list[str]:
        """Names of declared topics whose publisher is not there."""
        return [self.topics[topic][0] for topic in sorted(self._declared) if not self._hears(topic)]

    def hears_all(self) -> bool:
        """Whether every publisher that is there has come to be heard."""
        return all(self._hears(topic) or not self.published(topic) for topic in self._subscriptions)

    def published(self, topic: str) -> int:
        """How many publishers of a relative topic are there, whether they are heard or not."""
        return self._node.count_publishers(self.topics[topic][0])

    def rivals(self) -> list[str]:
        """Nodes that publish ``episode``, where there are several."""
        found = self._node.get_publishers_info_by_topic(self.topics["episode"][0])
        return sorted(node_of(one) for one in found) if len(found) > 1 else []

    def _hears(self, topic: str) -> bool:
        subscription = self._subscriptions[topic]
        if hasattr(subscription, "get_publisher_count"):  # jazzy's has it not
            return bool(subscription.get_publisher_count())
        return self.published(topic) > 0

    def _now_ns(self) -> int:
        """The node's clock; as it would go on by itself when somebody sets the machine's."""
        if self._clock.ros_time_is_active:
            return self._clock.now().nanoseconds
        return time.monotonic_ns() + self._steady_to_ros

    def _receive(self, take: Callable[[Session, str, bytes], None], topic: str, data: bytes) -> None:
        if self.session is None:
            return
        try:
            take(self.session, topic, data)
        except BadMessage as error:
            reason = str(error).removeprefix(f"{topic}: ")
            self._on_refused(topic, reason)
            self.session.refuse(topic, reason)

    def _receive_status(self, topic: str, data: bytes, publisher: bytes) -> None:
        self._receive(partial(self._status, publisher), topic, data)

    def _message(self, session: Session, topic: str, data: bytes) -> None:
        session.hear(self._heard(topic, header_stamp(topic, data), data), time.monotonic())

    def _command(self, session: Session, topic: str, data: bytes) -> None:
        command = read_message(topic, data, Command)
        # It need not have a stamp: what answers no observation is aligned by arrival.
        heard = self._heard(topic, max(0, to_ns(command.header.stamp)), data)
        session.hear_command(heard, max(0, to_ns(command.observation_stamp)), time.monotonic())

    def _status(self, publisher: bytes, session: Session, topic: str, data: bytes) -> None:
        status = read_message(topic, data, EpisodeStatus)
        heard = self._heard(topic, header_stamp(topic, data), data)
        session.hear_status(heard, status, time.monotonic(), publisher)

    def _heard(self, topic: str, stamp_ns: int, data: bytes) -> ReceivedMessage:
        return ReceivedMessage(topic, stamp_ns, stamp_ns, self._now_ns(), data)
