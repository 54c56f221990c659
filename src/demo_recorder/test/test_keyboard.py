"""Keys to commands; and the node at a terminal, which it must give back as it was."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from recorder_process import wait_for
from toy_episodes import TOY, toy

from polytask_demo_recorder.errors import RecordingError
from polytask_demo_recorder.teleop.keyboard import HOLD, Keyboard
from polytask_demo_recorder.teleop.terminal import KeyTerminal
from polytask_interfaces.msg import Command
from polytask_robot_io import qos

THREE_AXES = TOY.replace(
    "    - {name: dx,",
    "    - {name: dz, unit: m, frame: base, scale: 0.02, minimum: -1.0, maximum: 1.0}\n"
    "    - {name: dy, unit: m, frame: base, scale: 0.02, minimum: -1.0, maximum: 1.0}\n    - {name: dx,",
)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("w", (0, 0, 1, 0)),
        ("s", (0, 0, -1, 0)),
        ("a", (0, 1, 0, 0)),
        ("d", (0, -1, 0, 0)),
        ("r", (1, 0, 0, 0)),
        ("f", (-1, 0, 0, 0)),
        ("W", (0, 0, 1, 0)),
        ("g", (0, 0, 0, -1)),
        ("x", (0, 0, 0, 0)),
        ("\x1b", (0, 0, 0, 0)),
    ],
)
def test_keys_find_their_axis_by_name(key: str, value: tuple[float, ...]) -> None:
    keyboard = Keyboard(toy(THREE_AXES))
    keyboard.press(key, 1.0)
    np.testing.assert_array_equal(keyboard.command(1.0), np.array(value, dtype=np.float32))
    assert keyboard.active == any(value)


def test_motion_times_out_and_the_gripper_stays() -> None:
    keyboard = Keyboard(toy(), speed=0.5)
    keyboard.press("w", 1.0)
    keyboard.press("g", 1.0)
    np.testing.assert_array_equal(keyboard.command(1.0 + HOLD), [0.5, -1.0])
    np.testing.assert_array_equal(keyboard.command(1.5), [0.125, -1.0])
    np.testing.assert_array_equal(keyboard.command(1.76), [0.0, -1.0])
    keyboard.press("g", 2.0)
    np.testing.assert_array_equal(keyboard.command(2.0), [0.0, 1.0])
    keyboard.press("w", 2.0)
    keyboard.press(" ", 2.0)
    np.testing.assert_array_equal(keyboard.command(2.0), [0.0, 1.0])
    keyboard.rest()
    np.testing.assert_array_equal(keyboard.command(2.0), [0.0, 0.0])
    assert not keyboard.active
    assert not keyboard.quit
    keyboard.press("q", 2.0)
    assert keyboard.quit


def held(delay: float, rate: float, seconds: float) -> list[tuple[float, float]]:
    """(time, command along x) at 20 Hz of a key that a terminal delivers: a press, a delay, repeats until release."""
    keyboard = Keyboard(toy())
    presses = [0.0] + [delay + count / rate for count in range(int((seconds - delay) * rate) + 1)]
    found = []
    for tick in range(60):
        now = tick * 0.05
        while presses and presses[0] <= now:
            keyboard.press("w", presses.pop(0))
        found.append((now, float(keyboard.command(now)[0])))
    return found


@pytest.mark.parametrize(("delay", "rate"), [(0.25, 30.0), (0.5, 30.0), (0.5, 10.0), (0.66, 25.0), (0.7, 11.0)])
def test_a_held_key_never_falls_to_zero_and_stops_soon_when_released(delay: float, rate: float) -> None:
    commands = held(delay, rate, seconds=2.0)
    assert [value for now, value in commands if now <= 0.2] == [1.0] * 5
    assert all(value == 0.25 for now, value in commands if 0.21 < now < delay)
    assert all(value == 1.0 for now, value in commands if delay < now <= 1.9)
    assert all(value == 0.0 for now, value in commands if now > 2.21)


def test_a_tap_overshoots_little() -> None:
    keyboard = Keyboard(toy())
    keyboard.press("w", 0.0)
    driven = [float(keyboard.command(tick * 0.05)[0]) for tick in range(40)]
    assert driven == [1.0] * 5 + [0.25] * 11 + [0.0] * 24


def test_another_direction_or_space_ends_a_tap_at_once() -> None:
    keyboard = Keyboard(toy())
    keyboard.press("w", 0.0)
    keyboard.press("s", 0.3)
    assert float(keyboard.command(0.3)[0]) == -1.0
    assert float(keyboard.command(0.6)[0]) == -0.25  # a first press of its own
    keyboard.press(" ", 0.65)
    assert float(keyboard.command(0.65)[0]) == 0.0


def test_robot_without_axes_is_refused() -> None:
    with pytest.raises(RecordingError, match="moves along x, y and z"):
        Keyboard(toy(TOY.replace("name: dx", "name: wrist")))


def test_no_terminal_is_refused() -> None:
    with open(os.devnull) as nothing, pytest.raises(RecordingError, match="ssh -t"):
        KeyTerminal(nothing)


@contextlib.contextmanager
def teleoperation(folder: Path) -> Iterator[tuple[subprocess.Popen, int, list]]:
    """The node at a terminal of its own, the other end of that terminal, and the settings it had."""
    (folder / "toy.yaml").write_text(TOY, encoding="utf-8")
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "polytask_demo_recorder.teleop.keyboard_teleop_node",
            "--ros-args",
            "-p",
            f"embodiment:={folder / 'toy.yaml'}",
        ],
        stdin=slave,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: termios.tcgetattr(slave) != before)
        yield process, master, [slave, before]
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


@pytest.mark.timed
def test_keys_typed_at_a_terminal_become_commands(ros_domain: int, tmp_path: Path) -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("listener", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    commands: list[list[float]] = []
    node.create_subscription(Command, "command", lambda message: commands.append(list(message.values)), qos.COMMAND)

    def spin(condition) -> bool:
        executor.spin_once(timeout_sec=0.01)
        return bool(condition())

    try:
        with teleoperation(tmp_path) as (process, master, (slave, before)):
            wait_for(lambda: spin(lambda: node.count_publishers("command")))
            for _ in range(20):
                executor.spin_once(timeout_sec=0.01)
            assert commands == []  # nothing before the first key
            os.write(master, b"w")
            wait_for(lambda: spin(lambda: [1.0, 0.0] in commands))
            wait_for(lambda: spin(lambda: commands[-1] == [0.0, 0.0]))
            began, count = time.monotonic(), len(commands)
            wait_for(lambda: spin(lambda: len(commands) >= count + 20))
            assert 0.5 < time.monotonic() - began < 3.0  # 20 Hz
            os.write(master, b"gq")
            assert wait_for(lambda: spin(lambda: process.poll() is not None) or process.poll() is not None)
            assert process.returncode == 0
            wait_for(lambda: spin(lambda: commands[-1] == [0.0, 0.0]))
            assert termios.tcgetattr(slave) == before
    finally:
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def test_the_terminal_is_given_back_after_a_crash() -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    with open(slave) as stream:
        with contextlib.suppress(ZeroDivisionError), KeyTerminal(stream):
            assert termios.tcgetattr(slave) != before
            raise ZeroDivisionError
        assert termios.tcgetattr(slave) == before
    os.close(master)


@pytest.mark.timed
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_the_terminal_is_given_back(ros_domain: int, tmp_path: Path, number: signal.Signals) -> None:
    with teleoperation(tmp_path) as (process, _, (slave, before)):
        process.send_signal(number)
        process.wait(10)
        assert termios.tcgetattr(slave) == before
