"""Two servers of one action: the second ends, whenever it comes, and one that was killed is waited for."""

import subprocess
import sys
import threading
import time

import pytest
import rclpy
from rclpy.action import ActionServer

from polytask_interfaces.action import ExecuteTask
from polytask_robot_io import sole_server
from polytask_robot_io.diagnostics import NodeDiagnostics
from polytask_robot_io.executors import make_executor
from polytask_robot_io.sole_server import SecondServer, SoleServer


class Server:
    """A node that serves an action, alone as it hopes, in a context and a thread of its own."""

    def __init__(self, name, namespace="left"):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node(name, namespace=namespace, context=self.context)
        self.ends, self.ended = [], False
        self.sole = SoleServer(self.node, "execute_task")
        self.thread = None

    def wait(self):
        self.sole.wait()
        return self

    def sees(self, other):
        """Wait until discovery has come so far."""
        wait_for(lambda: other in self.sole.others())
        return self

    def serve(self):
        self.action = ActionServer(self.node, ExecuteTask, "execute_task", lambda handle: None)
        self.sole.keep(NodeDiagnostics(self.node, "toy"), self.ends.append)
        executor = make_executor(self.context)
        executor.add_node(self.node)

        def spin():
            while not self.ended:
                executor.spin_once(timeout_sec=0.05)

        self.thread = threading.Thread(target=spin)
        self.thread.start()
        return self

    def close(self):
        self.ended = True
        if self.thread is not None:
            self.thread.join()
            self.action.destroy()
            self.thread = None
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def make(ros_domain):
    made = []

    def server(*arguments):
        made.append(Server(*arguments))
        return made[-1]

    yield server
    for one in made:
        one.close()


def wait_for(condition, timeout=20.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"nothing within {timeout} s"
        time.sleep(0.01)


def test_a_second_server_is_refused_and_one_in_another_namespace_is_not(make):
    first = make("first").wait().serve()
    with pytest.raises(SecondServer, match=r"/left/execute_task is served already, by /left/first;.*Stop that one"):
        make("second").sees("/left/first").wait()
    make("third", "right").wait().serve()
    assert not first.ends
    assert not first.sole.contested


SEEN = """
import sys, rclpy
from rclpy.action import ActionServer
from polytask_interfaces.action import ExecuteTask
rclpy.init()
node = rclpy.create_node("killed", namespace="left")
server = ActionServer(node, ExecuteTask, "execute_task", lambda handle: None)
print("seen", flush=True)
sys.stdin.read()
server.destroy()
node.destroy_node()
"""


def test_a_server_that_was_killed_is_waited_for_until_it_is_gone(make, monkeypatch):
    """It is seen, for DDS believes in it, and never heard."""
    process = subprocess.Popen([sys.executable, "-c", SEEN], stdin=-1, stdout=-1, text=True)
    assert process.stdout.readline() == "seen\n"
    server = make("next").sees("/left/killed")
    told = threading.Event()
    monkeypatch.setattr(server.node.get_logger(), "warning", lambda _: told.set())
    waiting = threading.Thread(target=server.wait)
    waiting.start()
    assert told.wait(20)
    assert waiting.is_alive()
    process.communicate()
    waiting.join(20)
    assert server.sole.others() == ""


def test_one_that_is_seen_and_never_heard_is_not_waited_for_for_ever(make, monkeypatch):
    monkeypatch.setattr(sole_server, "LINGERING", 1.5)
    seen = make("stopped")
    server = ActionServer(seen.node, ExecuteTask, "execute_task", lambda handle: None)
    with pytest.raises(SecondServer, match="by /left/stopped"):
        make("next").sees("/left/stopped").wait()
    server.destroy()


def test_of_two_that_start_at_once_the_younger_ends(make):
    elder = make("same").wait()
    younger = make("same").wait()  # before the other serves
    younger.serve()
    elder.serve()
    wait_for(lambda: younger.ends)
    assert "/left/execute_task is served already, by /left/same" in younger.ends[0]
    assert younger.sole.contested
    assert not elder.ends
    younger.close()
    wait_for(lambda: not elder.sole.contested)
