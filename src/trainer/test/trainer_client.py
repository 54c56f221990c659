"""A client of the trainer's actions, nodes as processes, and what experts are compared by."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor

from polytask_interfaces.action import Distill, LearnTask
from polytask_policy.checkpoint import load_checkpoint

TASK = "drawer-open"


def wait_for(condition, timeout=120.0):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    pytest.fail(f"nothing within {timeout} s")


class Client:
    """Asks the trainer and hears its feedback."""

    def __init__(self, namespace=None):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("client", namespace=namespace, context=self.context)
        self.learn = ActionClient(self.node, LearnTask, "learn_task")
        self.distill = ActionClient(self.node, Distill, "distill")
        self.feedback = []
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self._spin)
        self.thread.start()

    def _spin(self):
        with contextlib.suppress(Exception):
            while self.context.ok():
                self.executor.spin_once(timeout_sec=0.1)

    def ask(self, client, goal):
        self.feedback.clear()
        assert client.wait_for_server(timeout_sec=120)
        # In the executor's thread: from another one, rclpy may lose the answer to a goal (it makes its future twice).
        sent = self.executor.create_task(client.send_goal_async, goal, lambda m: self.feedback.append(m.feedback))
        handle = wait_for(lambda: sent.done() and sent.result().done() and sent.result().result())
        assert handle.accepted
        return handle, handle.get_result_async()

    def result(self, future):
        return wait_for(lambda: future.done() and future.result()).result

    def close(self):
        self.executor.shutdown()
        self.context.try_shutdown()
        self.thread.join()


@contextlib.contextmanager
def node(module, namespace="", **parameters):
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    arguments += ["-r", f"__ns:=/{namespace}"]
    process = subprocess.Popen([sys.executable, "-m", module, "--ros-args", *arguments])
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 0


def weights(folder: Path):
    return load_checkpoint(folder)[0]


def same(one: Path, two: Path):
    a, b = weights(one), weights(two)
    with np.load(one / "replay.npz") as x, np.load(two / "replay.npz") as y:
        return all(np.array_equal(a[k], b[k]) for k in a) and np.array_equal(x["states"], y["states"])
