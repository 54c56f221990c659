"""Subscriptions to all topics that an embodiment's observation is made of."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image, JointState

from polytask_interfaces.msg import StateVector
from polytask_robot_io import qos
from polytask_robot_io.errors import BadMessage
from polytask_robot_io.observation import ObservationAssembler

KINDS: dict[str, tuple[type, Any]] = {
    "StateVector": (StateVector, qos.STATE),
    "JointState": (JointState, qos.JOINT_STATES),
    "Image": (Image, qos.CAMERA),
}


def with_publisher(callback: Callable[[Any, bytes], None]) -> Callable[..., None]:
    """A callback for ``create_subscription`` that calls ``callback(message, publisher)``.

    ``publisher`` is the middleware's identifier, the ``endpoint_gid`` of ``get_publishers_info_by_topic``; empty where
    the distribution does not tell it.
    """

    def receive(*received: Any) -> None:
        # The events executor hands over both in one tuple, others give two arguments.
        message, info = received if len(received) == 2 else received[0]
        told = info.get("publisher_gid") if isinstance(info, dict) else None
        callback(message, bytes(told["data"]) if told else b"")

    # By this rclpy finds out that it is to give the information too.
    receive.__signature__ = inspect.signature(callback)  # type: ignore[attr-defined]
    return receive


def node_of(endpoint: Any) -> str:
    """Full name of the node to which one of ``get_publishers_info_by_topic`` belongs.

    Discovery may know an endpoint before its node.
    """
    if endpoint.node_name == "_NODE_NAME_UNKNOWN_":  # rmw's words for that
        return "one that has not told its name yet"
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"


def subscribe_observations(
    node: Node,
    assembler: ObservationAssembler,
    on_new: Callable[[], None],
    on_bad: Callable[[str], None],
    callback_group: Any = None,
) -> list[Any]:
    """Feed the assembler from live topics; gives the subscriptions.

    Args:
        node: which subscribes.
        assembler: what is fed.
        on_new: called after each message that may have completed an observation.
        on_bad: called with the reason for each message that was refused, or that lay behind the newest one.
        callback_group: of the subscriptions; the node's own when not given.
    """

    def receive(topic: str, message: Any) -> None:
        try:
            new = assembler.feed(topic, message)
        except BadMessage as error:
            on_bad(str(error))
            return
        if assembler.behind:
            on_bad(assembler.behind)
        if new:
            on_new()

    return [
        node.create_subscription(
            KINDS[kind][0], topic, partial(receive, topic), KINDS[kind][1], callback_group=callback_group
        )
        for topic, kind in assembler.topics.items()
    ]
