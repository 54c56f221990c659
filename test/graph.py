"""A client of the nodes: waits for events, calls services, asks actions. Never sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import rclpy
import stacks
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from stacks import PATIENCE


@dataclass
class Goal:
    """A goal that was sent to an action."""

    handle: Any
    future: Any
    feedback: list[Any] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether the result is there."""
        return bool(self.future.done())

    @property
    def result(self) -> Any:
        """The action's result."""
        return self.future.result().result


class Graph:
    """A node of the test's own, in a namespace."""

    def __init__(self, namespace: str = "") -> None:
        """Join the graph of ROS_DOMAIN_ID as it is now."""
        self.context = rclpy.Context()
        rclpy.init(context=self.context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node("system_test", namespace=namespace, context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._actions: dict[str, ActionClient] = {}

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)

    def until(self, holds: Callable[[], Any], what: str, patience: float = PATIENCE, *, watch: bool = True) -> Any:
        """Spin until ``holds()`` gives something true, and give that.

        Fails when it never does, or (``watch``) when a stack has ended meanwhile.
        """
        deadline = time.monotonic() + patience
        while not (value := holds()):
            ended = [stack.name for stack in stacks.running if watch and not stack.alive()]
            assert not ended, f"waiting for {what}: the nodes of {ended} have ended"
            assert time.monotonic() < deadline, f"{what}: not within {patience:.0f} s"
            self._executor.spin_once(timeout_sec=0.05)
        return value

    def nodes(self) -> set[str]:
        """Full names of all nodes, with each that is there twice as "twice: NAME"."""
        names = [f"{space.rstrip('/')}/{name}" for name, space in self.node.get_node_names_and_namespaces()]
        return {name if names.count(name) == 1 else f"twice: {name}" for name in names}

    def services(self) -> set[str]:
        """Full names of all services."""
        return {name for name, _ in self.node.get_service_names_and_types()}

    def topics(self) -> set[str]:
        """Full names of all topics."""
        return {name for name, _ in self.node.get_topic_names_and_types()}

    def listen(self, kind: Any, topic: str, qos: Any) -> list[Any]:
        """A list that receives every message of a topic from now on."""
        heard: list[Any] = []
        self.node.create_subscription(kind, topic, heard.append, qos)
        return heard

    def call(self, kind: Any, name: str, **request: Any) -> Any:
        """Answer of a service that must say ok."""
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, f"service {name}")
        future = client.call_async(kind.Request(**request))
        self.until(future.done, f"answer of {name}")
        self.node.destroy_client(client)
        assert future.result().ok, f"{name}: {future.result().message}"
        return future.result()

    def send(self, action: Any, name: str, **goal: Any) -> Goal:
        """A goal that the action has accepted."""
        if name not in self._actions:
            self._actions[name] = ActionClient(self.node, action, name)
        client = self._actions[name]
        self.until(client.server_is_ready, f"action {name}")
        feedback: list[Any] = []
        future = client.send_goal_async(action.Goal(**goal), lambda message: feedback.append(message.feedback))
        self.until(future.done, f"{name} to take a goal")
        handle = future.result()
        assert handle.accepted, f"{name} rejected a goal"
        return Goal(handle, handle.get_result_async(), feedback)

    def ask(self, action: Any, name: str, patience: float = PATIENCE, **goal: Any) -> Any:
        """Result of a goal."""
        sent = self.send(action, name, **goal)
        self.until(lambda: sent.done, f"result of {name}", patience)
        return sent.result
