"""Ask the policy server for a task and follow how it goes."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.action import ActionClient
from rclpy.signals import SignalHandlerOptions

from polytask_interfaces.action import ExecuteTask
from polytask_robot_io import ros_environment
from polytask_robot_io.executors import make_executor
from polytask_robot_io.images import to_message

FIND_SERVER = 20.0  # s to find the action server, which may be starting
STOP = (signal.SIGINT, signal.SIGTERM)
SETTLE = 0.3  # s; a server that has not yet discovered its client drops its answers
ANSWER = 10.0  # s for the server to take the goal; what becomes of it, it says later
CANCEL = 3.0  # s for the server to stop the motion and say so


class AskError(RuntimeError):
    """The goal could not be delivered; says why and what to do."""


def goal_message(
    words: str = "", image: NDArray[np.uint8] | None = None, task: str = "", timeout: float = 0.0
) -> ExecuteTask.Goal:
    """Make the action's goal.

    Args:
        words: a sentence.
        image: picture of the wanted result, uint8 (H, W, 3), RGB.
        task: name of a taught task.
        timeout: s; 0: the server's default.
    """
    message = ExecuteTask.Goal(words=words, task=task, timeout=timeout)
    if image is not None:
        message.image = to_message(image)
    return message


def ask(
    goal: ExecuteTask.Goal, *, namespace: str = "", on_feedback: Callable[[ExecuteTask.Feedback], None] = lambda _: None
) -> ExecuteTask.Result:
    """Send a goal and wait for its result; Ctrl-C cancels it and waits for the server to have stopped the robot.

    Args:
        namespace: of the robot whose server is asked.
        on_feedback: called with each feedback message.

    Returns:
        The result; its outcome is CANCELLED after Ctrl-C.

    Raises:
        AskError: when no server is found, or it goes away.
        BadEnvironment: when no node can start with the environment as it is.
        BadName: when the namespace cannot be one.
    """
    ros_environment.check_namespace(namespace)
    ros_environment.prepare()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("polytask_ask", namespace=namespace, start_parameter_services=False)
    executor = make_executor()
    executor.add_node(node)
    client = ActionClient(node, ExecuteTask, "execute_task")
    interrupted: list[int] = []
    # After the executor was made: the events executor brings handlers of its own.
    handlers = {number: signal.signal(number, lambda n, _: interrupted.append(n)) for number in STOP}

    def wait(future: Any, seconds: float = float("inf"), *, stoppable: bool = True) -> Any:
        """Spin until the future is done, the server is gone, time is up or a signal has come (None)."""
        until = time.monotonic() + seconds
        while not future.done():
            executor.spin_once(timeout_sec=0.1)
            if time.monotonic() > until or (stoppable and interrupted):
                return None
            if not client.server_is_ready():
                raise AskError("the policy server has gone away; its own output says why")
        return future.result()

    try:
        until = time.monotonic() + FIND_SERVER
        while not client.server_is_ready():
            if interrupted:
                raise KeyboardInterrupt
            if time.monotonic() > until:
                raise AskError(
                    f"nobody serves the action execute_task in namespace {node.get_namespace()!r} ({FIND_SERVER:.0f} s "
                    "waited). Start a server: ./polytask serve CHECKPOINT. Is one running in another namespace "
                    "(--namespace), domain (ROS_DOMAIN_ID) or machine (ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET)?"
                )
            executor.spin_once(timeout_sec=0.05)
        settled = time.monotonic() + SETTLE
        while time.monotonic() < settled:
            executor.spin_once(timeout_sec=0.05)
        sending = client.send_goal_async(goal, feedback_callback=lambda message: on_feedback(message.feedback))
        handle = wait(sending, ANSWER, stoppable=False)  # only a goal that was accepted can be cancelled
        if handle is None:
            raise AskError(
                f"the server did not answer the goal within {ANSWER:.0f} s: is it stopped, or the goal too large "
                "for the network?"
            )
        if not handle.accepted:
            raise AskError("the server did not accept the goal; its own output says why")
        result = handle.get_result_async()
        answer = wait(result)
        if answer is None:
            handle.cancel_goal_async()
            answer = wait(result, CANCEL, stoppable=False)
        if answer is None:
            raise AskError(f"asked the server to cancel, but it did not answer within {CANCEL:.0f} s")
        return answer.result
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        rclpy.try_shutdown()
