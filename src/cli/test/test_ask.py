"""`ask` against a server that says what it was asked, runs for a while, and can be cancelled."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import numpy as np
import pytest
from PIL import Image

ASK = [sys.executable, "-m", "polytask_cli", "ask"]
SERVER = """
import sys, time
import rclpy
from rclpy.action import ActionServer, CancelResponse
from rclpy.executors import MultiThreadedExecutor
from polytask_interfaces.msg import Outcome
from polytask_interfaces.action import ExecuteTask

rclpy.init()
node = rclpy.create_node("policy_server", namespace="left")

def execute(handle):
    goal = handle.request
    result = ExecuteTask.Result(matched_task="drawer-open", similarity=0.91, elapsed=1.5)
    picture = f"image={goal.image.width}x{goal.image.height}"
    result.message = f"words={goal.words!r} task={goal.task!r} {picture} {goal.timeout}"
    if goal.words == "nonsense":
        handle.abort()
        result.outcome = Outcome.UNKNOWN_GOAL
        return result
    print("asked", flush=True)
    for step in range(100 if goal.words == "take long" else 3):
        if handle.is_cancel_requested:
            handle.canceled()
            result.outcome = Outcome.CANCELLED
            return result
        if goal.words == "die":
            import os
            os._exit(3)
        handle.publish_feedback(ExecuteTask.Feedback(step=step, matched_task="drawer-open", similarity=0.91))
        time.sleep(0.1)
    handle.succeed()
    result.steps = 3
    return result

ActionServer(node, ExecuteTask, "execute_task", execute, cancel_callback=lambda _: CancelResponse.ACCEPT)
print("ready", flush=True)
executor = MultiThreadedExecutor()
executor.add_node(node)
executor.spin()
"""


@pytest.fixture
def server(ros_domain: int) -> Iterator[IO[str]]:
    """What an action server in namespace "left" prints."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process.stdout
    process.kill()
    process.communicate()


def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ASK, "--namespace", "left", *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.usefixtures("server")
def test_outcomes(tmp_path):
    Image.fromarray(np.zeros((30, 40, 4), np.uint8)).save(tmp_path / "goal.png")
    for arguments, goal in (
        (["open the drawer", "--timeout", "7"], "words='open the drawer' task='' image=0x0 7.0"),
        (["--task", "drawer-open"], "words='' task='drawer-open' image=0x0 0.0"),
        (["--image", str(tmp_path / "goal.png")], "words='' task='' image=40x30 0.0"),
    ):
        result = ask(*arguments)
        assert result.returncode == 0, result.stderr
        assert "SUCCEEDED drawer-open (similarity 0.91), 3 steps, 1.5 s" in result.stdout
        assert goal in result.stdout
    refused = ask("nonsense")
    assert refused.returncode == 1
    assert "UNKNOWN_GOAL" in refused.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cancels(server, number):
    process = subprocess.Popen(
        [*ASK, "--namespace", "left", "take long"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert server.readline() == "asked\n"  # the client may not have been told yet
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "CANCELLED" in errors


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_a_server_that_dies():
    # DDS believes in a participant that was killed for 20 s.
    result = ask("die")
    assert result.returncode == 1
    assert "the policy server has gone away" in result.stderr


def test_no_server():
    result = ask("open the drawer")
    assert result.returncode == 1
    assert "nobody serves the action execute_task in namespace '/left'" in result.stderr
    assert "./polytask serve" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "give a goal"), ([""], "give a goal"), (["words", "--task", "drawer-open"], "give one kind of goal")],
)
def test_one_kind_of_goal_at_a_time(arguments, said):
    result = ask(*arguments)
    assert result.returncode == 2
    assert said in result.stderr


@pytest.mark.usefixtures("server")
def test_several_sentences_are_done_in_their_order_until_one_is_not():
    result = ask("first", "nonsense", "third")
    assert result.returncode == 1
    assert "1 of 3: SUCCEEDED drawer-open (similarity 0.91), 3 steps" in result.stdout
    assert "words='first'" in result.stdout
    assert "2 of 3: UNKNOWN_GOAL" in result.stderr
    assert "third" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ([b"\xf6ffne die Schublade"], 2, "the sentence is not UTF-8 text (byte 0xf6 after 0 characters)"),
        ([b"bitte \xe4"], 2, "(byte 0xe4 after 6 characters)"),
        (["--task", b"t\xfcr"], 2, "the task's name is not UTF-8 text (byte 0xfc"),
        (["--task", "go", "--namespace", b"\xe4"], 2, "the namespace is not UTF-8 text"),
        (["--image", b"\xe4.png"], 1, r"there is no picture \udce4.png"),
        (["--task", "go", "--namespace", "no space"], 1, "namespace"),
    ],
)
def test_what_is_no_text_is_refused_in_a_sentence(arguments, status, reason):
    result = subprocess.run([*ASK, *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode == status
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
