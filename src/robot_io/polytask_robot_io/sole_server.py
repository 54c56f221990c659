"""One server of an action: a second one says so and stops, before it does anything.

ROS 2 lets any number of nodes serve one action: all of them accept its goals, and all carry them out.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from polytask_robot_io import qos
from polytask_robot_io.diagnostics import NodeDiagnostics
from polytask_robot_io.subscriptions import node_of

SETTLING = 2.0
"""s in which a node gets to know those that are there."""

LINGERING = 25.0
"""s for which a node that was killed may still be seen; DDS believes in it for 20."""


class SecondServer(ValueError):
    """Another node serves the action; the message names it and says what to do."""


class SoleServer:
    """Sees to it that a node is the only one that serves an action.

    Make it first, :meth:`wait` before the action's server is made, and :meth:`keep` after that.

    Every such node tells on /diagnostics since when it serves. One that finds another before it begins ends; of two
    that began at the same time, unseen by one another, the younger does.
    """

    def __init__(self, node: Node, action: str) -> None:
        """``action``: relative name."""
        self._node, self._topic = node, f"{action}/_action/status"
        self.action = f"{node.get_namespace().rstrip('/')}/{action}"
        self._key = f"serves {self.action}"
        self._since = f"{time.time_ns():020d} {secrets.token_hex(8)}"
        self._began = time.monotonic()
        self.contested = False
        """Whether another serves the action, too, and neither has ended yet."""

    def others(self) -> str:
        """Full names of the nodes that serve the action; the own one is among them once it does."""
        found = self._node.get_publishers_info_by_topic(self._topic)
        return ", ".join(sorted({node_of(one) for one in found}))

    def keep(self, diagnostics: NodeDiagnostics, on_second: Callable[[str], None] | None = None) -> None:
        """Watch from now on, when the node serves; ``on_second`` is told why it must end (else it ends)."""
        self._on_second, self._diagnostics = on_second or _end, diagnostics
        diagnostics.show(self._key, self._since)
        self._heard: Any = None
        self._node.create_timer(1.0, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def wait(self) -> None:
        """Wait until it is certain that nobody else serves the action.

        A server that was killed is waited for until it is no longer seen, for at most LINGERING.

        Raises:
            SecondServer: somebody does.
        """
        living: list[str] = []
        heard = self._node.create_subscription(DiagnosticArray, "/diagnostics", lambda _: None, qos.DIAGNOSTICS)
        told = False
        while True:
            others, waited = self.others(), time.monotonic() - self._began
            if not others and waited > SETTLING:
                break
            while (taken := self._take(heard)) is not None:
                living += [since for since in self._served(taken) if since != self._since]
            if others and (living or waited > LINGERING):
                self._node.destroy_subscription(heard)
                raise SecondServer(self._reason(others))
            if others and not told and waited > SETTLING:
                told = True
                self._node.get_logger().warning(
                    f"{others} is seen to serve {self.action}; waiting until it is heard or gone, at most "
                    f"{LINGERING:.0f} s"
                )
            time.sleep(0.02)  # nobody spins yet
        self._node.destroy_subscription(heard)

    @staticmethod
    def _take(subscription: Any) -> DiagnosticArray | None:
        with subscription.handle:
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
        return taken[0] if taken is not None else None

    def _served(self, array: DiagnosticArray) -> list[str]:
        """Since when those nodes serve the action that tell so."""
        return [value.value for status in array.status for value in status.values if value.key == self._key]

    def _look(self) -> None:
        count = len(self._node.get_publishers_info_by_topic(self._topic))
        self.contested = count > 1
        if not self.contested:
            return
        self._diagnostics.drop("other servers", f"{count} nodes serve {self.action}: {self.others()}")
        if self._heard is None:
            self._heard = self._node.create_subscription(
                DiagnosticArray, "/diagnostics", self._compare, qos.DIAGNOSTICS
            )

    def _compare(self, array: DiagnosticArray) -> None:
        if self.contested and any(since < self._since for since in self._served(array)):
            self._on_second(self._reason(self.others()))

    def _reason(self, others: str) -> str:
        return (
            f"{self.action} is served already, by {others}; two servers would both do what is asked. Stop that one "
            "first, or start this one in another namespace or domain (ROS_DOMAIN_ID)"
        )


def _end(reason: str) -> None:
    raise SystemExit(f"error: {reason}")
