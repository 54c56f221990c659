"""Running a node: executor, signals and a clean end."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from polytask_robot_io import ros_environment

try:
    from rclpy.experimental import EventsExecutor
except ImportError:  # older distributions
    EventsExecutor = None

SIGNAL_CHECK = 0.2
"""Seconds between two looks at whether a signal has come, when nothing else happens."""


def make_executor(context: Context | None = None) -> Executor:
    """The fastest executor this rclpy has: the events executor takes several times less time per callback.

    The events executor knows no guard conditions, and must be driven by ``spin_once`` with a timeout: its ``spin``
    waits until the end of time, which overflows into not waiting at all, and that loop starves every other Python
    thread; whatever they call then looks like a deadlock. Under ``spin_once`` other threads may publish and call
    ``create_task``.
    """
    make = SingleThreadedExecutor if EventsExecutor is None else EventsExecutor
    return make(context=context)


def hand_over(node: Node, function: Callable[..., Any], *arguments: Any) -> None:
    """Have the executor that spins ``node`` call a function; for other threads, which own none of the node's parts.

    Nothing is called where nobody spins the node any more.
    """
    executor = node.executor
    if executor is not None:
        executor.create_task(function, *arguments)


def run_node(make: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """Run one node until SIGINT or SIGTERM, then close it; for ``main`` of an executable. Gives the exit status.

    A callback that is running when the signal comes is finished first, with everything still open. A node with a method
    ``close()`` has it called before it is destroyed. :class:`ValueError` from ``make`` (a wrong parameter or file), and
    what ROS refuses of its arguments and environment, end the program with a message and status 2, without a traceback.
    """
    try:
        ros_environment.prepare()
        # rclpy's own handlers raise KeyboardInterrupt in the middle of a callback and shut the context down under it.
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:  # rcl's: what was wrong, then several places in its source
        print(f"error: ROS cannot start: {str(error).splitlines()[0].partition(', at /')[0]}", file=sys.stderr)
        return 2
    executor = make_executor()
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        # After the executor was made: the events executor brings handlers of its own.
        signal.signal(number, lambda number, _: stopped.append(number))
    node: Node | None = None
    try:
        try:
            node = make()
        except (ValueError, NameValidationException, ParameterException) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        executor.add_node(node)
        while rclpy.ok() and not stopped:
            with contextlib.suppress(ExternalShutdownException):
                # Python's handlers run only between two such calls.
                executor.spin_once(timeout_sec=SIGNAL_CHECK)
        return 0
    finally:
        if node is not None:
            if hasattr(node, "close"):
                node.close()
            node.destroy_node()
        rclpy.try_shutdown()
