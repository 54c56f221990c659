"""How a node's process ends."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import rclpy

from polytask_robot_io.executors import hand_over, make_executor

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


@pytest.mark.timed
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
    _, err = (process := start(fail=True)).communicate(timeout=60)
    assert process.returncode == 2
    assert err == "error: parameter 'x' is wrong; set it to 1\n"


def test_what_a_thread_hands_over_is_called_by_the_executor(ros_domain):
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("toy", context=context)
    called = []

    def call(word):
        called.append((word, threading.current_thread()))

    hand_over(node, call, "nobody spins")
    executor = make_executor(context)
    executor.add_node(node)
    thread = threading.Thread(target=hand_over, args=(node, call, "somebody spins"))
    thread.start()
    thread.join()
    end = time.monotonic() + 20
    while not called and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    assert called == [("somebody spins", threading.current_thread())]
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        (
            ["--ros-args", "-r", "__ns:=/1"],
            {},
            "error: ROS cannot start: failed to initialize rcl: Couldn't parse remap",
        ),
        (["--ros-args", "--nope"], {}, "--nope"),
        (["--ros-args", "--params-file", "/no/such"], {}, "Couldn't parse params file: '--params-file /no/such'"),
        ([], {"ROS_DOMAIN_ID": "300"}, "error: ROS_DOMAIN_ID is '300'; it has to be"),
    ],
)
def test_what_ros_refuses_is_a_sentence(arguments, env, words):
    program = PROGRAM.format(fail=False, plain=False).replace("run_node(Toy)", "run_node(Toy, sys.argv)")
    command = [sys.executable, "-c", program, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **env})
    assert result.returncode == 2
    said = [line for line in result.stderr.splitlines() if not line.startswith("[")]  # those are rcl's own
    assert len(said) == 1
    assert words in said[0]
    assert "/src/" not in said[0]


def test_logs_go_elsewhere_without_a_home_folder(tmp_path):
    env = {name: value for name, value in os.environ.items() if name not in ("HOME", "ROS_HOME", "ROS_LOG_DIR")}
    env["TMPDIR"] = str(tmp_path)
    command = [sys.executable, "-c", PROGRAM.format(fail=False, plain=False)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    assert process.stdout.readline() == "tick\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "ROS cannot write its logs (HOME is not set); they go to" in err
    assert list(tmp_path.glob("polytask-ros-log-*/*.log"))
