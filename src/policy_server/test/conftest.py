"""A robot's side of the topics, and the policy server as a process of its own."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rosgraph_msgs.msg import Clock

from polytask_interfaces.action import ExecuteTask
from polytask_interfaces.msg import Command, EpisodeStatus, StateVector
from polytask_robot_io import qos
from polytask_robot_io.stamps import from_ns, to_ns

FAKE_SERVER = Path(__file__).parent / "fake_server.py"
sys.path.insert(0, str(Path(__file__).parent))  # its policies, for tests in process


def wait_for(condition, timeout=120.0):
    """What ``condition`` gives as soon as it is true; fails after ``timeout`` s."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.002)
    pytest.fail(f"nothing within {timeout} s")


class Robot:
    """Publishes states (at 20 Hz while ``streaming``), hears commands, asks for goals."""

    def __init__(self, namespace, names=("x", "y")):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("robot", namespace=namespace, context=self.context)
        self.names = list(names)
        self.commands = []
        self.feedback = []
        self.diagnostics = []
        self.streaming = False
        self.values = [0.0] * len(names)
        self.state = self.node.create_publisher(StateVector, "state", qos.STATE)
        self.episode = self.node.create_publisher(EpisodeStatus, "episode", qos.EPISODE)
        self.clock = self.node.create_publisher(Clock, "/clock", qos.CLOCK)
        self.node.create_subscription(
            Command, "command", lambda m: self.commands.append((time.monotonic(), m)), qos.COMMAND
        )
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self.diagnostics.append, 10)
        self.node.create_timer(0.05, self._stream)
        # A client, too, loses the answers that its own history does not hold while it sends.
        deep = {"goal_service_qos_profile": qos.SERVICES, "result_service_qos_profile": qos.SERVICES}
        self.client = ActionClient(self.node, ExecuteTask, "execute_task", **deep)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self._spin)
        self.thread.start()

    def _spin(self):
        with contextlib.suppress(Exception):
            while self.context.ok():
                self.executor.spin_once(timeout_sec=0.1)

    def _stream(self):
        if self.streaming:
            self.show()

    def now_ns(self):
        return self.node.get_clock().now().nanoseconds

    def show(self, stamp_ns=None, values=None):
        """Publish one state; gives its stamp in ns."""
        stamp_ns = self.now_ns() if stamp_ns is None else stamp_ns
        message = StateVector(names=self.names, values=self.values if values is None else values)
        message.header.stamp = from_ns(stamp_ns)
        self.state.publish(message)
        return stamp_ns

    def say(self, stamp_ns, **status):
        """Publish an EpisodeStatus."""
        message = EpisodeStatus(**{"episode_id": "e1", "suite": "toy", "task": "go", **status})
        message.header.stamp = from_ns(stamp_ns)
        self.episode.publish(message)

    def tick(self, stamp_ns):
        """Publish simulated time."""
        self.clock.publish(Clock(clock=from_ns(stamp_ns)))

    def ask(self, **goal):
        """Send a goal; gives its client handle once accepted."""
        # In the executor's thread: from another one, rclpy may lose the answer to a goal (it makes its future twice).
        sent = self.executor.create_task(
            self.client.send_goal_async, ExecuteTask.Goal(**goal), lambda m: self.feedback.append(m.feedback)
        )
        handle = wait_for(lambda: sent.done() and sent.result().done() and sent.result().result())
        assert handle.accepted
        return handle, handle.get_result_async()

    def outcome(self, result, timeout=120.0):
        """The result message of what :meth:`ask` gave."""
        return wait_for(lambda: result.done() and result.result(), timeout).result

    def moving(self):
        """Wait until a command that moves came after now."""
        known = len(self.commands)
        wait_for(lambda: any(any(m.values) for _, m in self.commands[known:]))

    def stopped(self):
        """Whether the last command is zero and answers no observation."""
        return (
            bool(self.commands)
            and not any(self.commands[-1][1].values)
            and not to_ns(self.commands[-1][1].observation_stamp)
        )

    def wait_for(self, condition, timeout=120.0):
        """See :func:`wait_for`."""
        return wait_for(condition, timeout)

    def close(self):
        self.executor.shutdown()
        self.context.try_shutdown()
        self.thread.join()


@pytest.fixture(scope="module")
def ros_domain(module_ros_domain):
    """The nodes of a module share one domain."""
    return module_ros_domain


@pytest.fixture(scope="module")
def start_server(ros_domain):
    """Start a server process: ``start_server(namespace, load_time=0, command=None, **parameters)``."""
    processes = []

    def start(namespace, load_time=0.0, command=None, **parameters):
        command = command or [sys.executable, str(FAKE_SERVER), str(load_time)]
        arguments = ["--ros-args", "-r", f"__ns:=/{namespace}"]
        for name, value in parameters.items():
            arguments += ["-p", f"{name}:={value}"]
        process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in processes:
        if process.returncode is not None:
            continue
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail("the server did not end within 20 s of SIGINT")


@pytest.fixture(scope="module")
def make_robot(ros_domain):
    """``make_robot(namespace)``: the robot's side, once the server there is up and both hear each other."""
    robots = []

    def make(namespace, names=("x", "y")):
        robot = Robot(namespace, names)
        robots.append(robot)
        assert robot.client.wait_for_server(timeout_sec=120), "the server did not come up"
        wait_for(lambda: robot.state.get_subscription_count() and robot.episode.get_subscription_count())
        wait_for(lambda: robot.node.count_publishers("command"))
        return robot

    yield make
    for robot in robots:
        robot.close()
