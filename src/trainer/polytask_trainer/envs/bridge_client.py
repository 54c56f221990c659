"""Calls to the simulator's services that always come back: with the answer, or with an error that says what to do."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Any

import rclpy
from rclpy.client import Client

from polytask_interfaces.srv import ListTasks, ResetEpisode, StepEpisode
from polytask_robot_io.executors import make_executor

ASK_AGAIN = 2.0
"""s after which what may be asked twice is asked again."""
LOOK_AGAIN = 0.5
"""s between two looks at whether the simulator is still there."""


class BridgeError(RuntimeError):
    """The simulator is not there, does not answer, or refused; the message says which and what to do."""


class BridgeClient:
    """A node of its own, in a context of its own, that calls ``reset_episode``, ``step_episode`` and ``list_tasks``.

    It spins in the calling thread and only while a call waits, so nothing runs between calls.
    """

    def __init__(self, namespace: str, timeout: float) -> None:
        """``timeout``: s to wait for the simulator to come up, and for each answer.

        Raises:
            BridgeError: no simulator within that time.
        """
        self._timeout = timeout
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node("topic_env", namespace=namespace or None, context=self._context)
        self._executor = make_executor(self._context)
        self._executor.add_node(self.node)
        self._list = self.node.create_client(ListTasks, "list_tasks")
        self._reset = self.node.create_client(ResetEpisode, "reset_episode")
        self._step = self.node.create_client(StepEpisode, "step_episode")
        try:
            for client in (self._list, self._reset, self._step):
                if not client.wait_for_service(timeout_sec=timeout):
                    raise BridgeError(f"{self._gone(client)} within {timeout:g} s")
        except BridgeError:
            self.close()
            raise

    def list_tasks(self) -> ListTasks.Response:
        """The simulator's suite, embodiment and tasks.

        It is the first thing that is asked, and asked again: what a simulator answers before it has found this client
        is lost.
        """
        return self._call(self._list, ListTasks.Request(), again=ASK_AGAIN)

    def reset(self, request: ResetEpisode.Request) -> ResetEpisode.Response:
        """Start an episode. Raises BridgeError, also where the simulator refuses."""
        return self._accepted("reset_episode", self._call(self._reset, request))

    def step(self, request: StepEpisode.Request) -> StepEpisode.Response:
        """Take a step. Raises BridgeError, also where the simulator refuses."""
        return self._accepted("step_episode", self._call(self._step, request))

    def spin(self, seconds: float) -> None:
        """Hear what the node's subscriptions get, until something came or the time is over."""
        self._executor.spin_once(timeout_sec=seconds)

    def close(self) -> None:
        """Leave the graph; may be called again."""
        if self._context.ok():
            self._executor.shutdown(timeout_sec=1.0)
            self.node.destroy_node()
            self._context.try_shutdown()

    def __enter__(self) -> BridgeClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, client: Client, request: Any, again: float = math.inf) -> Any:
        if not self._context.ok():
            raise BridgeError("the environment was closed")
        future, asked = client.call_async(request), time.monotonic()
        end = asked + self._timeout
        while not future.done():
            self._executor.spin_once(timeout_sec=LOOK_AGAIN)
            if future.done():
                break
            if time.monotonic() > end:
                client.remove_pending_request(future)
                raise BridgeError(
                    f"{self._name(client)} did not answer within {self._timeout:g} s: is the simulator "
                    "stuck, or its machine overloaded?"
                )
            if not client.service_is_ready():
                client.remove_pending_request(future)
                raise BridgeError(f"{self._gone(client)} any more")
            if time.monotonic() > asked + again:
                client.remove_pending_request(future)
                future, asked = client.call_async(request), time.monotonic()
        return future.result()

    def _name(self, client: Client) -> str:
        return str(self.node.resolve_service_name(client.srv_name))

    def _gone(self, client: Client) -> str:
        return (
            f"no simulator serves {self._name(client)} (start it: sim_bridge with stepping_mode:=service, in the same "
            "namespace and ROS_DOMAIN_ID)"
        )

    @staticmethod
    def _accepted(service: str, response: Any) -> Any:
        if not response.ok:
            raise BridgeError(f"{service} was refused: {response.message}")
        return response
