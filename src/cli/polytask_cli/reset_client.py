"""Ask the simulation for a new start."""

from __future__ import annotations

import time

import rclpy
from rclpy.executors import SingleThreadedExecutor

from polytask_interfaces.msg import EpisodeStatus
from polytask_interfaces.srv import ResetEpisode
from polytask_robot_io import ros_environment

FIND = 20.0
"""s to find the simulation, which may be starting."""
ANSWER = 10.0
"""s for it to answer."""
AGAIN = 2.0
"""s after which a request is sent again: a simulation that has not yet discovered its client drops its answers."""


class ResetError(RuntimeError):
    """There is no simulation, or it refused; says why and what to do."""


def reset(task: str = "", seed: int = -1, namespace: str = "") -> EpisodeStatus:
    """Start an episode of a task, or where ``task`` is empty put the world back; gives its status.

    Args:
        task: of the suite.
        seed: of the start; -1: drawn by the simulation.
        namespace: of the robot.

    Raises:
        ResetError: nobody serves ``reset_episode``, or it refused.
        BadEnvironment: no node can start with the environment as it is.
        BadName: the namespace cannot be one.
    """
    ros_environment.check_namespace(namespace)
    ros_environment.prepare()
    rclpy.init()
    node = rclpy.create_node("polytask_reset", namespace=namespace, start_parameter_services=False)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    client = node.create_client(ResetEpisode, "reset_episode")
    try:
        if not client.wait_for_service(FIND):
            raise ResetError(
                f"nobody serves reset_episode in namespace {node.get_namespace()!r} ({FIND:.0f} s waited): a real "
                "robot cannot be reset; start a simulation by ./polytask serve CHECKPOINT or ./polytask up simulation"
            )
        until = time.monotonic() + ANSWER
        while time.monotonic() < until:
            future = client.call_async(ResetEpisode.Request(task=task, seed=seed))
            executor.spin_until_future_complete(future, AGAIN)
            answer = future.result() if future.done() else None
            if answer is not None and not answer.ok:
                raise ResetError(answer.message)
            if answer is not None:
                return answer.status
        raise ResetError(f"the simulation did not answer within {ANSWER:.0f} s; is it stopped?")
    finally:
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        rclpy.try_shutdown()
