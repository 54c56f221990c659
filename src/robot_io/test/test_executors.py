"""How a node's process ends."""

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import sys
from rclpy.node import Node
from polytask_robot_io import executors
from polytask_robot_io.executors import run_node

if {plain}:
    executors.EventsExecutor = None

class Toy(Node):
    def __init__(self):
        super().__init__("toy")
        if {fail}:
            raise ValueError("parameter 'x' is wrong; set it to 1")
        self.create_timer(0.01, self.tick)

    def tick(self):
        print("tick", flush=True)

    def close(self):
        print("closed", flush=True)

sys.exit(run_node(Toy))
"""


def start(fail=False, plain=False):
    command = [sys.executable, "-c", PROGRAM.format(fail=fail, plain=plain)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("number", "plain"), [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGINT, True)])
def test_a_signal_ends_it_cleanly(number, plain):
    """``plain``: as with a distribution that lacks the events executor."""
    process = start(plain=plain)
    assert process.stdout.readline() == "tick\n"
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 5
    assert process.returncode == 0
    assert out.endswith("closed\n")
    assert "Traceback" not in err


def test_a_wrong_parameter_is_told_without_traceback():
    _, err = (process := start(fail=True)).communicate(timeout=20)
    assert process.returncode == 2
    assert err == "error: parameter 'x' is wrong; set it to 1\n"
