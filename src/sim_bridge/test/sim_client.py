"""The simulator as a process of its own, and a client that sees everything it says."""

import contextlib
import signal
import subprocess
import sys
import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState

from polytask_interfaces.msg import Command, EpisodeStatus, StateVector
from polytask_interfaces.srv import ListTasks, ResetEpisode, StepEpisode
from polytask_robot_io import qos
from polytask_robot_io.commands import command_message
from polytask_robot_io.executors import make_executor
from polytask_robot_io.stamps import from_ns, to_ns

PATIENCE = 120.0
"""Seconds; the simulator takes as long to come up on a busy machine."""


@contextlib.contextmanager
def simulator(*parameters, stderr=None):
    """``sim_bridge`` with ``name:=value`` parameters; told to end with SIGINT afterwards."""
    command = [sys.executable, "-m", "polytask_sim_bridge.sim_bridge_node", "--ros-args", "--log-level", "error"]
    for parameter in parameters:
        command += ["-p", parameter]
    process = subprocess.Popen(command, stderr=stderr, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


class Client:
    """Listens to state, episode, diagnostics and clock; to cameras when asked to."""

    def __init__(self, simulated=True):
        """``simulated``: whether to wait for the simulator."""
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("client", context=self.context)
        self.executor = make_executor(self.context)
        self.executor.add_node(self.node)
        self.states, self.statuses, self.diagnostics, self.clocks = [], [], [], []
        self.joints, self.images, self.infos = [], [], []
        for kind, topic, profile, kept in (
            (StateVector, "state", qos.STATE, self.states),
            (EpisodeStatus, "episode", qos.EPISODE, self.statuses),
            (JointState, "joint_states", qos.JOINT_STATES, self.joints),
            (DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS, self.diagnostics),
            (Clock, "/clock", qos.CLOCK, self.clocks),
        ):
            self.node.create_subscription(kind, topic, kept.append, profile)
        self.commands = self.node.create_publisher(Command, "command", qos.COMMAND)
        self._clients = {
            kind: self.node.create_client(kind, name)
            for kind, name in (
                (ResetEpisode, "reset_episode"),
                (StepEpisode, "step_episode"),
                (ListTasks, "list_tasks"),
            )
        }
        if not simulated:
            return
        for client in self._clients.values():
            assert client.wait_for_service(PATIENCE)
        self.until(lambda: self.commands.get_subscription_count() and self.states)

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def watch_camera(self):
        self.node.create_subscription(Image, "camera/image_raw", self.images.append, qos.CAMERA)
        self.node.create_subscription(CameraInfo, "camera/camera_info", self.infos.append, qos.CAMERA)

    def until(self, holds, timeout=PATIENCE):
        """Spin until ``holds()``; fails when it does not come to hold."""
        deadline = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < deadline, "waited too long"
            self.executor.spin_once(timeout_sec=0.05)

    def spin(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, request):
        client = next(c for kind, c in self._clients.items() if isinstance(request, kind.Request))
        future = client.call_async(request)
        self.until(future.done)
        return future.result()

    def reset(self, task="", seed=-1, want_image=False):
        return self.call(ResetEpisode.Request(task=task, seed=seed, want_image=want_image))

    def step(self, action, stamp_ns=0, want_image=False):
        command = command_message(action, None, from_ns(stamp_ns))
        return self.call(StepEpisode.Request(command=command, want_image=want_image))

    def send(self, action, stamp_ns=0, issued_ns=None, publisher=None):
        """A command that answers the observation of ``stamp_ns``, issued now unless told otherwise."""
        issued_ns = time.time_ns() if issued_ns is None else issued_ns
        message = command_message(action, from_ns(issued_ns), from_ns(stamp_ns))
        (publisher or self.commands).publish(message)

    def lock_step(self, action):
        """Answer the newest observation; gives the next one."""
        before = to_ns(self.states[-1].header.stamp)
        self.send(action, before)
        self.until(lambda: to_ns(self.states[-1].header.stamp) > before)
        return self.states[-1]

    def diagnosis(self, key, node="/sim_bridge"):
        """The newest value of a key on /diagnostics, or None."""
        for array in reversed(self.diagnostics):
            for status in array.status:
                for entry in status.values:
                    if status.name == node and entry.key == key:
                        return entry.value
        return None


def vector(message):
    """``float32 (n,)`` of a StateVector."""
    return np.asarray(message.values, dtype=np.float32)
