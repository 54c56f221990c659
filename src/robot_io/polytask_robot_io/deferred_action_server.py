"""An action server for goals that take long, on a node with one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rclpy.action import ActionServer, CancelResponse
from rclpy.node import Node

from polytask_robot_io import qos
from polytask_robot_io.outcomes import Outcome

if TYPE_CHECKING:
    from rclpy.action.server import ServerGoalHandle

CLOSING_TIME = 0.2
"""s to deliver the results of goals that the node's end breaks off."""


class DeferredActionServer:
    """Accepts every goal, and gives the result later: whenever the node calls :meth:`finish`.

    A goal that cannot be met is accepted and then aborted, never rejected: a ROS 2 rejection is a bare "no", and the
    client should get the outcome and the reason, which only a result carries.

    A goal's handle stays in state ACCEPTED until its end and is then executed for an instant to set the result: an
    execute callback that ran for as long as the goal would need a thread of its own, and one that awaits makes the
    events executor spin.
    """

    def __init__(
        self,
        node: Node,
        action: Any,
        name: str,
        on_goal: Callable[[ServerGoalHandle], None],
        on_cancel: Callable[[ServerGoalHandle], bool],
    ) -> None:
        """Serve from now on.

        Args:
            node: whose executor calls everything here.
            action: type, with the fields ``outcome`` (of Outcome.msg) and ``message`` in its result.
            name: relative name of the action.
            on_goal: called with each goal; must see to it that :meth:`finish` is called for it, now or later.
            on_cancel: called with a goal whose client wants it no more; whether it is still going on. If so,
                :meth:`finish` is called for it, now or later.
        """
        self._node, self._action = node, action
        self._on_goal, self._on_cancel = on_goal, on_cancel
        self._stopped = False
        self._server = ActionServer(
            node,
            action,
            name,
            self._never_executed,
            handle_accepted_callback=self._accepted,
            cancel_callback=self._cancel,
            **qos.ACTION_SERVICES,
        )

    @staticmethod
    def finish(handle: ServerGoalHandle, result: Any) -> None:
        """Give a goal's client its result; once for each goal.

        The state of the goal follows from ``result.outcome``: succeeded with SUCCEEDED, else canceled where its client
        cancelled it, else aborted.
        """

        def conclude(handle: ServerGoalHandle) -> Any:
            if result.outcome == Outcome.SUCCEEDED:
                handle.succeed()
            elif handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
            return result

        handle.execute(conclude)

    def stop(self) -> None:
        """Begin no goal any more: those that still come end with INTERNAL_ERROR."""
        self._stopped = True

    def _accepted(self, handle: ServerGoalHandle) -> None:
        if self._stopped:
            reason = f"{self._node.get_name()} is being stopped"
            self.finish(handle, self._action.Result(outcome=Outcome.INTERNAL_ERROR, message=reason))
        else:
            self._on_goal(handle)

    def _cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        return CancelResponse.ACCEPT if self._on_cancel(handle) else CancelResponse.REJECT

    @staticmethod
    def _never_executed(handle: ServerGoalHandle) -> Any:
        raise RuntimeError("goals are concluded by finish()")


def deliver_results(node: Node) -> None:
    """Spin a node that is being closed for CLOSING_TIME, so that results given just now reach their clients."""
    end = time.monotonic() + CLOSING_TIME
    while node.executor and time.monotonic() < end:
        node.executor.spin_once(timeout_sec=0.02)
